import json
import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.simulator.support import START
from tests.simulator.test_sealing import opened
from twfs.errors import ConfigError
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount, StoredObject
from twfs.simulator.make_media import COMMANDS
from twfs.simulator.samples import (
    HOSTILE_TRACK_NAME,
    account_from_folder,
    sample_account,
    sample_bytes,
    sample_names,
)

CODECS = {
    "camera-vp8.mkv": ("matroska", ["vp8"]),
    "gallery-h264-aac.mp4": ("mp4", ["aac", "h264"]),
    "gallery-vp8-opus.webm": ("webm", ["opus", "vp8"]),
    "phone-pcmu.mka": ("matroska", ["pcm_mulaw"]),
    "screen-h264.mkv": ("matroska", ["h264"]),
    "voice-opus.mka": ("matroska", ["opus"]),
}


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def demo(private_key: rsa.RSAPrivateKey) -> SimulatedAccount:
    return sample_account(private_key.public_key(), now=START)


def probe(path: Path, *arguments: str) -> dict[str, list[dict[str, str]]]:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    found = subprocess.run(command, capture_output=True, check=True)
    assert found.stderr == b""
    answer: dict[str, list[dict[str, str]]] = json.loads(found.stdout)
    return answer


def test_every_sample_ships_and_all_are_small() -> None:
    media = {path.name for path in resources.files("twfs.simulator").joinpath("media").iterdir()}
    assert media == set(sample_names()) == set(COMMANDS) == set(CODECS)
    sizes = {name: len(sample_bytes(name)) for name in sample_names()}
    assert sum(sizes.values()) < 2_000_000
    assert sizes["screen-h264.mkv"] >= 600_000
    with pytest.raises(KeyError):
        sample_bytes("../samples.py")


@pytest.mark.parametrize("name", CODECS)
def test_a_sample_is_what_it_is_called(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(sample_bytes(name))
    found = probe(path, "-show_streams", "-show_format")
    container, codecs = CODECS[name]
    assert sorted(stream["codec_name"] for stream in found["streams"]) == codecs
    assert container in found["format"]["format_name"]  # type: ignore[call-overload]


def test_the_long_sample_has_a_key_frame_every_other_second(tmp_path: Path) -> None:
    path = tmp_path / "screen.mkv"
    path.write_bytes(sample_bytes("screen-h264.mkv"))
    frames = probe(path, "-skip_frame", "nokey", "-show_entries", "frame=pts_time")["frames"]
    assert [float(frame["pts_time"]) for frame in frames] == pytest.approx(list(range(0, 20, 2)))


def test_the_pictures_move_and_are_not_black(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / "camera.mkv"
    path.write_bytes(sample_bytes("camera-vp8.mkv"))
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", "fps=1,scale=16:16,format=gray", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    pictures = [raw[at : at + 256] for at in range(0, len(raw), 256)]
    assert len(set(pictures)) == len(pictures) >= 8
    assert all(sum(picture) / 256 > 50 for picture in pictures)


def test_the_index_of_the_mp4_stands_at_its_end() -> None:
    data = sample_bytes("gallery-h264-aac.mp4")
    assert data.index(b"mdat") < len(data) // 2 < data.index(b"moov")


def test_the_demo_holds_what_an_account_may_hold(demo: SimulatedAccount, private_key: rsa.RSAPrivateKey) -> None:
    recordings, compositions = demo.media(Kind.RECORDING), demo.media(Kind.COMPOSITION)
    media = recordings + compositions
    assert {medium.container for medium in media if medium.has_media} == {"mka", "mkv", "mp4", "webm"}
    assert {medium.status for medium in media} == {"completed", "processing", "deleted"}
    assert len({medium.room_sid for medium in media}) >= 3
    assert len({medium.date_created.date() for medium in media}) >= 3
    assert max(medium.date_created for medium in media) < START
    assert any(medium.status == "completed" and medium.stored is None for medium in media)
    assert any(medium.track_name == HOSTILE_TRACK_NAME for medium in media)


def test_the_demo_is_sealed_in_every_way(demo: SimulatedAccount, private_key: rsa.RSAPrivateKey) -> None:
    lengths, plain, lost = set(), 0, 0
    for medium in demo.media(Kind.RECORDING) + demo.media(Kind.COMPOSITION):
        stored = medium.stored
        if not isinstance(stored, StoredObject):
            continue
        if medium.track_name == "dave-lost-key":
            lost += 1
        elif stored.metadata:
            content_key, found = opened(stored, private_key)
            lengths.add(len(content_key))
            assert found == demo.plain(medium.sid)
        else:
            plain += 1
            assert stored.data == demo.plain(medium.sid)
    assert (lengths, lost) == ({16, 32}, 1)
    assert plain >= 3


def test_the_demo_has_the_same_sids_each_time(demo: SimulatedAccount, private_key: rsa.RSAPrivateKey) -> None:
    again = sample_account(private_key.public_key(), now=START)
    assert [medium.sid for medium in again.media(Kind.RECORDING)] == [
        medium.sid for medium in demo.media(Kind.RECORDING)
    ]
    assert again.credentials != demo.credentials


def test_a_folder_becomes_an_account(tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    contents = {"a.MKV": b"video", "b.mka": b"audio", "c.mp4": b"composed", "d.webm": b"", "notes.txt": b"passed over"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (START.timestamp(), START.timestamp()))
    account = account_from_folder(tmp_path, private_key.public_key())
    media = account.media(Kind.RECORDING) + account.media(Kind.COMPOSITION)
    assert {(medium.kind, medium.container, account.plain(medium.sid)) for medium in media} == {
        (Kind.RECORDING, "mkv", b"video"),
        (Kind.RECORDING, "mka", b"audio"),
        (Kind.COMPOSITION, "mp4", b"composed"),
        (Kind.COMPOSITION, "webm", b""),
    }
    assert {medium.date_created for medium in media} == {START}
    for medium in media:
        assert isinstance(medium.stored, StoredObject)
        assert opened(medium.stored, private_key)[1] == account.plain(medium.sid)


def test_a_folder_without_media_is_refused(tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(ConfigError, match="holds no media"):
        account_from_folder(tmp_path, private_key.public_key())
    with pytest.raises(ConfigError, match="No such file"):
        account_from_folder(tmp_path / "absent", private_key.public_key())
