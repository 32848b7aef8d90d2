"""What folders and sums say of media, kept by the transaction that changes the media: at the cost of the change.

Counts change by what came and went. The newest date of a folder is looked up again, by an index, only where the medium
that had it went or became older.
"""

import sqlite3
from dataclasses import dataclass
from typing import Any

from twfs.catalog.rows import KINDS, STATES, Entry, Size, entries_of
from twfs.catalog.schema import Damaged, checksum
from twfs.folders import ROOT, homes
from twfs.probe import MediaState
from twfs.resources import Medium

AES_BLOCK = 16
"""Every ciphertext is a multiple of so many bytes."""

FOLDER_COLUMNS = "id, path, parent, media, below, folders, newest, version, checksum"
_NEVER_PROBED = -1
_NO_WORD = -1
"""Nothing to compare a size with."""


@dataclass(slots=True)
class FolderRow:
    """A row of `folders`."""

    number: int
    path: str
    parent: int | None
    media: int
    below: int
    folders: int
    newest: int
    version: int

    @property
    def values(self) -> tuple[Any, ...]:
        """All but its number."""
        return (self.path, self.parent, self.media, self.below, self.folders, self.newest, self.version)


@dataclass(slots=True)
class _Change:
    """What a transaction does to a folder."""

    media: int = 0
    below: int = 0
    folders: int = 0
    added: int | None = None
    """The newest date of what came."""
    removed: int | None = None
    """The newest date of what went."""


class Ledger:
    """The changes of one transaction, written by `settle`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """`connection` is in a transaction that writes."""
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self._changes: dict[str, _Change] = {}
        self._totals: dict[tuple[Any, ...], list[int]] = {}
        self._is_off = False
        """Whether a medium changed of which nobody can say how it was counted."""

    def number(self, path: str) -> int:
        """That of a folder, which is made if there is none."""
        found = self._numbers.get(path)
        if found is None:
            row = self._connection.execute("SELECT id FROM folders WHERE path = ?", (path,)).fetchone()
            found = self._numbers[path] = row[0] if row is not None else self._make(path)
        return found

    def came(self, entry: Entry) -> None:
        """A medium is shown from now on."""
        self._count(entry, 1)
        for path, is_home in _folders_of(entry.medium):
            change = self._change(path, is_home, 1)
            change.added = _newer(change.added, entry.medium.changed_at)

    def went(self, entry: Entry) -> None:
        """It is not shown any more, or not as it was."""
        self._count(entry, -1)
        for path, is_home in _folders_of(entry.medium):
            change = self._change(path, is_home, -1)
            change.removed = _newer(change.removed, entry.medium.changed_at)

    def sized(self, before: Entry, after: Entry) -> None:
        """What is known of the size of a shown medium changed."""
        self._count(before, -1)
        self._count(after, 1)

    def settle(self) -> int | None:
        """Write all; the version of the catalogue from now on, None if no folder changed."""
        if self._is_off:
            self._recount()
        for key, amounts in self._totals.items():
            _add_total(self._connection, key, amounts)
        if not self._changes:
            return None
        self._connection.execute("UPDATE listing SET version = version + 1")
        (version,) = self._connection.execute("SELECT version FROM listing").fetchone()
        # From below: a folder that begins or ceases to be shown is one more or less in the one above it.
        for path in sorted(self._changes, key=lambda each: each.count("/"), reverse=True):
            self._settle(path, self._changes[path], version)
        return int(version)

    def _make(self, path: str) -> int:
        parent = self.number(path.rpartition("/")[0])
        row = (path, parent, 0, 0, 0, 0, 0)
        made = self._connection.execute(
            "INSERT INTO folders VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(*row))
        )
        return int(made.lastrowid or 0)

    def _change(self, path: str, is_home: bool, by: int) -> _Change:  # noqa: FBT001 - of one caller each
        change = self._changes.setdefault(path, _Change())
        change.media += by if is_home else 0
        change.below += by
        return change

    def _settle(self, path: str, change: _Change, version: int) -> None:
        row = folder_row(self._connection, path)
        if row is None:
            raise Damaged(f"the folder {path} is gone")
        was_shown = row.below > 0
        row.media += change.media
        row.below += change.below
        row.folders += change.folders
        # As where there is nothing: a date before 1970 is none.
        row.newest = max(0, self._newest(row, change))
        row.version = version
        if min(row.media, row.below, row.folders) < 0:
            raise Damaged(f"there are fewer than no media in {path}")
        self._connection.execute(
            "UPDATE folders SET media = ?, below = ?, folders = ?, newest = ?, version = ?, checksum = ? WHERE id = ?",
            (*row.values[2:], checksum(*row.values), row.number),
        )
        if row.parent not in (None, 1):
            above = self._changes[path.rpartition("/")[0]]
            above.folders += (row.below > 0) - was_shown

    def _newest(self, row: FolderRow, change: _Change) -> int:
        if row.below <= 0:
            return 0
        before = row.newest if row.below > change.below else None
        is_lost = change.removed is not None and before is not None and change.removed >= before
        if not is_lost or (change.added is not None and change.added >= (change.removed or 0)):
            return _newer(before, change.added if change.added is not None else before or 0)
        return max(_newest_medium(self._connection, row), _newest_folder(self._connection, row))

    def _recount(self) -> None:
        """Damage made this necessary: a pass over all."""
        self._connection.execute("DELETE FROM totals")
        self._totals.clear()
        number = 0
        while some := entries_of(self._connection, "shown = 1 AND id > ? ORDER BY id LIMIT 1000", (number,)):
            number = some[-1].number
            for entry in some:
                self._count(entry, 1)

    def _count(self, entry: Entry, by: int) -> None:
        self._is_off |= entry.has_damaged_size
        key, sizes = _total_of(entry)
        amounts = self._totals.setdefault(key, [0, 0, 0])
        for place, amount in enumerate((1, *sizes)):
            amounts[place] += by * amount


def folder_row(connection: sqlite3.Connection, path: str) -> FolderRow | None:
    """The folder of that path.

    Raises:
        Damaged: its row is not what was written.
    """
    found = connection.execute(f"SELECT {FOLDER_COLUMNS} FROM folders WHERE path = ?", (path,)).fetchone()  # noqa: S608
    return None if found is None else folder_row_of(found)


def folder_row_of(found: tuple[Any, ...]) -> FolderRow:
    """Of `FOLDER_COLUMNS`.

    Raises:
        Damaged: it is not what was written.
    """
    number, *values, mark = found
    if checksum(*values) != mark:
        raise Damaged("a folder does not match its checksum")
    return FolderRow(number, *values)


def agreement(medium: Medium, size: Size) -> int | None:
    """Whether Twilio's `size` is the plain size of a readable object; None if there is nothing to compare."""
    if size.state is not MediaState.READABLE or medium.claimed_size is None:
        return None
    return int(medium.claimed_size == size.plain_size)


def _folders_of(medium: Medium) -> list[tuple[str, bool]]:
    """Each folder it is in or below, once, and whether it is in it itself."""
    found: dict[str, bool] = {}
    for home in homes(medium):
        found[home] = True
        path = home
        while path != ROOT:
            path = path.rpartition("/")[0]
            found.setdefault(path, False)
    return list(found.items())


def _newer(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)


def _newest_medium(connection: sqlite3.Connection, row: FolderRow) -> int:
    if row.media == 0:
        return 0
    kinds = {f"/{kind}": number for number, kind in enumerate(KINDS)}
    if row.path in kinds:
        condition, value = "kind", kinds[row.path]
    else:
        condition, value = ("room" if row.path.startswith("/by-room/") else "day"), row.number
    query = f"SELECT max(changed_at) FROM media WHERE shown = 1 AND {condition} = ?"  # noqa: S608 - three constants
    return int(connection.execute(query, (value,)).fetchone()[0] or 0)


def _newest_folder(connection: sqlite3.Connection, row: FolderRow) -> int:
    query = "SELECT max(newest) FROM folders WHERE below > 0 AND parent = ?"
    return int(connection.execute(query, (row.number,)).fetchone()[0] or 0)


def _total_of(entry: Entry) -> tuple[tuple[Any, ...], tuple[int, int]]:
    """The sum that a shown medium belongs to, and its bytes, twice.

    Of one never probed: what Twilio claims, and the same if no ciphertext can have so many.
    """
    medium, size = entry.medium, entry.size
    kind = KINDS.index(medium.kind)
    if size is None:
        claimed = (medium.claimed_size or 0) if medium.duration else 0
        return (kind, _NEVER_PROBED, "", 0, _NO_WORD), (claimed, claimed if claimed % AES_BLOCK else 0)
    agrees = agreement(medium, size)
    key = (kind, STATES.index(size.state), size.keys, int(size.encrypted), _NO_WORD if agrees is None else agrees)
    return key, (size.plain_size, 0)


def _add_total(connection: sqlite3.Connection, key: tuple[Any, ...], amounts: list[int]) -> None:
    if not any(amounts):
        return
    where = "kind = ? AND state = ? AND keys = ? AND encrypted = ? AND agrees = ?"
    found = connection.execute(f"SELECT media, bytes, odd_bytes, checksum FROM totals WHERE {where}", key).fetchone()  # noqa: S608
    before = (0, 0, 0) if found is None else amounts_of(key, found)
    media, *sizes = (one + other for one, other in zip(before, amounts, strict=True))
    if media < 0:
        raise Damaged("a sum counts fewer than no media")
    # As text, for what Twilio claims may add up to more than SQLite's integers hold.
    row = (*key, media, *map(str, sizes))
    connection.execute("INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(*row)))


def amounts_of(key: tuple[Any, ...], found: tuple[Any, ...]) -> tuple[int, int, int]:
    """Media, their bytes, and thereof those that no ciphertext can have, of a row of `totals` behind its key.

    Raises:
        Damaged: it is not what was written.
    """
    media, size, odd_size, mark = found
    if checksum(*key, media, size, odd_size) != mark:
        raise Damaged("a sum does not match its checksum")
    return media, int(size), int(odd_size)
