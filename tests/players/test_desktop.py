"""Players started in the middle of a long film show the right frame at once, without reading what is before it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mount.harness import PATIENCE, run
from tests.players.cinema import READERS, Cinema
from tests.players.film import FRAMES, moment_of, number_in
from tests.players.servers import is_installed

FAR = FRAMES * 3 // 4
"""The frame to start at."""


def passed_over(cinema: Cinema, name: str) -> bool:
    """Whether what is before the start was left alone; head and index (in this film its tail) are needed."""
    return cinema.untouched(name, 0.1, 0.7) and cinema.fetched() < cinema.films[name].size / 2


def grey_picture(file: Path) -> bytes:
    """The first picture of a file as grey pixels."""
    command = ["ffmpeg", "-v", "error", "-i", str(file), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    return subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout


def do(*command: str | Path | float) -> None:
    """A command that must succeed."""
    done = run([str(word) for word in command])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder for what players show, which any user may write to."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["mp4", "webm", "mkv"])
def test_ffmpeg(cinema: Cinema, pictures: Path, name: str) -> None:
    do(
        "ffmpeg",
        "-v",
        "error",
        "-ss",
        moment_of(FAR - 1),
        "-i",
        cinema.path(name),
        "-frames:v",
        "1",
        pictures / "1.png",
    )
    assert number_in(grey_picture(pictures / "1.png")) == FAR
    assert passed_over(cinema, name)


@pytest.mark.skipif(not is_installed("mpv"), reason="needs mpv")
@pytest.mark.parametrize("name", ["mp4", "webm", "mkv"])
def test_mpv(cinema: Cinema, pictures: Path, name: str) -> None:
    where = [f"--start={moment_of(FAR)}", "--frames=1", "--vo=image", "--vo-image-format=png"]
    do("mpv", "--no-config", "--ao=null", *where, f"--vo-image-outdir={pictures}", cinema.path(name))
    assert number_in(grey_picture(next(pictures.glob("*.png")))) in (FAR, FAR + 1)
    assert passed_over(cinema, name)


@pytest.mark.skipif(
    not is_installed("cvlc", "runuser"), reason="needs VLC: Debian packages vlc-bin and vlc-plugin-base"
)
@pytest.mark.parametrize("name", ["mp4", "mkv"])
def test_vlc(cinema: Cinema, name: str) -> None:
    """It refuses to run as root, so another user watches."""
    pictures = cinema.mount.path.parent / "pictures"
    pictures.mkdir()
    shutil.chown(pictures, READERS, READERS)
    scene = ["--video-filter=scene", "--scene-ratio=1", "--scene-format=png", f"--scene-path={pictures}"]
    # On a slow machine, too, every picture is shown, however late.
    outputs = ["--intf=dummy", "--vout=dummy", "--no-audio", "--play-and-exit", "--no-drop-late-frames"]
    outputs.append("--no-skip-frames")
    where = [f"--start-time={moment_of(FAR)}", "--run-time=2"]
    do("runuser", "-u", READERS, "--", "env", f"HOME={pictures}", "cvlc", *outputs, *scene, *where, cinema.path(name))
    numbers = {number_in(grey_picture(file)) for file in pictures.glob("*.png")}
    late = sorted(numbers - {0})  # It may begin before it seeks.
    assert late[0] in (FAR, FAR + 1)
    assert late == list(range(late[0], late[0] + len(late)))
    assert len(late) > 3
    assert passed_over(cinema, name)
