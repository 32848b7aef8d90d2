"""How the media in the state file are changed: within a transaction, folders and sums along with them."""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from twfs.catalog.ledger import FOLDER_COLUMNS, Ledger, agreement, folder_row_of
from twfs.catalog.queries import find, last_number, sums
from twfs.catalog.rows import Entry, Size, columns_of, entries_of, size_row
from twfs.catalog.schema import Damaged, checksum
from twfs.folders import homes
from twfs.resources import Medium


@dataclass(slots=True)
class Applied:
    """What a transaction came to."""

    version: int | None = None
    """None if nothing that is shown changed."""
    contradicted: list[Entry] = field(default_factory=list)
    """Readable media of which Twilio now claims another size than they have."""


def apply(
    connection: sqlite3.Connection, changed: Iterable[Medium], gone: Collection[str], shown: Iterable[bool]
) -> Applied:
    """Add or replace `changed`, of which those are `shown`, and forget `gone` with all that is known of them."""
    ledger, applied, more = Ledger(connection), Applied(), 0
    for medium, is_shown in zip(changed, shown, strict=True):
        before = find(connection, medium.sid)
        if before is None:
            more += 1
            _insert(connection, ledger, medium, is_shown=is_shown)
        elif before.medium != medium or before.is_shown != is_shown:
            after = _update(connection, ledger, before, medium, is_shown=is_shown)
            if after.size is not None and agreement(medium, after.size) == 0:
                applied.contradicted.append(after)
    for sid in gone:
        more -= _delete(connection, ledger, sid)
    applied.version = ledger.settle()
    if more:
        connection.execute("UPDATE listing SET resources = resources + ?", (more,))
    return applied


def number_behind(connection: sqlite3.Connection, number: int) -> int:
    """Number new media behind `number`, and behind all that the file ever had; the number that the last one has."""
    last = max(number, last_number(connection))
    if not connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'media'", (last,)).rowcount:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('media', ?)", (last,))
    return last


def set_size(connection: sqlite3.Connection, entry: Entry, size: Size | None) -> None:
    """What a probe of a medium came to; None: nothing is known of it any more."""
    row = (None,) * 6 if size is None else size_row(entry.number, size, agreement(entry.medium, size))
    connection.execute(
        "UPDATE media SET state = ?, plain_size = ?, encrypted = ?, keys = ?, agrees = ?, size_checksum = ?"
        " WHERE id = ?",
        (*row, entry.number),
    )
    if entry.is_shown:
        ledger = Ledger(connection)
        ledger.sized(entry, entry._replace(size=size, has_damaged_size=False))
        ledger.settle()


def _places(ledger: Ledger, medium: Medium) -> tuple[int, int | None]:
    _, day, *room = homes(medium)
    return ledger.number(day), ledger.number(room[0]) if room else None


def _insert(connection: sqlite3.Connection, ledger: Ledger, medium: Medium, *, is_shown: bool) -> None:
    day, room = _places(ledger, medium) if is_shown else (None, None)
    columns = columns_of(medium, day, room, is_shown=is_shown)
    made = connection.execute(
        "INSERT INTO media (sid, kind, shown, settled, changed_at, day, room, fields, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
        columns,
    )
    number = int(made.lastrowid or 0)
    connection.execute("UPDATE media SET checksum = ? WHERE id = ?", (checksum(number, *columns), number))
    if is_shown:
        ledger.came(Entry(number, medium, is_shown, None, day, room))


def _update(connection: sqlite3.Connection, ledger: Ledger, before: Entry, medium: Medium, *, is_shown: bool) -> Entry:
    day, room = _places(ledger, medium) if is_shown else (None, None)
    columns = columns_of(medium, day, room, is_shown=is_shown)
    connection.execute(
        "UPDATE media SET sid = ?, kind = ?, shown = ?, settled = ?, changed_at = ?, day = ?, room = ?, fields = ?,"
        " checksum = ? WHERE id = ?",
        (*columns, checksum(before.number, *columns), before.number),
    )
    after = Entry(before.number, medium, is_shown, before.size, day, room)
    if before.is_shown:
        ledger.went(before)
    if is_shown:
        ledger.came(after)
    if before.size is not None:
        row = size_row(before.number, before.size, agreement(medium, before.size))
        connection.execute("UPDATE media SET agrees = ?, size_checksum = ? WHERE id = ?", (*row[-2:], before.number))
    return after


def _delete(connection: sqlite3.Connection, ledger: Ledger, sid: str) -> int:
    """How many went."""
    before = find(connection, sid)
    for table in ("readings", "absences"):
        connection.execute(f"DELETE FROM {table} WHERE sid = ?", (sid,))  # noqa: S608 - two constants
    if before is None:
        return 0
    connection.execute("DELETE FROM probes WHERE id = ?", (before.number,))
    connection.execute("DELETE FROM media WHERE id = ?", (before.number,))
    if before.is_shown:
        ledger.went(before)
    return 1


def check(connection: sqlite3.Connection) -> None:
    """Whether the file is what was written; in a transaction, for what it compares must be of one moment.

    Raises:
        Damaged: it is not.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise Damaged(str(verdict).splitlines()[0][:100])
    (count,) = connection.execute("SELECT count(*) FROM media").fetchone()
    (expected,) = connection.execute("SELECT resources FROM listing").fetchone()
    if count != expected:
        raise Damaged(f"it should hold {expected} resources and holds {count}")
    for row in connection.execute(f"SELECT {FOLDER_COLUMNS} FROM folders"):  # noqa: S608
        folder_row_of(row)
    sums(connection)


def check_rows(connection: sqlite3.Connection) -> None:
    """Whether every resource is what was written.

    Raises:
        Damaged: one is not.
    """
    number = 0
    while some := entries_of(connection, "id > ? ORDER BY id LIMIT 1000", (number,)):
        number = some[-1].number
