"""Makes the sample media that ship in `media/`: `python -m twfs.simulator.make_media DIR` (needs ffmpeg with flite).

Moving test pictures and spoken words, so that a player shows at once whether it plays, and where it seeked to.
"""

import subprocess
import sys
from pathlib import Path

_WORDS = (
    "This is a recorded voice. It was encrypted where it was stored, and it is decrypted while you listen. "
    "Skip forward or back as you like. one. two. three. four. five. six. seven. eight. nine. ten."
)
_EXACT = "-map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -threads 1"
_VP8 = "-c:v libvpx -deadline good -cpu-used 4 -pix_fmt yuv420p"
_H264 = "-c:v libx264 -preset medium -profile:v baseline -pix_fmt yuv420p"
_OPUS = "-c:a libopus -b:a 24k -ar 48000 -ac 1"


def _picture(size: str, rate: int, seconds: int) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]


def _voice() -> list[str]:
    return ["-f", "lavfi", "-i", f"flite=text='{_WORDS}':voice=slt"]


COMMANDS: dict[str, tuple[list[str], str]] = {
    "voice-opus.mka": (_voice(), _OPUS),
    "phone-pcmu.mka": (_voice(), "-t 8 -c:a pcm_mulaw -ar 8000 -ac 1"),
    "camera-vp8.mkv": (_picture("320x240", 15, 8), f"{_VP8} -b:v 180k -g 30"),
    # The long one: several blocks of the mount's cache, and a key frame every two seconds to seek to.
    "screen-h264.mkv": (_picture("640x360", 15, 20), f"{_H264} -b:v 300k -g 30"),
    # Without +faststart the index (moov) stands at the end: a player reads head, tail and middle.
    "gallery-h264-aac.mp4": (
        _picture("480x360", 15, 8) + _voice(),
        f"{_H264} -b:v 220k -g 30 -c:a aac -b:a 48k -ac 1 -t 8",
    ),
    "gallery-vp8-opus.webm": (_picture("480x360", 15, 8) + _voice(), f"{_VP8} -b:v 220k -g 30 {_OPUS} -t 8"),
}
"""Of each sample, ffmpeg's inputs and what is made of them."""


def make(folder: Path) -> None:
    """Write every sample into `folder`.

    Raises:
        subprocess.CalledProcessError: ffmpeg failed; it has said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (inputs, options) in COMMANDS.items():
        command = ["ffmpeg", "-v", "error", "-y", *inputs, *options.split(), *_EXACT.split(), str(folder / name)]
        subprocess.run(command, check=True)  # noqa: S603 - no shell, and the arguments stand above


if __name__ == "__main__":
    make(Path(sys.argv[1]))
