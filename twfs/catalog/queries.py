"""What is asked of the media in the state file: short queries by index, which read no more than they are asked for."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from twfs.catalog.ledger import FOLDER_COLUMNS, FolderRow, amounts_of, folder_row, folder_row_of
from twfs.catalog.rows import KINDS, SIZE_COLUMNS, Entry, Size, entries_of, placed_of, size_of
from twfs.catalog.schema import Damaged
from twfs.folders import BY_ROOM, FIRST_COOKIE, FIXED_FOLDERS, FOLDER_OF, ROOT, KnownFolder, PlacedMedium
from twfs.resources import Kind

_AT_ONCE = 500
"""Media named in one query; SQLite takes 999 values, and more only since 3.32."""
COOKIES_FROM = FIRST_COOKIE - 1
"""What is added to a row's number, which begins with 1."""


@dataclass(frozen=True, slots=True)
class Sums:
    """How many media are shown, and their bytes, of one kind, state and set of keys."""

    kind: Kind
    state: int | None
    """Its number in `rows.STATES`; None of those never probed."""
    keys: str
    encrypted: bool
    agrees: bool | None
    """Whether Twilio's `size` is their plain size."""
    media: int
    size: int
    odd_size: int


def find(connection: sqlite3.Connection, sid: str) -> Entry | None:
    """The medium, shown or not."""
    entries = entries_of(connection, "sid = ?", (sid,))
    return entries[0] if entries else None


def find_all(connection: sqlite3.Connection, sids: Sequence[str]) -> dict[str, Entry]:
    """Those of them that are known, shown or not."""
    found: dict[str, Entry] = {}
    for first in range(0, len(sids), _AT_ONCE):
        some = tuple(sids[first : first + _AT_ONCE])
        where = f"sid IN ({', '.join('?' * len(some))})"
        found.update((entry.medium.sid, entry) for entry in entries_of(connection, where, some))
    return found


def sizes(connection: sqlite3.Connection, sids: Sequence[str]) -> dict[str, Size | None]:
    """What probes of those of them have found that are shown, in a third of the time of `find_all`."""
    found: dict[str, Size | None] = {}
    for first in range(0, len(sids), _AT_ONCE):
        some = tuple(sids[first : first + _AT_ONCE])
        query = f"SELECT sid, id, {SIZE_COLUMNS} FROM media WHERE shown = 1 AND sid IN ({', '.join('?' * len(some))})"  # noqa: S608
        found.update((sid, size_of(number, row)) for sid, number, *row in connection.execute(query, some).fetchall())
    return found


def folder(connection: sqlite3.Connection, path: str) -> KnownFolder | None:
    """The folder, if it is shown."""
    row = folder_row(connection, path)
    return None if row is None or not _is_shown(row) else _known(row)


def subfolders(connection: sqlite3.Connection, path: str, after: int, limit: int) -> list[KnownFolder]:
    """As `MediaIndex.subfolders`."""
    parent = folder_row(connection, path)
    if parent is None:
        return []
    shown = "" if path == ROOT else " AND below > 0"
    query = f"SELECT {FOLDER_COLUMNS} FROM folders WHERE parent = ?{shown} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
    rows = connection.execute(query, (parent.number, after - COOKIES_FROM, limit)).fetchall()
    return [_known(folder_row_of(row)) for row in rows]


def page(connection: sqlite3.Connection, path: str, after: int, limit: int) -> list[PlacedMedium]:
    """As `MediaIndex.page`."""
    kinds = {folder: number for number, folder in enumerate(FOLDER_OF[kind] for kind in KINDS)}
    if path in kinds:
        column, value = "kind", kinds[path]
    else:
        row = folder_row(connection, path)
        if row is None or row.media == 0:
            return []
        column, value = ("room" if path.startswith(f"{BY_ROOM}/") else "day"), row.number
    if after < FIRST_COOKIE:
        _check_count(connection, path, column, value)
    where = f"shown = 1 AND {column} = ? AND id > ? ORDER BY id LIMIT ?"
    found = placed_of(connection, where, (value, max(after - COOKIES_FROM, 0), limit))
    return [PlacedMedium(number + COOKIES_FROM, medium) for number, medium in found]


def shown_after(connection: sqlite3.Connection, number: int, limit: int) -> list[Entry]:
    """Shown media of any kind behind that row, in order."""
    return entries_of(connection, "shown = 1 AND id > ? ORDER BY id LIMIT ?", (number, limit))


def neighbours(
    connection: sqlite3.Connection, kind: Kind, number: int, limit: int, *, backwards: bool
) -> list[tuple[int, str]]:
    """Numbers and SIDs of the shown media of that kind that come next in the list."""
    direction, order = ("<", "DESC") if backwards else (">", "ASC")
    query = f"SELECT id, sid FROM media WHERE shown = 1 AND kind = ? AND id {direction} ? ORDER BY id {order} LIMIT ?"  # noqa: S608
    return connection.execute(query, (KINDS.index(kind), number, limit)).fetchall()


def pending(connection: sqlite3.Connection, kind: Kind, after: int, limit: int) -> list[tuple[int, str]]:
    """Numbers and SIDs of shown media that were never probed, in order."""
    query = (
        "SELECT id, sid FROM media INDEXED BY media_pending"
        " WHERE shown = 1 AND state IS NULL AND kind = ? AND id > ? ORDER BY id LIMIT ?"
    )
    return connection.execute(query, (KINDS.index(kind), after, limit)).fetchall()


def pending_span(connection: sqlite3.Connection, kind: Kind) -> tuple[int, int]:
    """The first and the last number of those, (0, 0) if there are none."""
    query = "SELECT id FROM media INDEXED BY media_pending WHERE shown = 1 AND state IS NULL AND kind = ? ORDER BY id"
    ends = [connection.execute(f"{query} {way} LIMIT 1", (KINDS.index(kind),)).fetchone() for way in ("ASC", "DESC")]
    return (ends[0][0], ends[1][0]) if ends[0] and ends[1] else (0, 0)


def closed(connection: sqlite3.Connection, keys: str, after: tuple[str, int], limit: int) -> list[tuple[str, int, str]]:
    """Media that are not readable, as other keys than those have judged: keys, number and SID, in that order."""
    query = (
        "SELECT keys, id, sid FROM media INDEXED BY media_closed"
        " WHERE state > 0 AND keys != ? AND (keys, id) > (?, ?) ORDER BY keys, id LIMIT ?"
    )
    return connection.execute(query, (keys, *after, limit)).fetchall()


def unsettled(connection: sqlite3.Connection) -> list[Entry]:
    """Media whose status will still change."""
    return entries_of(connection, "settled = 0 ORDER BY id", ())


def count_unsettled(connection: sqlite3.Connection) -> int:
    """How many those are."""
    return int(connection.execute("SELECT count(*) FROM media WHERE settled = 0").fetchone()[0])


def numbers_of(connection: sqlite3.Connection, kind: Kind, shown: int, after: int, limit: int) -> list[int]:
    """Numbers of the known media of that kind, those that are shown (1) or those that are not (0), in order."""
    query = "SELECT id FROM media WHERE kind = ? AND shown = ? AND id > ? ORDER BY id LIMIT ?"
    values = (KINDS.index(kind), shown, after, limit)
    return [number for (number,) in connection.execute(query, values).fetchall()]


def newest(connection: sqlite3.Connection, kind: Kind, now: int) -> int | None:
    """The latest `changed_at` up to `now` of the shown media of that kind."""
    query = "SELECT max(changed_at) FROM media WHERE shown = 1 AND kind = ? AND changed_at <= ?"
    found = connection.execute(query, (KINDS.index(kind), now)).fetchone()[0]
    return None if found is None else int(found)


def sid_of(connection: sqlite3.Connection, number: int) -> str | None:
    """Whose row that is."""
    entries = entries_of(connection, "id = ?", (number,))
    return entries[0].medium.sid if entries else None


def count(connection: sqlite3.Connection) -> int:
    """How many media are known, shown or not."""
    return int(connection.execute("SELECT resources FROM listing").fetchone()[0])


def last_number(connection: sqlite3.Connection) -> int:
    """The largest that a medium has or had."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'media'").fetchone()
    return 0 if row is None else int(row[0])


def sums(connection: sqlite3.Connection) -> list[Sums]:
    """Over all media that are shown."""
    found = []
    for row in connection.execute("SELECT * FROM totals").fetchall():
        kind, state, keys, encrypted, agrees = key = row[:5]
        amounts = amounts_of(key, row[5:])
        known = (KINDS[kind], None if state < 0 else state, keys, bool(encrypted), None if agrees < 0 else bool(agrees))
        found.append(Sums(*known, *amounts))
    return [each for each in found if each.media]


def _check_count(connection: sqlite3.Connection, path: str, column: str, value: int) -> None:
    """Indexes have no checksums: what a damaged one has lost, no row that is read can show.

    One statement, so that no change comes in between; a million entries of an index are counted in some 30 ms.

    Raises:
        Damaged: the index of a folder holds more or fewer media than the folder has.
    """
    query = f"SELECT media, (SELECT count(*) FROM media WHERE shown = 1 AND {column} = ?) FROM folders WHERE path = ?"  # noqa: S608
    expected, found = connection.execute(query, (value, path)).fetchone() or (0, 0)
    if expected != found:
        raise Damaged(f"{path} should have {expected} media and has {found}")


def _is_shown(row: FolderRow) -> bool:
    return row.below > 0 or row.path == ROOT or row.path in FIXED_FOLDERS


def _known(row: FolderRow) -> KnownFolder:
    return KnownFolder(row.path, row.number + COOKIES_FROM, row.newest, row.folders, row.media, row.version)
