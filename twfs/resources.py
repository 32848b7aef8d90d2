"""What Twilio's API says of a medium, made safe: parsed once, here, and trusted from then on.

Every field of a record may be null, of a wrong type or hostile. A record whose SID, kind or account cannot be
trusted is no medium (`BadResource`); any other field that is not what it should be is `None`.
Field names and nullability: Twilio's OpenAPI description of Video v1 (schemas recording and composition).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from twfs.errors import BadResource

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
_EXTENSION = re.compile(r"[a-z0-9]{2,4}")
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


@dataclass(frozen=True, slots=True)
class Medium:
    """One recording or composition as the API describes it. Times are whole seconds since 1970 UTC."""

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
        if self.container and _EXTENSION.fullmatch(self.container.lower()):
            return f"{self.sid}.{self.container.lower()}"
        if self.kind is Kind.COMPOSITION:
            return f"{self.sid}.mp4"
        return f"{self.sid}.mka" if self.media_type == "audio" else f"{self.sid}.mkv"

    @property
    def changed_at(self) -> int:
        """The file's mtime and ctime: when it was completed if known (compositions), else created, else 0."""
        return next((moment for moment in (self.completed_at, self.created_at) if moment is not None), 0)


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which part of a list is wanted; moments are whole seconds since 1970 UTC, `[created_after, created_before)`."""

    created_after: int | None = None
    created_before: int | None = None
    room_sid: str | None = None


def parse_medium(kind: Kind, record: object) -> Medium:
    """A record of a listing, checked.

    Raises:
        BadResource: it has no valid SID of this kind.
    """
    if not isinstance(record, Mapping):
        raise BadResource(f"a record of {kind} is no object")
    sid = _sid(record.get("sid"), kind.sid_prefix)
    if sid is None:
        raise BadResource(f"a record of {kind} has no valid SID")
    grouping = record.get("grouping_sids")
    grouping = grouping if isinstance(grouping, Mapping) else {}
    room = grouping.get("room_sid") if kind is Kind.RECORDING else record.get("room_sid")
    return Medium(
        sid=sid,
        kind=kind,
        account_sid=_sid(record.get("account_sid"), "AC"),
        status=_text(record.get("status")),
        created_at=_moment(record.get("date_created")),
        completed_at=_moment(record.get("date_completed")),
        claimed_size=_count(record.get("size")),
        duration=_count(record.get("duration")),
        codec=_text(record.get("codec")),
        container=_text(record.get("container_format") or record.get("format")),
        media_type=_text(record.get("type")),
        room_sid=_sid(room, "RM"),
        participant_sid=_sid(grouping.get("participant_sid"), "PA"),
        track_name=_text(record.get("track_name")),
        source_sid=_sid(record.get("source_sid"), ""),
        offset_ms=_count(record.get("offset")),
    )


def is_sid(text: str, prefix: str) -> bool:
    """Whether `text` is a SID that begins with `prefix`."""
    return _SID.fullmatch(text) is not None and text.startswith(prefix)


def _sid(value: Any, prefix: str) -> str | None:
    return value if isinstance(value, str) and is_sid(value, prefix) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < _INT_LIMIT else None


def _moment(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
