"""The simulated account: its credentials, media, public keys and settings, kept in memory.

Threads: tests and commands change it while the server reads it; every method takes the lock.
"""

import hmac
import secrets
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from twfs.clock import Clock, SystemClock
from twfs.resources import Kind
from twfs.simulator.objects import BucketObject, StoredObject

__all__ = ["BucketObject", "PublicKey", "SimulatedAccount", "SimulatedMedium", "StoredObject", "index_of", "new_sid"]

_DEFAULT_CODEC = {"mkv": "VP8", "mka": "OPUS"}


def new_sid(prefix: str) -> str:
    """A random SID."""
    return prefix + secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class SimulatedMedium:
    """One recording or composition, with what the API says of it and what the bucket holds."""

    sid: str
    kind: Kind
    stored: BucketObject | None
    """None: no media, as for a track that was muted all the time."""
    status: str
    date_created: datetime
    container: str
    room_sid: str | None
    duration: int
    size: int | None
    codec: str | None = None
    type: str | None = None
    track_name: str | None = None
    participant_sid: str | None = None
    source_sid: str | None = None
    offset: int = 0
    date_completed: datetime | None = None
    date_deleted: datetime | None = None
    media_external_location: str | None = None

    @property
    def has_media(self) -> bool:
        """Whether `/Media` leads anywhere."""
        return self.status == "completed" and self.stored is not None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key resource; the key itself is kept, and never returned."""

    sid: str
    friendly_name: str
    pem: str
    date_created: datetime
    date_updated: datetime


class SimulatedAccount:
    """All that one Twilio account holds."""

    def __init__(
        self,
        account_sid: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        auth_token: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """An empty account; what is not given is drawn at random."""
        self.account_sid = account_sid or new_sid("AC")
        self.api_key = api_key or new_sid("SK")
        self.api_secret = api_secret or secrets.token_urlsafe(24)
        self.auth_token = auth_token or secrets.token_hex(16)
        self.clock: Clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._media: dict[str, SimulatedMedium] = {}
        self._newest_first: dict[Kind, tuple[SimulatedMedium, ...] | None] = dict.fromkeys(Kind)
        self._public_keys: dict[str, PublicKey] = {}
        self._settings: dict[Kind, Mapping[str, object]] = {}

    @property
    def credentials(self) -> dict[str, str]:
        """User names of HTTP Basic, and their passwords."""
        return {self.api_key: self.api_secret, self.account_sid: self.auth_token}

    def authorizes(self, user: str, password: str) -> bool:
        """Whether these are credentials of this account."""
        expected = self.credentials.get(user, "")
        return bool(expected) and hmac.compare_digest(expected.encode(), password.encode())

    def now(self) -> datetime:
        """The clock's time, in whole seconds as Twilio writes it."""
        return datetime.fromtimestamp(int(self.clock.wall()), UTC)

    def add_recording(
        self,
        stored: BucketObject | None,
        *,
        container: str = "mkv",
        codec: str | None = None,
        type: str | None = None,  # noqa: A002 - Twilio's name of the field
        track_name: str | None = None,
        room_sid: str | None = None,
        participant_sid: str | None = None,
        source_sid: str | None = None,
        date_created: datetime | None = None,
        duration: int = 1,
        offset: int = 0,
        status: str = "completed",
        size: int | None = None,
        media_external_location: str | None = None,
        sid: str | None = None,
    ) -> str:
        """Add a recording and return its SID.

        `stored` None: listed without media. `size` is what the API claims, by default the stored size.
        Without a `track_name` the source's SID takes its place, as Twilio does.
        """
        source_sid = source_sid or new_sid("MT")
        return self._add(
            SimulatedMedium(
                sid=sid or new_sid("RT"),
                kind=Kind.RECORDING,
                stored=stored,
                status=status,
                date_created=date_created or self.now(),
                container=container,
                codec=codec or _DEFAULT_CODEC.get(container),
                type=type or ("audio" if container == "mka" else "video"),
                track_name=source_sid if track_name is None else track_name,
                room_sid=room_sid or new_sid("RM"),
                participant_sid=participant_sid or new_sid("PA"),
                source_sid=source_sid,
                duration=duration,
                offset=offset,
                size=size if size is not None or stored is None else stored.size,
                media_external_location=media_external_location,
            )
        )

    def add_composition(
        self,
        stored: BucketObject | None,
        *,
        format: str = "mp4",  # noqa: A002 - Twilio's name of the field
        room_sid: str | None = None,
        date_created: datetime | None = None,
        date_completed: datetime | None = None,
        duration: int = 1,
        status: str = "completed",
        size: int | None = None,
        media_external_location: str | None = None,
        sid: str | None = None,
    ) -> str:
        """Add a composition and return its SID; arguments as for recordings."""
        date_created = date_created or self.now()
        if date_completed is None and status == "completed":
            date_completed = date_created
        return self._add(
            SimulatedMedium(
                sid=sid or new_sid("CJ"),
                kind=Kind.COMPOSITION,
                stored=stored,
                status=status,
                date_created=date_created,
                date_completed=date_completed,
                container=format,
                room_sid=room_sid or new_sid("RM"),
                duration=duration,
                size=size if size is not None or stored is None else stored.size,
                media_external_location=media_external_location,
            )
        )

    def replace(self, sid: str, stored: BucketObject | None) -> None:
        """Put another object in the place of a medium's, under the same key of the bucket."""
        self._change(sid, stored=stored)

    def set_status(self, sid: str, status: str) -> None:
        """Move a medium to another status."""
        completed = self.now() if status == "completed" else self.medium(sid).date_completed
        self._change(sid, status=status, date_completed=completed)

    def delete(self, sid: str) -> None:
        """Delete the media; the resource stays, as deleted."""
        self._change(sid, status="deleted", stored=None, date_deleted=self.now())

    def forget(self, sid: str) -> None:
        """Drop the resource too, as Twilio does 30 days after its deletion."""
        with self._lock:
            self._newest_first[self._media.pop(sid).kind] = None

    def find(self, sid: str) -> SimulatedMedium | None:
        """The medium of that SID, if there is one."""
        with self._lock:
            return self._media.get(sid)

    def medium(self, sid: str) -> SimulatedMedium:
        """The medium of that SID.

        Raises:
            KeyError: there is none.
        """
        with self._lock:
            return self._media[sid]

    def media(self, kind: Kind) -> tuple[SimulatedMedium, ...]:
        """All media of that kind, deleted ones too, newest first; a later change does not show in it."""
        with self._lock:
            found = self._newest_first[kind]
            if found is None:
                of_kind = (medium for medium in self._media.values() if medium.kind is kind)
                found = self._newest_first[kind] = tuple(sorted(of_kind, key=_newest_first))
            return found

    def plain(self, sid: str) -> bytes:
        """The plaintext of a medium whose object is a `StoredObject`.

        Raises:
            LookupError: it has none in memory.
        """
        stored = self.medium(sid).stored
        if isinstance(stored, StoredObject):
            return stored.data if stored.plain is None else stored.plain
        raise LookupError(f"{sid} has no object in memory")

    def public_keys(self) -> Sequence[PublicKey]:
        """All public keys, newest first."""
        with self._lock:
            return list(reversed(self._public_keys.values()))

    def find_public_key(self, sid: str) -> PublicKey | None:
        """The public key of that SID, if there is one."""
        with self._lock:
            return self._public_keys.get(sid)

    def put_public_key(self, key: PublicKey) -> None:
        """Add a public key, or change the one of that SID."""
        with self._lock:
            self._public_keys[key.sid] = key

    def drop_public_key(self, sid: str) -> None:
        """Delete a public key."""
        with self._lock:
            del self._public_keys[sid]

    def settings(self, kind: Kind) -> Mapping[str, object]:
        """The settings last stored for that kind, empty at first; names as in the API's answers."""
        with self._lock:
            return self._settings.get(kind, {})

    def store_settings(self, kind: Kind, settings: Mapping[str, object]) -> None:
        """Replace the settings of that kind."""
        with self._lock:
            self._settings[kind] = dict(settings)

    def _add(self, medium: SimulatedMedium) -> str:
        if medium.date_created.tzinfo is None:
            raise ValueError("date_created needs a time zone")
        medium = replace(medium, date_created=medium.date_created.replace(microsecond=0))
        with self._lock:
            if medium.sid in self._media:
                raise ValueError(f"{medium.sid} is already there")
            self._media[medium.sid] = medium
            self._newest_first[medium.kind] = None
        return medium.sid

    def _change(self, sid: str, **fields: object) -> None:
        with self._lock:
            medium = self._media[sid] = replace(self._media[sid], **fields)  # type: ignore[arg-type]
            self._newest_first[medium.kind] = None


def index_of(media: Sequence[SimulatedMedium], medium: SimulatedMedium) -> int:
    """Where in media that stand newest first the one of that age and SID stands, or would stand."""
    return bisect_left(media, _newest_first(medium), key=_newest_first)


def _newest_first(medium: SimulatedMedium) -> tuple[float, str]:
    return (-medium.date_created.timestamp(), medium.sid)
