"""Names and inode numbers of the mount: pure functions, the same on every machine and in every mount."""

import unicodedata
from hashlib import blake2b

from twfs.folders import UNDATED, calendar_moment
from twfs.resources import Kind, Medium

SID_LENGTH = 34
"""Two letters and 32 hexadecimal digits."""

LABEL_LIMIT = 64
"""Bytes of UTF-8 a track may take of a name; with date, SID and extension it stays below 128, and NAME_MAX is 255."""

# What NTFS and exFAT refuse in a name; "/" is refused everywhere.
_FORBIDDEN = frozenset('/\\:*?"<>|')
# Control characters, lone surrogates, private use, line and paragraph separators: nothing to see, much to break. And
# what is assigned to no character, as far as this Python knows: APFS refuses it in names.
_REPLACED = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# Format characters turn the direction of text, join, or hide: a name must show what it is.
_DROPPED = "Cf"
_BLANK = "Zs"
_NO_KEY_YET = blake2b(digest_size=8)


def view_name(medium: Medium) -> str:
    """`2017-11-23T164717Z_TRACK_RT….mkv`: sorts by time, unique by its SID, safe on every file system."""
    return f"{_stamp(medium.created_at)}_{_label(medium)}_{medium.file_name}"


def sid_in(name: str) -> str:
    """The SID that a file's or link's name holds, if it holds one: what `view_name` and `file_name` made."""
    return name.rpartition("_")[2][:SID_LENGTH]


def inode(key: str) -> int:
    """A number in `[1, 2**63)` for a SID or a path: never 0, which NFS and readdir(3) take for no file."""
    # A copy takes half the time of a new one with the same parameters.
    digest = _NO_KEY_YET.copy()
    digest.update(key.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big") >> 1 or 1


def safe_label(text: str) -> str:
    """`text` without what any file system or terminal chokes on; may be empty.

    NFC, at most `LABEL_LIMIT` bytes of UTF-8, no dot or blank at either end.
    """
    shown = unicodedata.normalize("NFC", "".join(map(_safe_character, text)))
    # NFC is closed under taking parts (UAX #15), so cutting and stripping keep it.
    cut = shown.encode()[:LABEL_LIMIT].decode(errors="ignore")
    return cut.strip(". ")


def _safe_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == _DROPPED:
        return ""
    if category == _BLANK:
        return " "
    return "_" if category in _REPLACED or character in _FORBIDDEN else character


def _label(medium: Medium) -> str:
    if medium.kind is Kind.COMPOSITION:
        return "composition"
    return safe_label(medium.track_name or "") or "track"


def _stamp(created_at: int | None) -> str:
    moment = None if created_at is None else calendar_moment(created_at)
    return UNDATED if moment is None else f"{moment.year:04}{moment:-%m-%dT%H%M%SZ}"
