import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from twfs.cli.main import main
from twfs.mount.system import is_mounted, unmount

needs_fuse = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened")


@contextmanager
def demo(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`twfs demo` that has said where it is mounted; what it made temporarily is in `folder`/tmp."""
    (folder / "tmp").mkdir()
    running = subprocess.Popen(
        # Whoever runs the tests in the background has SIGINT ignored, and so would this command.
        ["env", "--default-signal=INT", Path(sys.executable).with_name("twfs"), "demo", *words],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "tmp"), "TWFS_KIND": "compositions"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert "is mounted at" in running.stdout.readline()
        yield running
    finally:
        if running.poll() is None:
            running.terminate()
        running.communicate(timeout=SECONDS)


@needs_fuse
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_mounts_and_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as running:
        place = tmp_path / "twfs-demo"
        assert is_mounted(place)
        recordings = sorted((place / "recordings").glob("*.mka"))
        assert recordings  # so the kind of the environment is not the demo's
        assert any(path.read_bytes().startswith(b"\x1aE\xdf\xa3") for path in recordings)
        running.send_signal(number)
        assert running.wait(SECONDS) == 0
    assert not is_mounted(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


@needs_fuse
@pytest.mark.usefixtures("home")
def test_its_commands_can_be_pasted_into_a_terminal_of_another_folder(tmp_path: Path) -> None:
    with demo(tmp_path, "my demo") as running:
        assert running.stdout is not None
        lines = list(itertools.takewhile(lambda line: line.startswith("  "), running.stdout))
        # mpv wants a screen, and top a terminal; what is copied is for nobody.
        commands = [
            line.replace("mka /tmp\n", f"mka {tmp_path}/home\n").replace("/twfs top ", "/twfs top --once ")
            for line in lines
        ]
        pasted = [command for command in commands if not command.startswith("  mpv ")]
        said = {
            command: subprocess.run(
                ["sh", "-c", command], cwd="/", capture_output=True, text=True, timeout=SECONDS, check=False
            )
            for command in pasted
        }
    assert {command: done.stderr for command, done in said.items() if done.returncode} == {}
    assert any("/twfs ls twilio:demo --config " in command and "RT" in said[command].stdout for command in pasted)
    assert any("/twfs top --once " in command and "no medium is open" in said[command].stdout for command in pasted)
    assert list((tmp_path / "home").glob("*.mka"))


@needs_fuse
@pytest.mark.usefixtures("home")
def test_it_ends_when_it_is_unmounted_and_keeps_a_folder_it_did_not_make(tmp_path: Path) -> None:
    place = tmp_path / "my own"
    place.mkdir()
    with demo(tmp_path, "my own") as running:
        unmount(place)
        assert running.wait(SECONDS) == 0
    assert list(place.iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.usefixtures("home")
def test_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film.mkv").touch()
    assert main(["demo", str(tmp_path)]) == 2
    assert f"{tmp_path} is no empty folder" in capsys.readouterr().err
    assert (tmp_path / "film.mkv").exists()


@pytest.mark.usefixtures("home")
def test_folder_without_a_parent_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(tmp_path / "a/b")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
