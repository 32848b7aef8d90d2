"""The command that goes to the background returns when the work stands, or says why it does not."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.mount.harness import PATIENCE

PROGRAM = """
import os, sys, time
from pathlib import Path
from twfs.errors import ConfigError
from twfs.mount.daemon import in_background
from twfs.mount.system import MountFailed

def serve(ready):
    Path(sys.argv[1]).write_text(str(os.getpid()))
    {body}

try:
    in_background(serve)
except MountFailed as error:
    print(error)
    sys.exit(32)
print("stands")
"""


def run(tmp_path: Path, body: str) -> tuple[int, str, int]:
    """Exit code and output of a program whose background part does `body`, and that part's pid.

    On standard error it says nothing.
    """
    pid_file = tmp_path / "pid"
    program = PROGRAM.format(body=body)
    done = subprocess.run(
        [sys.executable, "-c", program, str(pid_file)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip(), int(pid_file.read_text())


def wait_for_end(pid: int) -> None:
    """Until the process is gone."""
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_returns_while_the_work_goes_on(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    body = f"ready(); end = Path({str(go_on)!r})\n    while not end.exists(): time.sleep(0.01)"
    code, said, pid = run(tmp_path, body)
    assert (code, said) == (0, "stands")
    assert Path(f"/proc/{pid}").exists()
    assert Path(f"/proc/{pid}/fd/2").readlink() == Path("/dev/null")
    go_on.touch()
    wait_for_end(pid)


def test_it_gives_the_reason_of_a_failure(tmp_path: Path) -> None:
    code, said, pid = run(tmp_path, "raise ConfigError('the reason')")
    assert (code, said) == (32, "the reason")
    wait_for_end(pid)


def test_an_unforeseen_failure_is_one_line_too(tmp_path: Path) -> None:
    code, said, pid = run(tmp_path, "raise ZeroDivisionError('oh')")
    assert code == 32
    assert said == "unexpected ZeroDivisionError: oh; run with -f -v to see where"
    wait_for_end(pid)


def test_a_sudden_death_is_noticed(tmp_path: Path) -> None:
    code, said, pid = run(tmp_path, "os._exit(3)")
    assert code == 32
    assert "without a word" in said
    wait_for_end(pid)


def test_it_leaves_its_process_group_when_the_work_stands_and_not_before(tmp_path: Path) -> None:
    """Behind an automount, autofs lets only systemd's process group mount."""
    seen = tmp_path / "seen"
    body = f"before = os.getpgrp() == os.getpgid(os.getppid()); ready(); Path({str(seen)!r}).write_text("
    code, _, pid = run(tmp_path, f"{body}f'{{before}} {{os.getsid(0) == os.getpid()}}')")
    assert code == 0
    wait_for_end(pid)
    assert seen.read_text() == "True True"


def test_an_interruption_is_no_traceback(tmp_path: Path) -> None:
    code, said, pid = run(tmp_path, "raise KeyboardInterrupt")
    assert (code, said) == (32, "interrupted")
    wait_for_end(pid)


def test_the_terminal_it_was_started_at_is_not_its_own(tmp_path: Path) -> None:
    """Else SIGHUP would mean that it should end."""
    seen = tmp_path / "seen"
    body = (
        "from twfs.mount.signals import has_terminal; before = has_terminal(); ready(); "
        f"Path({str(seen)!r}).write_text(f'{{before}} {{has_terminal()}}')"
    )
    program = tmp_path / "program.py"
    program.write_text(
        "from twfs.mount.signals import has_terminal\nassert has_terminal()\n" + PROGRAM.format(body=body)
    )
    pid_file = tmp_path / "pid"
    command = shlex.join([sys.executable, str(program), str(pid_file)])
    done = subprocess.run(
        ["script", "--quiet", "--return", "--command", command, "/dev/null"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "stands")
    wait_for_end(int(pid_file.read_text()))
    assert seen.read_text() == "False False"
