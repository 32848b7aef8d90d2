"""Media players see the same media through the mount as in the originals."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Mounted, customer, mounted, needs_fuse, run
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.samples import sample_bytes, sample_names
from twfs.simulator.sealing import seal

pytestmark = [
    needs_fuse,
    pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffmpeg"),
]


class Library:
    """All samples, encrypted, in one mount, and their originals on disk."""

    def __init__(self, mount: Mounted, sids: dict[str, str], originals: Path) -> None:
        self.mount = mount
        self._sids = sids
        self._originals = originals

    def pair(self, name: str) -> tuple[Path, Path]:
        """The sample through the mount, and its original."""
        return self.mount.file(self._sids[name]), self._originals / name


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, private_key: RSAPrivateKey) -> Iterator[Library]:
    folder, originals = tmp_path_factory.mktemp("customer"), tmp_path_factory.mktemp("originals")
    account, sids = SimulatedAccount(), {}
    for name in sample_names():
        (originals / name).write_bytes(sample_bytes(name))
        container = name.rpartition(".")[2]
        stored = seal(sample_bytes(name), private_key.public_key())
        if container in ("mp4", "webm"):
            sids[name] = account.add_composition(stored, format=container)
        else:
            sids[name] = account.add_recording(stored, container=container, date_created=datetime.now(UTC))
    with customer(folder, account, private_key) as place, mounted(place) as mount:
        yield Library(mount, sids, originals)


def output(*command: str | Path) -> str:
    """What a command prints; it must succeed."""
    done = run([str(word) for word in command])
    assert done.returncode == 0, done.stderr
    return done.stdout


def probe(path: Path) -> object:
    """Format and streams as ffprobe sees them, less the file's name."""
    found = json.loads(output("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path))
    del found["format"]["filename"]
    return found


def frames(path: Path, *seek: str) -> str:
    """The MD5 of each decoded frame."""
    return output("ffmpeg", "-v", "error", *seek, "-i", path, "-f", "framemd5", "-")


@pytest.mark.parametrize("name", sample_names())
def test_ffprobe_and_every_frame_are_the_originals(library: Library, name: str) -> None:
    seen, original = library.pair(name)
    assert probe(seen) == probe(original)
    assert frames(seen) == frames(original)


@pytest.mark.parametrize("name", sample_names())
def test_a_seek_finds_the_same_frames(library: Library, name: str) -> None:
    seen, original = library.pair(name)
    late = frames(original, "-ss", "5")
    assert late.count("\n") > 20
    assert frames(seen, "-ss", "5") == late


@pytest.mark.skipif(shutil.which("mpv") is None, reason="needs mpv")
@pytest.mark.parametrize("name", ["camera-vp8.mkv", "gallery-h264-aac.mp4"])
def test_mpv_plays_to_the_end(library: Library, name: str) -> None:
    seen, _ = library.pair(name)
    done = subprocess.run(
        ["mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", "--msg-level=all=v", str(seen)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Exiting... (End of file)" in done.stdout
