"""What the other tests of this folder rely on: a film says which frame it shows."""

import random
import subprocess
from pathlib import Path

import pytest

from tests.players.film import FRAMES, HEIGHT, WIDTH, Film, make_film, moment_of, number_in, picture_of, rewrap


@pytest.mark.parametrize("number", [0, 1, 1000, FRAMES - 1, 0xFFFF])
def test_a_picture_says_its_number(number: int) -> None:
    picture = picture_of(number, random.Random(1))
    assert len(picture) == WIDTH * HEIGHT
    assert number_in(picture) == number


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_a_player_finds_the_frame_of_a_moment(tmp_path: Path, container: str) -> None:
    film = make_film(tmp_path / f"short.{container}", frames=40)
    assert number_in(picture_at(film, moment_of(23))) == 23
    again = rewrap(film, tmp_path / "short.mkv")
    assert number_in(picture_at(again, moment_of(23))) == 23


def picture_at(film: Film, seconds: float) -> bytes:
    # -ss shows the first frame that begins at or after it.
    words = ["ffmpeg", "-v", "error", "-ss", str(seconds - 0.125), "-i", str(film.path), "-frames:v", "1"]
    command = [*words, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout
