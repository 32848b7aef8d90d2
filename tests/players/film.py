"""Films whose every frame shows its own number, so that whoever sees a picture knows which one it is.

The upper sixth is a bar code of sixteen bars, white for 1, highest bit first. Below is noise, which makes a film large.
"""

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT = 320, 360
BARS = 16
BAR_HEIGHT = HEIGHT // 6
FRAMES_PER_SECOND = 4
FRAMES = 1200
BITS_PER_SECOND = 2_000_000
"""About 75 MB in all: several times what a browser reads ahead, with what nginx and sockets take."""

_CODECS = {
    "mp4": "-c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    "webm": "-c:v libvpx -deadline realtime -cpu-used 16 -threads 2 -pix_fmt yuv420p",
}


@dataclass(frozen=True, slots=True)
class Film:
    """One of them; without sound. Index (moov, Cues) at the end, which is the harder place."""

    path: Path

    @property
    def container(self) -> str:
        """Its extension."""
        return self.path.suffix[1:]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size


def moment_of(frame: int) -> float:
    """Seconds from the beginning to the middle of the time that a frame is shown."""
    return (frame + 0.5) / FRAMES_PER_SECOND


def make_film(path: Path, frames: int = FRAMES) -> Film:
    """Encode one for the container that the name says."""
    picture = f"-f rawvideo -pix_fmt gray -video_size {WIDTH}x{HEIGHT} -framerate {FRAMES_PER_SECOND} -i -"
    coding = f"{_CODECS[path.suffix[1:]]} -g {FRAMES_PER_SECOND * 4} -b:v {BITS_PER_SECOND}"
    command = ["ffmpeg", "-v", "error", "-y", *picture.split(), *coding.split(), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        noise = random.Random(path.suffix)
        for number in range(frames):
            encoder.stdin.write(picture_of(number, noise))
        encoder.stdin.close()
        assert encoder.wait() == 0
    return Film(path)


def rewrap(film: Film, path: Path) -> Film:
    """The same pictures in another container."""
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(film.path), "-c", "copy", str(path)], check=True)
    return Film(path)


def number_in(picture: bytes) -> int:
    """Which frame a picture of `WIDTH` x `HEIGHT` grey pixels is."""
    middle = BAR_HEIGHT // 2 * WIDTH
    bar = WIDTH // BARS
    bits = (picture[middle + bar * at + bar // 2] >= 128 for at in range(BARS))
    return sum(bit << (BARS - 1 - at) for at, bit in enumerate(bits))


def picture_of(number: int, noise: random.Random) -> bytes:
    bar = WIDTH // BARS
    code = b"".join((b"\xff" if number >> (BARS - 1 - at) & 1 else b"\x00") * bar for at in range(BARS))
    return code * BAR_HEIGHT + noise.randbytes(WIDTH * (HEIGHT - BAR_HEIGHT))
