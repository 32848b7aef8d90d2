"""Media and probes as rows of the state file, and back; what does not match its checksum is no row."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple

from twfs.catalog.schema import Damaged, checksum
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium

KINDS = tuple(Kind)
STATES = (MediaState.READABLE, MediaState.ABSENT, MediaState.LOCKED, MediaState.DAMAGED)
"""By the number that stands in a row; what has no key or is damaged has more than 0."""

_REPEATED = [
    Medium._fields.index(name) for name in ("account_sid", "status", "codec", "container", "media_type", "room_sid")
]
_MEDIUM_COLUMNS = "id, sid, kind, shown, settled, changed_at, day, room, fields, checksum"
SIZE_COLUMNS = "state, plain_size, encrypted, keys, agrees, size_checksum"
_MARK = _MEDIUM_COLUMNS.count(",")
"""Where the checksum stands, behind what it is of."""
ENTRY_COLUMNS = f"{_MEDIUM_COLUMNS}, {SIZE_COLUMNS}"


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


def entries_of(connection: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[Entry]:
    """All that a condition, a constant of this package, selects.

    Raises:
        Damaged: a row is not what was written.
    """
    rows = connection.execute(f"SELECT {ENTRY_COLUMNS} FROM media WHERE {where}", values).fetchall()  # noqa: S608
    return [_entry(_shared(medium), row) for medium, row in zip(_media_of(rows), rows, strict=True)]


def placed_of(connection: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[tuple[int, Medium]]:
    """The same, but numbers and media alone, in half the time, for who keeps none of them: folders are listed so.

    Raises:
        Damaged: a row is not what was written.
    """
    rows = connection.execute(f"SELECT {_MEDIUM_COLUMNS} FROM media WHERE {where}", values).fetchall()  # noqa: S608
    return [(row[0], medium) for medium, row in zip(_media_of(rows), rows, strict=True)]


def _media_of(rows: list[tuple[Any, ...]]) -> list[Medium]:
    """Of rows that begin with `_MEDIUM_COLUMNS`: parsed together, which takes half the time."""
    for row in rows:
        if checksum(*row[:_MARK]) != row[_MARK]:
            raise Damaged("a resource does not match its checksum")
    try:
        parsed = json.loads(f"[{','.join(row[_MARK - 1] for row in rows)}]")
        return [Medium._make((row[1], KINDS[row[2]], *values)) for row, values in zip(rows, parsed, strict=True)]
    except (ValueError, TypeError, LookupError) as error:
        raise Damaged(f"a resource cannot be read: {error}") from error


def _entry(medium: Medium, row: tuple[Any, ...]) -> Entry:
    number, shown, day, room, size = row[0], row[3], row[6], row[7], row[_MARK + 1 :]
    known = size_of(number, size)
    return Entry(number, medium, bool(shown), known, day, room, known is None and size[0] is not None)


def size_row(number: int, size: Size, agrees: int | None) -> tuple[Any, ...]:
    """Of `SIZE_COLUMNS`."""
    row = (STATES.index(size.state), size.plain_size, int(size.encrypted), size.keys, agrees)
    return (*row, checksum(number, *row))


def size_of(number: int, columns: Sequence[Any]) -> Size | None:
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


def _shared(medium: Medium) -> Medium:
    """What many media have in common is held once: 30 MB less for 100,000 of them."""
    values: list[Any] = list(medium)
    for place in _REPEATED:
        text = values[place]
        if isinstance(text, str):
            values[place] = intern(text)
        elif text is not None:
            raise Damaged("a resource cannot be read: what must be text is none")
    return Medium._make(values)


def _in_range(moment: int) -> int:
    """SQLite's integers have 64 bits; a date beyond them is no date of a folder either."""
    return max(-(2**63), min(moment, 2**63 - 1))
