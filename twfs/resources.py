"""What Twilio's API says of a medium, made safe: parsed once, here, and trusted from then on.

Every field of a record may be null, of a wrong type or hostile. A record whose SID, kind or account cannot be
trusted is no medium (`BadResource`); any other field that is not what it should be is `None`.
Field names and nullability: Twilio's OpenAPI description of Video v1 (schemas recording and composition).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from twfs.errors import BadResource

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
# One pattern per prefix and no call in between: a mount of 100,000 known media parses half a million SIDs first.
_is_account, _is_room, _is_participant = (
    re.compile(f"{prefix}[0-9a-fA-F]{{32}}").fullmatch for prefix in ("AC", "RM", "PA")
)
_EXTENSION = re.compile(r"[a-z0-9]{2,4}")
_LONGEST_WORD = 64
"""Characters of a status, codec, container or moment; Twilio's have at most 30."""

_LONGEST_TEXT = 1024
"""Characters of a track's name that are kept; Twilio allows it 128 (its documentation)."""

_WORDS = (
    "status",
    "date_created",
    "date_completed",
    "codec",
    "container_format",
    "format",
    "type",
    "account_sid",
    "room_sid",
    "source_sid",
)
"""Fields of a record that are one word."""

# The longest signed integer that SQLite and st_size hold.
_INT_LIMIT = 2**63


class Kind(StrEnum):
    """The two kinds of media; the value is the folder's name in the mount and the list's key in the API."""

    RECORDING = "recordings"
    COMPOSITION = "compositions"

    @property
    def sid_prefix(self) -> str:
        """How SIDs of this kind begin."""
        return "RT" if self is Kind.RECORDING else "CJ"


class Medium(NamedTuple):
    """One recording or composition as the API describes it. Times are whole seconds since 1970 UTC.

    No dataclass: a frozen one takes 3.5 us to make, this half a microsecond, and a mount may begin with 100,000.
    """

    sid: str
    kind: Kind
    account_sid: str | None = None
    status: str | None = None
    created_at: int | None = None
    completed_at: int | None = None
    claimed_size: int | None = None
    """Twilio's `size`: whether plaintext or ciphertext is counted is nowhere said."""
    duration: int | None = None
    codec: str | None = None
    container: str | None = None
    media_type: str | None = None
    room_sid: str | None = None
    participant_sid: str | None = None
    track_name: str | None = None
    source_sid: str | None = None
    offset_ms: int | None = None

    @property
    def is_completed(self) -> bool:
        """Whether it is finished, and so a file of the mount."""
        return self.status == "completed"

    @property
    def is_settled(self) -> bool:
        """Whether its status will not change by itself any more."""
        return self.status in ("completed", "deleted", "failed")

    @property
    def file_name(self) -> str:
        """`SID.EXT`; the extension is that of the container, for encrypted objects say only octet-stream."""
        return f"{self.sid}.{_extension(self.kind, self.container, self.media_type)}"

    @property
    def changed_at(self) -> int:
        """The file's mtime and ctime: when it was completed if known (compositions), else created, else 0."""
        return (self.created_at or 0) if self.completed_at is None else self.completed_at


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which part of a list is wanted; moments are whole seconds since 1970 UTC, `[created_after, created_before)`."""

    created_after: int | None = None
    created_before: int | None = None
    room_sid: str | None = None


class Page(list[object]):
    """Raw records of a list, as they came."""

    def __init__(self, records: Iterable[object] = (), following: str | None = None) -> None:
        """`following` is the place of the next page; None behind the last one."""
        super().__init__(records)
        self.following = following


def parse_medium(kind: Kind, record: object) -> Medium:
    """A record of a listing, checked.

    Raises:
        BadResource: it has no valid SID of this kind.
    """
    if not isinstance(record, Mapping):
        raise BadResource(f"a record of {kind} is no object")
    field = record.get
    sid = field("sid")
    if not (isinstance(sid, str) and is_sid(sid, kind.sid_prefix)):
        raise BadResource(f"a record of {kind} has no valid SID")
    grouping = field("grouping_sids")
    grouping = grouping if isinstance(grouping, Mapping) else {}
    room = grouping.get("room_sid") if kind is Kind.RECORDING else field("room_sid")
    return Medium(
        sid=sid,
        kind=kind,
        account_sid=_word(_sid(field("account_sid"), _is_account)),
        status=_word(field("status")),
        created_at=_moment(field("date_created")),
        completed_at=_moment(field("date_completed")),
        claimed_size=_count(field("size")),
        duration=_count(field("duration")),
        codec=_word(field("codec")),
        container=_word(field("container_format") or field("format")),
        media_type=_word(field("type")),
        room_sid=_word(_sid(room, _is_room)),
        participant_sid=_sid(grouping.get("participant_sid"), _is_participant),
        track_name=_text(field("track_name")),
        source_sid=_sid(field("source_sid"), _SID.fullmatch),
        offset_ms=_count(field("offset")),
    )


def oversized(record: object) -> list[str]:
    """The fields of a record whose texts are longer than `parse_medium` takes: names are cut, the rest are None."""
    if not isinstance(record, Mapping):
        return []
    limits = {"track_name": _LONGEST_TEXT, **dict.fromkeys(_WORDS, _LONGEST_WORD)}
    return [name for name, most in limits.items() if isinstance(text := record.get(name), str) and len(text) > most]


def is_sid(text: str, prefix: str) -> bool:
    """Whether `text` is a SID that begins with `prefix`."""
    return _SID.fullmatch(text) is not None and text.startswith(prefix)


def is_text(text: str) -> bool:
    """Whether it can be sent: bytes of arguments and of the environment that are no UTF-8 come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@lru_cache(maxsize=256)
def _extension(kind: Kind, container: str | None, media_type: str | None) -> str:
    """Without the dot."""
    if container and _EXTENSION.fullmatch(container.lower()):
        return container.lower()
    if kind is Kind.COMPOSITION:
        return "mp4"
    return "mka" if media_type == "audio" else "mkv"


def _sid(value: Any, is_right: Callable[[str], object]) -> str | None:
    return value if isinstance(value, str) and is_right(value) else None


def _word(value: Any) -> str | None:
    """Text that many records repeat is held once: 30 MB less for 100,000 of them (measured)."""
    return intern(value) if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD else None


def _text(value: Any) -> str | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    # Not isinstance, for True is no count.
    return value if type(value) is int and 0 <= value < _INT_LIMIT else None


def _moment(value: Any) -> int | None:
    if not isinstance(value, str) or len(value) > _LONGEST_WORD:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
