"""What is printed is run by a shell, as a user pastes it."""

import os
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from twfs.cli.pieces import package_layout, pieces
from twfs.invocation import pasteable, program_words, twfs_command, wrapper_flag

SECONDS = 60
SCRIPT = Path(sys.executable).with_name("twfs")
"""As pip has installed it."""
ROOT = Path(__file__).parent.parent
MANAGED = list(Path("/usr/lib").glob("python3.*/EXTERNALLY-MANAGED"))


def complaint(*words: str | Path, cwd: Path, module: str = "twfs") -> str:
    """What an installed twfs says of a flag that it does not know."""
    program = [*words] if words else [sys.executable, "-m", module]
    done = subprocess.run(
        [*program, "doctor", "--nonsense"], cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 2
    return done.stderr


def pasted(text: str, cwd: Path) -> str:
    """What the command at the end of a message prints."""
    command = text.rpartition("; see ")[2]
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        env={"PATH": ""},
    )
    return done.stdout


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """An installed twfs in a folder that needs quotes."""
    folder = tmp_path / "my tools"
    folder.mkdir()
    shutil.copy(SCRIPT, folder / "twfs")
    return folder / "twfs"


def test_a_script_is_named_as_it_was_called(script: Path, tmp_path: Path) -> None:
    for called in (str(script), "my tools/twfs", "./my tools/../my tools/twfs"):
        said = complaint(called, cwd=tmp_path)
        assert f"see {shlex.quote(called)} doctor --help\n" in said
        assert pasted(said, tmp_path).startswith("usage: twfs doctor")


def test_a_link_of_another_name_is_one(script: Path, tmp_path: Path) -> None:
    (tmp_path / "tw").symlink_to(script)
    assert "see ./tw doctor --help\n" in complaint("./tw", cwd=tmp_path)


def test_a_module_is_named_with_the_python_and_its_flags(tmp_path: Path) -> None:
    (tmp_path / "py thon").symlink_to(Path(sys.executable).parent.parent, target_is_directory=True)
    for program in ([sys.executable, "-m", "twfs"], ["py thon/bin/python3", "-I", "-X", "utf8", "-m", "twfs"]):
        said = complaint(*program, cwd=tmp_path)
        assert f"see {shlex.join([*program, 'doctor', '--help'])}\n" in said
        assert pasted(said, tmp_path).startswith("usage: twfs doctor")


def test_the_package_s_script_is_named_and_not_what_it_runs(tmp_path: Path) -> None:
    layout = package_layout(Path(sys.executable).parent.parent)
    (piece,) = [piece for piece in pieces(layout, ()) if piece.path.name == "twfs" and "bin" in piece.path.parts]
    (tmp_path / "twfs").write_text(piece.content)
    (tmp_path / "twfs").chmod(0o755)
    assert "see /usr/bin/twfs doctor --help\n" in complaint("./twfs", cwd=tmp_path)
    assert f"-X {wrapper_flag('/usr/bin/twfs')} " in piece.content


def test_in_a_program_of_somebody_s_own_twfs_is_what_runs_this_very_one(tmp_path: Path) -> None:
    words = shlex.split(twfs_command("--version"))
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout.startswith("twfs ")


def test_where_no_script_is_beside_python_it_is_the_module(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    python = tmp_path / "bare/bin/python3"
    code = "from twfs.invocation import program_words; print(*program_words(), sep='\\n')"
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout.splitlines() == [str(python), "-m", "twfs"]


def test_for_another_terminal_a_path_is_absolute(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["my tools/twfs", "demo"])
    assert program_words() == ("my tools/twfs",)
    assert twfs_command("top", "a b", anywhere=True) == pasteable(script, "top", "a b")


@pytest.mark.parametrize("name", [b"b\xe4d\xff 7", b"new\nline", b"\x1b[31m'\\ 0", "\u202egpj \u65e5".encode()])
def test_any_file_name_is_pasted_as_it_is(name: bytes) -> None:
    shown = pasteable("printf", "%s", os.fsdecode(name))
    assert shown.isprintable()
    for shell in filter(None, map(shutil.which, ("bash", "zsh"))):
        assert subprocess.run([shell, "-c", shown], capture_output=True, timeout=SECONDS, check=True).stdout == name


def remedy(python: Path | str) -> str:
    """What that Python says is to be done for a package."""
    code = "from twfs.invocation import pip_remedy; print(pip_remedy('rich'))"
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout.strip()


def test_pip_is_that_of_the_python_that_runs(tmp_path: Path) -> None:
    """What is said by a Python with pip and by one without is run by a shell, which lists instead of installing."""
    venv.create(tmp_path / "with pip", with_pip=True)
    venv.create(tmp_path / "without", with_pip=False)
    environ = os.environ | {"PATH": f"{tmp_path / 'with pip/bin'}:{os.environ['PATH']}"}
    for name, expected in (("with pip", "run: '"), ("without", "run: python3 -m pip --python ")):
        said = remedy(tmp_path / name / "bin/python3")
        assert said.startswith(expected)
        command = said.removeprefix("run: ").partition(" (")[0]
        assert command.endswith(" install rich")
        listing = command.replace("install rich", "list --format=freeze")
        listed = subprocess.run(
            ["sh", "-c", listing], env=environ, capture_output=True, text=True, timeout=SECONDS, check=True
        )
        assert ("pip==" in listed.stdout) == (name == "with pip")


@pytest.mark.skipif(not MANAGED, reason="no Python here belongs to the system")
def test_where_pip_may_not_install_a_virtual_environment_is_named() -> None:
    said = remedy("/usr/bin/python3")
    assert "run: /usr/bin/python3 -m venv --system-site-packages ~/" in said
    assert "/bin/pip install rich, then " in said


def test_no_message_names_a_package_of_ours_on_pypi() -> None:
    """`twfs` is not there, and could be anybody's."""
    texts = {path: path.read_text() for path in (ROOT / "twfs").rglob("*.py")}
    assert [path for path, text in texts.items() if "install 'twfs" in text or "install twfs[" in text] == []
    assert "install 'twfs" not in (ROOT / "README.md").read_text()
