"""What is known of an account, in its state file: one SQLite database per account and selection is the catalogue.

It holds what every resource says of its medium, as it was parsed, and, per medium, what one probe found, what that was
proven to mean, what reading a whole object showed, and since when it is known to have no media; for which kinds of
media Twilio's `size` was once wrong; and how far a first listing came. Wrapped keys and IVs are no secrets; unwrapped
keys and plaintext never come here.

Nothing is told before a listing came whole, nor after damage until one did again: that is an error, never an empty
answer. Looks at single media are kept for a while in memory, as many as `REMEMBERED`.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from twfs.catalog import changes, queries
from twfs.catalog.changes import Applied
from twfs.catalog.database import Database, one_moment
from twfs.catalog.evidence import Evidence
from twfs.catalog.recent import Recent
from twfs.catalog.rows import KINDS, Entry, Size, info_of, probe_row
from twfs.catalog.schema import Damaged, checksum
from twfs.errors import Unreachable
from twfs.log import log
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

REMEMBERED = 2**13
"""Media whose rows are kept in memory once they were looked up: a kilobyte each, with all that hangs on them."""
SMALL = 4 * 2**20
"""Bytes of a file that is checked whole whenever it is opened, in some ten milliseconds; larger ones when all media are
listed anew, in the background. What a query meets is checked always."""

LOST = "the state file was lost or damaged while the account was listed; it must be listed again"
"""Said of a first listing whose beginning is not in the file any more."""

_Outcome = TypeVar("_Outcome")


class Pass(NamedTuple):
    """How far the first listing of one kind came, in whatever process."""

    began: float
    """Seconds since 1970 UTC."""
    place: str | None
    """Where to go on."""
    is_done: bool


class Store:
    """The state file; safe to use from several threads, and beside other processes with the same file."""

    def __init__(self, path: Path | None) -> None:
        """No I/O. Without a path everything is kept in memory."""
        self.database = Database(path, _is_whole, self._opened)
        self.evidence = Evidence(self.database)
        self._recent: Recent[Entry] = Recent(REMEMBERED)
        self._noted = threading.Lock()
        self._file_version: int | None = None
        self._last_number = 0
        """The largest that a medium had in any file that was used: what was told of a number holds while this lives."""
        self.version = 0
        """Grows with each change of what is shown, whoever made it as soon as that is known."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called, in any thread, when what was whole is so no more."""
        self.listed_at: float | None = None
        """When the last full pass ended, seconds since 1970 UTC; None if no listing ever came whole."""

    @property
    def is_lasting(self) -> bool:
        """Whether what is saved will be known after a remount."""
        return self.database.is_lasting

    @property
    def is_whole(self) -> bool:
        """Whether a listing came whole, so that questions are answered."""
        return self.listed_at is not None

    def load(self) -> float | None:
        """When the last complete listing ended; None if there is none that can be trusted."""
        self.database.read(_check_small)
        return self.look_again()

    def look_again(self) -> float | None:
        """The same, without a check; and notice what other processes changed, or that the file was taken away."""
        self.database.keep()
        self._note(self.database.read(_mark))
        return self.listed_at

    def check(self) -> None:
        """Set a damaged file aside. Takes seconds for a million media; waits for nobody."""
        self.database.read(_check)

    def ask(self, query: Callable[..., _Outcome], *arguments: Any) -> _Outcome:
        """What one of `queries` tells.

        Raises:
            Unreachable: no listing came whole yet, or the store is closed.
        """

        def whole(connection: sqlite3.Connection) -> _Outcome:
            self._require_whole()
            return query(connection, *arguments)

        outcome = self.database.read(whole)
        self._require_whole()
        return outcome

    def known(self, query: Callable[..., _Outcome], *arguments: Any) -> _Outcome:
        """The same, of what has been listed so far, whether that is all or not: for who lists."""
        return self.database.read(lambda connection: query(connection, *arguments))

    def entry(self, sid: str) -> Entry | None:
        """What is known of a medium, shown or not.

        Raises:
            Unreachable: as `ask`.
        """
        found = self._recent.get(sid)
        if found is None:
            generation = self._recent.generation
            found = self.ask(queries.find, sid)
            if found is not None:
                self._recent.put(sid, found, generation)
        return found

    def shown(self, sid: str) -> Entry | None:
        """The same of media that are shown.

        Raises:
            Unreachable: as `ask`.
        """
        entry = self.entry(sid)
        return entry if entry is not None and entry.is_shown else None

    def apply(
        self,
        changed: Sequence[Medium],
        gone: Collection[str] = (),
        *,
        shows: Callable[[Medium], bool] = lambda medium: medium.is_completed,
        then: Callable[[sqlite3.Connection], None] | None = None,
    ) -> Applied:
        """Remember `changed`, forget `gone` and all that is known of them; `then` is in the same transaction."""

        def work(connection: sqlite3.Connection) -> Applied:
            applied = changes.apply(connection, changed, gone, map(shows, changed))
            self._last_number = max(self._last_number, queries.last_number(connection))
            if then is not None:
                then(connection)
            return applied

        applied = self.database.write(work)
        self._recent.drop([*(medium.sid for medium in changed), *gone])
        if applied.version is not None:
            self._grow(applied.version)
        return applied

    def finish(self, listed_at: float, kinds: Collection[Kind] = ()) -> None:
        """A full pass ended; a first one, begun at `listed_at`, makes it whole if it came to the end of all `kinds`.

        The file may be another one than what was listed went to: then it is not whole.
        """

        def work(connection: sqlite3.Connection) -> None:
            ends = [_pass(connection, kind) for kind in kinds]
            if _mark(connection)[1] is not None or (ends and all(end is not None and end.is_done for end in ends)):
                connection.execute("DELETE FROM passes")
                connection.execute("UPDATE listing SET listed_at = ?", (float(listed_at),))

        self.database.write(work)
        self.look_again()

    def first_pass(self, kind: Kind) -> Pass | None:
        """How far the first listing came; None if it has not begun, or if that is damaged."""
        return self.database.read(lambda connection: _pass(connection, kind))

    def probe(self, sid: str) -> MediaInfo | None:
        """What was saved of `sid`; None if nothing, or if it is damaged: then it is forgotten."""
        entry = self.entry(sid)
        if entry is None:
            return None
        if entry.size is None:
            if entry.has_damaged_size:
                self._forget_probe(sid)
            return None
        size = entry.size
        info = self.database.read(lambda connection: _probe(connection, entry.number, size))
        if info is None:
            self._forget_probe(sid)
        return info

    def save_probe(self, sid: str, info: MediaInfo, keys: str = "") -> bool:
        """Remember `info`, which has facts, as judged by those `keys`; whether the medium is known.

        Never replaces READABLE by less for the same object: another mount may have fewer keys.
        """
        size = Size(info.state, info.plain_size, info.encrypted, keys)

        def work(connection: sqlite3.Connection) -> bool:
            entry = queries.find(connection, sid)
            if entry is None:
                return False
            row = probe_row(entry.number, info)
            connection.execute("DELETE FROM absences WHERE sid = ?", (sid,))
            if not (_is_less(entry, size) and _has_same_object(connection, entry, info)):
                connection.execute("INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                changes.set_size(connection, entry, size)
            return True

        is_known = self.database.write(work)
        self._recent.drop([sid])
        return is_known

    def _forget_probe(self, sid: str) -> None:
        log.warning("what the state file says of %s is damaged: it is looked at again", sid)

        def work(connection: sqlite3.Connection) -> None:
            entry = queries.find(connection, sid)
            if entry is not None:
                connection.execute("DELETE FROM probes WHERE id = ?", (entry.number,))
                changes.set_size(connection, entry, None)

        self.database.write(work)
        self._recent.drop([sid])

    def release(self) -> None:
        """Close the file until it is needed again; what is kept in memory stays."""
        self.database.release()

    def close(self) -> None:
        """Close for good; what was only in memory is forgotten."""
        self.database.close()

    def _require_whole(self) -> None:
        if not self.is_whole:
            raise Unreachable("what there is in this account is not known yet: it is being listed")

    def _opened(self, connection: sqlite3.Connection) -> None:
        """Another file is used from now on. It numbers new media behind those of the one before."""
        self._last_number = changes.number_behind(connection, self._last_number)
        self._note(_mark(connection))
        self._recent.clear()

    def _note(self, mark: tuple[int, float | None]) -> None:
        version, listed_at = mark
        with self._noted:
            if version != self._file_version or (listed_at is None) != (self.listed_at is None):
                self._recent.clear()
                self.version += 1
            is_lost = self.listed_at is not None and listed_at is None
            self._file_version, self.listed_at = version, listed_at
        if is_lost:
            self.on_lost()

    def _grow(self, file_version: int) -> None:
        with self._noted:
            if file_version != (self._file_version or 0) + 1:
                # Another process changed something, too.
                self._recent.clear()
            self._file_version = file_version
            self.version += 1


def noting(kind: Kind, reached: Pass, *, is_first: bool = True) -> Callable[[sqlite3.Connection], None]:
    """What notes how far a first listing came, in the transaction of its page; one that is done does not go back.

    The transaction fails with `Unreachable` if it is not the first page, and none is noted before it: those are lost.
    """
    row = (KINDS.index(kind), reached.began, reached.place, int(reached.is_done))

    def work(connection: sqlite3.Connection) -> None:
        before = _pass(connection, kind)
        if before is None and not is_first and _mark(connection)[1] is None:
            raise Unreachable(LOST)
        if before is None or not before.is_done:
            connection.execute("INSERT OR REPLACE INTO passes VALUES (?, ?, ?, ?, ?)", (*row, checksum(*row)))

    return work


def _pass(connection: sqlite3.Connection, kind: Kind) -> Pass | None:
    query = "SELECT kind, began, place, is_done, checksum FROM passes WHERE kind = ?"
    found = connection.execute(query, (KINDS.index(kind),)).fetchone()
    if found is None or checksum(*found[:-1]) != found[-1]:
        return None
    return Pass(found[1], found[2], bool(found[3]))


def _mark(connection: sqlite3.Connection) -> tuple[int, float | None]:
    found = connection.execute("SELECT resources, version, listed_at FROM listing").fetchone()
    if found is None:
        raise Damaged("the mark of its listing is gone")
    resources, version, listed_at = found
    if not (isinstance(resources, int) and isinstance(version, int) and isinstance(listed_at, float | None)):
        raise Damaged("the mark of its listing is unreadable")
    return version, listed_at


def _check_small(connection: sqlite3.Connection) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * size <= SMALL:
        with one_moment(connection):
            changes.check(connection)
            changes.check_rows(connection)


def _check(connection: sqlite3.Connection) -> None:
    with one_moment(connection):
        changes.check(connection)


def _is_whole(connection: sqlite3.Connection) -> bool:
    """Whether it holds a complete listing, undamaged."""
    with one_moment(connection):
        changes.check(connection)
        changes.check_rows(connection)
        return _mark(connection)[1] is not None


def _probe(connection: sqlite3.Connection, number: int, size: Size) -> MediaInfo | None:
    query = "SELECT reason, stored_size, etag, metadata, tail, checksum FROM probes WHERE id = ?"
    try:
        row = connection.execute(query, (number,)).fetchone()
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
        # Text that is no UTF-8: one medium's trouble.
        return None
    return None if row is None else info_of(number, size, row)


def _is_less(entry: Entry, size: Size) -> bool:
    is_readable = entry.size is not None and entry.size.state is MediaState.READABLE
    return is_readable and size.state is not MediaState.READABLE


def _has_same_object(connection: sqlite3.Connection, entry: Entry, info: MediaInfo) -> bool:
    before = None if entry.size is None else _probe(connection, entry.number, entry.size)
    return before is not None and before.facts == info.facts
