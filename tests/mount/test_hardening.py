import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.harness import PATIENCE, clean
from twfs.mount.hardening import childs_environment, environment

SECRET = "planted0api0secret0of0thirty2chars"


def run(script: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean() | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["twfs.cli.main", "twfs.cli.helper"])
def test_every_command_refuses_core_dumps(module: str) -> None:
    shown = run(
        f"import ctypes, resource, {module} as module\n"
        "module.main(['--help'])\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"
    )
    assert shown.splitlines()[-1] == "(0, 0) 0"


def test_the_library_changes_nothing_of_the_process_that_uses_it() -> None:
    script = (
        "import ctypes, resource; before = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "from twfs.fsspec import TwilioFileSystem\n"
        "try: TwilioFileSystem(account='nowhere').ls('')\n"
        "except OSError: pass\n"
        "print(before == resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"
    )
    assert run(script) == "True 1\n"


def test_secrets_are_withheld_from_whatever_inherits_the_environment_and_come_back() -> None:
    script = (
        "import os, subprocess\nfrom twfs.mount.hardening import environment, hardened\n"
        "with hardened(os.environ):\n"
        "    print(subprocess.run(['env'], capture_output=True, text=True, check=True).stdout.count('planted'))\n"
        "    print(environment()['TWILIO_API_SECRET'])\n"
        "print(os.environ['TWILIO_API_SECRET'])\n"
    )
    assert run(script, TWILIO_API_SECRET=SECRET, TWILIO_AUTH_TOKEN=SECRET).split() == ["0", SECRET, SECRET]


def test_tools_get_what_they_need_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("TWILIO_API_SECRET", SECRET)
    monkeypatch.setenv("https_proxy", f"http://user:{SECRET}@proxy:3128")
    monkeypatch.setenv("LC_ALL", "C")
    given = childs_environment()
    assert given["LC_ALL"] == "C"
    assert "PATH" in given
    assert SECRET not in "".join(given.values())
    assert environment()["TWILIO_API_SECRET"] == SECRET


def test_no_tool_is_started_with_the_whole_environment() -> None:
    """Every call that starts a process says which environment it gives."""
    sources = Path(__file__).parents[2] / "twfs"
    for path in sources.rglob("*.py"):
        if "simulator" in path.parts:  # makes the sample media, when they are to be made anew
            continue
        text = path.read_text()
        for call in ("subprocess.run(", "subprocess.Popen(", "create_subprocess_exec("):
            for rest in text.split(call)[1:]:
                assert "env=" in rest[:400], f"{path.relative_to(sources)}: {call}"
