"""The sample media that ship with twfs, and accounts made of them or of the user's own files."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from twfs.clock import Clock
from twfs.errors import ConfigError
from twfs.simulator.account import SimulatedAccount, StoredObject
from twfs.simulator.sealing import SealingKey, seal, throwaway_public_key

HOSTILE_TRACK_NAME = "../../etc/passwd\n\x1b[31mred\x1b[0m\x00/\u202egpj.exe"
"""A name that tries to leave the folder, to write to the terminal, to end early and to read backwards."""

_CONTENT_TYPES = {
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
_COMPOSITION_FORMATS = ("mp4", "webm")
_PART_SIZE = 5 * 2**20
"""The smallest part S3 takes in a multipart upload."""
_LONGEST_TRACK_NAME = 128


@dataclass(frozen=True, slots=True)
class _Sample:
    codec: str
    seconds: int


_SAMPLES = {
    "camera-vp8.mkv": _Sample("VP8", 8),
    "gallery-h264-aac.mp4": _Sample("H264", 8),
    "gallery-vp8-opus.webm": _Sample("VP8", 8),
    "phone-pcmu.mka": _Sample("PCMU", 8),
    "screen-h264.mkv": _Sample("H264", 20),
    "voice-opus.mka": _Sample("OPUS", 12),
}


def sample_names() -> list[str]:
    """File names of all samples; the extension is the container."""
    return list(_SAMPLES)


def sample_bytes(name: str) -> bytes:
    """A sample's content.

    Raises:
        KeyError: there is no sample of that name.
    """
    if name not in _SAMPLES:
        raise KeyError(name)
    return resources.files(__package__).joinpath("media", name).read_bytes()


def sample_account(public_key: SealingKey, *, now: datetime, clock: Clock | None = None) -> SimulatedAccount:
    """The demo's account: what an account may hold after some eventful days before `now`.

    First nothing was encrypted, then with 128 bits, then with 256, all for `public_key`; one recording was encrypted
    for a key that nobody has. SIDs are the same each time, credentials are not.
    """
    builder = _Builder(SimulatedAccount(clock=clock), public_key)
    _plain_days(builder, now - timedelta(days=4, hours=3))
    _older_keys(builder, now - timedelta(days=2, hours=5))
    _today(builder, now - timedelta(hours=2))
    return builder.account


def account_from_folder(folder: Path, public_key: SealingKey, clock: Clock | None = None) -> SimulatedAccount:
    """An account of the user's own files: `.mka` and `.mkv` as recordings, `.mp4` and `.webm` as compositions.

    All are encrypted for `public_key` and held in memory; their date is the file's. Other files are passed over.

    Raises:
        ConfigError: the folder cannot be read or holds no such file.
    """
    account = SimulatedAccount(clock=clock)
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower()[1:] in _CONTENT_TYPES)
        for path in files:
            _add_file(account, path, public_key)
    except OSError as failure:
        raise ConfigError(f"cannot read {folder}: {failure.strerror}") from failure
    if not files:
        raise ConfigError(f"{folder} holds no media; put .mka, .mkv, .mp4 or .webm files there")
    return account


class _Builder:
    """Adds samples to an account by their names."""

    def __init__(self, account: SimulatedAccount, public_key: SealingKey) -> None:
        self.account = account
        self.public_key = public_key

    def plain(self, name: str) -> StoredObject:
        return StoredObject(sample_bytes(name), content_type=_CONTENT_TYPES[_container(name)])

    def sealed(self, name: str, key_bits: int = 256) -> StoredObject:
        return seal(sample_bytes(name), self.public_key, key_bits=key_bits)

    def recording(
        self,
        name: str,
        stored: StoredObject | None,
        room: str,
        who: str,
        at: datetime,
        *,
        track_name: str | None = None,
        status: str = "completed",
    ) -> str:
        track_name = f"{who}-{name.partition('-')[0]}" if track_name is None else track_name
        return self.account.add_recording(
            stored,
            sid=_sid("RT", f"{room}/{who}/{name}/{track_name}"),
            container=_container(name),
            codec=_SAMPLES[name].codec,
            duration=_SAMPLES[name].seconds,
            room_sid=_sid("RM", room),
            participant_sid=_sid("PA", f"{room}/{who}"),
            source_sid=_sid("MT", f"{room}/{who}/{name}/{track_name}"),
            track_name=track_name,
            date_created=at,
            status=status,
        )

    def composition(self, name: str, stored: StoredObject | None, room: str, at: datetime) -> str:
        return self.account.add_composition(
            stored,
            sid=_sid("CJ", f"{room}/{name}"),
            format=_container(name),
            duration=_SAMPLES[name].seconds,
            room_sid=_sid("RM", room),
            date_created=at,
            date_completed=at + timedelta(minutes=2),
        )


def _plain_days(builder: _Builder, at: datetime) -> None:
    """Before encryption was enabled; only plain recordings can be composed, and one composition is encrypted."""
    room = "team"
    builder.recording("camera-vp8.mkv", builder.plain("camera-vp8.mkv"), room, "alice", at)
    builder.recording("voice-opus.mka", builder.plain("voice-opus.mka"), room, "alice", at)
    builder.recording("phone-pcmu.mka", builder.plain("phone-pcmu.mka"), room, "bob", at + timedelta(seconds=41))
    builder.composition("gallery-vp8-opus.webm", builder.plain("gallery-vp8-opus.webm"), room, at + timedelta(hours=1))
    builder.composition("gallery-h264-aac.mp4", builder.sealed("gallery-h264-aac.mp4"), room, at + timedelta(days=1))


def _older_keys(builder: _Builder, at: datetime) -> None:
    """Content keys of 128 bits, an upload in parts without its plaintext length, a muted and a lost recording."""
    room = "interview"
    parts = seal(sample_bytes("screen-h264.mkv"), builder.public_key, with_length=False, part_size=_PART_SIZE)
    lost = seal(sample_bytes("camera-vp8.mkv"), throwaway_public_key())
    builder.recording("voice-opus.mka", builder.sealed("voice-opus.mka", 128), room, "carol", at)
    builder.recording("camera-vp8.mkv", builder.sealed("camera-vp8.mkv", 128), room, "carol", at)
    builder.recording("screen-h264.mkv", parts, room, "dave", at + timedelta(minutes=7))
    builder.recording("voice-opus.mka", None, room, "dave", at, track_name="dave-muted")
    builder.recording("camera-vp8.mkv", lost, room, "dave", at, track_name="dave-lost-key")


def _today(builder: _Builder, at: datetime) -> None:
    """Content keys of 256 bits, a hostile name, one deleted and one still being recorded."""
    room = "lesson"
    builder.recording("screen-h264.mkv", builder.sealed("screen-h264.mkv"), room, "erin", at)
    builder.recording("voice-opus.mka", builder.sealed("voice-opus.mka"), room, "erin", at)
    hostile = builder.sealed("phone-pcmu.mka")
    builder.recording("phone-pcmu.mka", hostile, room, "mallory", at, track_name=HOSTILE_TRACK_NAME)
    deleted = builder.sealed("camera-vp8.mkv")
    builder.account.delete(builder.recording("camera-vp8.mkv", deleted, room, "erin", at, track_name="erin-deleted"))
    builder.recording("camera-vp8.mkv", None, room, "erin", at + timedelta(hours=1), status="processing")


def _add_file(account: SimulatedAccount, path: Path, public_key: SealingKey) -> None:
    container = path.suffix.lower()[1:]
    stored = seal(path.read_bytes(), public_key)
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    room_sid = _sid("RM", path.parent.name)
    if container in _COMPOSITION_FORMATS:
        account.add_composition(
            stored, sid=_sid("CJ", path.name), format=container, room_sid=room_sid, date_created=changed, duration=0
        )
    else:
        account.add_recording(
            stored,
            sid=_sid("RT", path.name),
            container=container,
            room_sid=room_sid,
            track_name=path.stem[:_LONGEST_TRACK_NAME],
            date_created=changed,
            duration=0,
        )


def _container(name: str) -> str:
    return name.rpartition(".")[2]


def _sid(prefix: str, what: str) -> str:
    """The same SID for the same thing each time."""
    return prefix + hashlib.sha256(what.encode()).hexdigest()[:32]
