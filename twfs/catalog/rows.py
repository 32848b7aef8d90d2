"""Media and probes as rows of the state file, and back; what does not match its checksum is no row."""

import json
import sqlite3
from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple

from twfs.catalog.schema import Damaged, checksum
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium

KINDS = tuple(Kind)
STATES = (MediaState.READABLE, MediaState.ABSENT, MediaState.LOCKED, MediaState.DAMAGED)
"""By the number that stands in a row; what has no key or is damaged has more than 0."""

_FIELDS = Medium._fields[2:]
"""All but SID and kind, which have columns of their own."""
_REPEATED = [_FIELDS.index(name) for name in ("account_sid", "status", "codec", "container", "media_type", "room_sid")]
"""What many media have in common is held once, as `parse_medium` has it: 30 MB less for 100,000 of them."""

_MEDIUM_COLUMNS = "id, sid, kind, shown, settled, changed_at, day, room, fields, checksum"
_SIZE_COLUMNS = "state, plain_size, encrypted, keys, agrees, size_checksum"
ENTRY_COLUMNS = f"{_MEDIUM_COLUMNS}, {_SIZE_COLUMNS}"


@dataclass(frozen=True, slots=True)
class Size:
    """What the last probe of a medium came to."""

    state: MediaState
    plain_size: int
    """Bytes."""
    encrypted: bool
    keys: str
    """Digest of the private keys that it was judged by."""


class Entry(NamedTuple):
    """All that is known of a medium but its stored object."""

    number: int
    """Its row's, never given to another medium."""
    medium: Medium
    is_shown: bool
    size: Size | None
    """None if it was never probed, or if what was known is damaged."""
    day: int | None
    """Number of the folder of its day, if it is shown."""
    room: int | None
    has_damaged_size: bool = False
    """Whether something was known once that cannot be believed any more."""


class MediumColumns(NamedTuple):
    """A row of `media` up to its checksum, but for its number."""

    sid: str
    kind: int
    shown: int
    settled: int
    changed_at: int
    day: int | None
    room: int | None
    fields: str


def columns_of(medium: Medium, day: int | None, room: int | None, *, is_shown: bool) -> MediumColumns:
    """What is written of a medium."""
    # JSON in ASCII: Twilio's text may hold lone surrogates, which SQLite does not take.
    fields = json.dumps(medium[2:], separators=(",", ":"))
    flags = int(is_shown), int(medium.is_settled)
    return MediumColumns(medium.sid, KINDS.index(medium.kind), *flags, _in_range(medium.changed_at), day, room, fields)


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Of `ENTRY_COLUMNS`.

    Raises:
        Damaged: it is not what was written.
    """
    number, sid, kind, shown, settled, changed_at, day, room, fields, mark, *size = row
    if checksum(number, sid, kind, shown, settled, changed_at, day, room, fields) != mark:
        raise Damaged("a resource does not match its checksum")
    try:
        medium = _medium(sid, KINDS[kind], json.loads(fields))
    except (ValueError, TypeError, LookupError) as error:
        raise Damaged(f"a resource cannot be read: {error}") from error
    known = size_of(number, size)
    return Entry(number, medium, bool(shown), known, day, room, known is None and size[0] is not None)


def entries_of(connection: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[Entry]:
    """All that a condition, a constant of this package, selects."""
    rows = connection.execute(f"SELECT {ENTRY_COLUMNS} FROM media WHERE {where}", values).fetchall()  # noqa: S608
    return [entry_of(row) for row in rows]


def size_row(number: int, size: Size, agrees: int | None) -> tuple[Any, ...]:
    """Of `_SIZE_COLUMNS`."""
    row = (STATES.index(size.state), size.plain_size, int(size.encrypted), size.keys, agrees)
    return (*row, checksum(number, *row))


def size_of(number: int, columns: list[Any]) -> Size | None:
    """None if nothing is known, or if it is damaged: then the medium is looked at again."""
    state, plain_size, encrypted, keys, _, mark = columns
    if state is None or checksum(number, *columns[:-1]) != mark:
        return None
    return Size(STATES[state], plain_size, bool(encrypted), intern(keys))


def probe_row(number: int, info: MediaInfo) -> tuple[Any, ...]:
    """A row of `probes`.

    Raises:
        ValueError: there is nothing to remember.
    """
    facts = info.facts
    if facts is None:
        raise ValueError("a probe without facts is nothing to remember")
    metadata = json.dumps(dict(facts.metadata), sort_keys=True)
    row = (info.reason, facts.stored_size, facts.etag, metadata, bytes(facts.tail))
    return (number, *row, checksum(number, *row))


def info_of(number: int, size: Size, row: tuple[Any, ...]) -> MediaInfo | None:
    """What a probe found; None if its row is damaged."""
    reason, stored_size, etag, metadata, tail, mark = row
    if checksum(number, *row[:-1]) != mark:
        return None
    facts = ObjectFacts(stored_size, etag, json.loads(metadata), tail)
    return MediaInfo(size.state, size.plain_size, size.encrypted, etag, reason, facts)


def _medium(sid: str, kind: Kind, values: list[Any]) -> Medium:
    for place in _REPEATED:
        if values[place] is not None:
            values[place] = intern(values[place])
    return Medium._make((sid, kind, *values))


def _in_range(moment: int) -> int:
    """SQLite's integers have 64 bits; a date beyond them is no date of a folder either."""
    return max(-(2**63), min(moment, 2**63 - 1))
