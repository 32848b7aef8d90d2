"""What stat(2), listxattr(2) and statvfs(3) tell."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from twfs.folders import Totals
from twfs.probe import MediaInfo, MediaState
from twfs.ranges import ceil_div
from twfs.resources import Medium

BLOCK_SIZE = 2**20
"""`st_blksize` and `f_bsize`: what cp and cat read at once; as large as one request of libfuse3 gets."""

_UNIT = 512
"""Bytes of one `st_blocks`, by POSIX convention."""

_FRAGMENT_SIZE = 4096
"""Bytes of one `f_blocks`."""

_NANOSECONDS = 10**9

XATTR_PREFIX = "user.twilio."

KnownSize = tuple[int, bool]
"""A medium's plain size (bytes), and whether it is proven, as `Catalog.known_size` gives it."""


class Attributes(NamedTuple):
    """One file's stat. Access, modification and change time are the same."""

    st_mode: int
    st_ino: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    time_ns: int
    """st_atime, st_mtime and st_ctime, in nanoseconds since 1970 UTC."""

    @property
    def st_blocks(self) -> int:
        """Units of 512 bytes that hold the file."""
        return blocks_of(self.st_size)

    @property
    def st_blksize(self) -> int:
        """Bytes worth reading at once."""
        return BLOCK_SIZE


@dataclass(frozen=True, slots=True)
class Usage:
    """The file system's statvfs: full, as a read-only one is."""

    f_blocks: int
    """Units of `f_frsize` that hold all media whose size is known."""
    f_files: int
    f_bsize: int = BLOCK_SIZE
    f_frsize: int = _FRAGMENT_SIZE
    f_bfree: int = 0
    f_bavail: int = 0
    f_ffree: int = 0
    f_favail: int = 0
    f_namemax: int = 255


def blocks_of(st_size: int) -> int:
    """Units of 512 bytes that hold a file of that many bytes."""
    return ceil_div(st_size, _UNIT)


def nanoseconds(seconds: float) -> int:
    """Of seconds since 1970."""
    return round(seconds * _NANOSECONDS)


def usage(totals: Totals) -> Usage:
    """Of all media."""
    return Usage(f_blocks=ceil_div(totals.known_bytes, _FRAGMENT_SIZE), f_files=totals.media)


def xattrs(medium: Medium, info: MediaInfo | None) -> dict[str, bytes]:
    """`user.twilio.*` by full name, as far as known."""
    values = {
        "sid": medium.sid,
        "account_sid": medium.account_sid,
        "kind": medium.kind.name.lower(),
        "status": medium.status,
        "date_created": _iso(medium.created_at),
        "duration": medium.duration,
        "codec": medium.codec,
        "container": medium.container,
        "room_sid": medium.room_sid,
        "participant_sid": medium.participant_sid,
        "track_name": medium.track_name,
        "source_sid": medium.source_sid,
        "offset": medium.offset_ms,
        **(_probed(info) if info else {}),
    }
    # A track's name is anything that JSON can hold, lone surrogates included: they have no UTF-8.
    return {
        f"{XATTR_PREFIX}{name}": str(value).encode(errors="replace")
        for name, value in values.items()
        if value is not None
    }


def _probed(info: MediaInfo) -> dict[str, str | None]:
    if info.state is MediaState.ABSENT:
        return {"media": "absent"}
    return {"encrypted": "true" if info.encrypted else "false", "etag": info.etag or None}


def _iso(created_at: int | None) -> str | None:
    try:
        return None if created_at is None else f"{datetime.fromtimestamp(created_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return None
