"""What is remembered across mounts: one SQLite file per account and selection.

It holds what every resource says of its medium, as it was parsed (parsing 100,000 of Twilio's records once more was a
third of a mount's start), and, per medium, what one probe found, what that was proven to mean, what reading a whole
object showed, and since when it is known to have no media; and for which kinds of media Twilio's `size` was once wrong.
Wrapped keys and IVs are no secrets; unwrapped keys and plaintext never come here.

The file is a memory, never a cause of errors: damaged or foreign, it is set aside and begun anew; taken away while in
use, it is made anew with all that was in it; where it cannot be written (read-only or full disk) the same tables live
in memory until the mount ends. Each is one warning.
SQLite has no checksums of its own, so every row carries one, and the number of resources is recorded: a flipped
bit is never read as a size, a key or a missing medium.

WAL, because a reader then never waits for another mount's writer, and with `synchronous=NORMAL` a commit does not
wait for the disk: a power cut loses the last moments, nothing else (https://sqlite.org/wal.html).
A connection must not be carried across a fork (https://sqlite.org/howtocorrupt.html, 2.6): `release()` before it.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from twfs.catalog.state_file import SIDE_FILES, make_private
from twfs.errors import Unreachable
from twfs.log import log
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium

SCHEMA_VERSION = 5
APPLICATION_ID = 0x74776673
"""`twfs` in ASCII: tells our files from other SQLite files."""
BUSY_SECONDS = 5.0
"""How long to wait for another mount's transaction: theirs last milliseconds, the first listing's about a second."""

_MOST_TURNS = 100
"""For which a new file waits until it is in WAL mode: one for each other mount that begins at that moment."""

_SCHEMA = f"""
CREATE TABLE resources (sid TEXT PRIMARY KEY, kind TEXT, fields TEXT, checksum INTEGER);
CREATE TABLE probes (sid TEXT PRIMARY KEY, state TEXT, plain_size INTEGER, encrypted INTEGER, reason TEXT,
    stored_size INTEGER, etag TEXT, metadata TEXT, tail BLOB, checksum INTEGER, size_checksum INTEGER);
CREATE TABLE readings (sid TEXT PRIMARY KEY, fingerprint TEXT, damage TEXT, checksum INTEGER);
CREATE TABLE absences (sid TEXT PRIMARY KEY, since REAL, checksum INTEGER);
CREATE TABLE distrust (kind TEXT PRIMARY KEY);
CREATE TABLE listing (only INTEGER PRIMARY KEY CHECK (only = 1), resource_count INTEGER, listed_at REAL);
INSERT INTO listing VALUES (1, 0, NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""  # noqa: S608 - two integer constants of this module; a PRAGMA takes no parameters

_PROBE_COLUMNS = "state, plain_size, encrypted, reason, stored_size, etag, metadata, tail"
_SIZE_COLUMNS = 3
"""So many of them tell a size; they have a checksum of their own, for all of them are read at each start."""
# A medium proven readable stays so as long as it is the same object: another mount may have fewer keys.
_SAVE_PROBE = f"""
INSERT INTO probes (sid, {_PROBE_COLUMNS}, checksum, size_checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sid) DO UPDATE SET ({_PROBE_COLUMNS}, checksum, size_checksum) = (excluded.state, excluded.plain_size,
    excluded.encrypted, excluded.reason, excluded.stored_size, excluded.etag, excluded.metadata, excluded.tail,
    excluded.checksum, excluded.size_checksum)
WHERE excluded.state = 'readable' OR probes.state <> 'readable' OR (probes.stored_size, probes.etag, probes.metadata,
    probes.tail) IS NOT (excluded.stored_size, excluded.etag, excluded.metadata, excluded.tail)
"""  # noqa: S608 - the column list is a constant of this module

_FIELDS = Medium._fields[2:]
"""All but SID and kind, which have columns of their own."""
_REPEATED = [_FIELDS.index(name) for name in ("account_sid", "status", "codec", "container", "media_type", "room_sid")]
"""What many media have in common is held once, as `parse_medium` has it: 30 MB less for 100,000 of them."""

_KINDS = {kind.value: kind for kind in Kind}
_AT_ONCE = 1000
"""Resources that are parsed together, which takes half the time."""

_Outcome = TypeVar("_Outcome")


class _Damaged(Exception):
    """The file is not what this module wrote."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A complete listing of an earlier mount."""

    media: list[Medium]
    listed_at: float
    """When the last full pass ended, seconds since 1970 UTC."""


class WholeReading(NamedTuple):
    """What reading all bytes of one object showed."""

    fingerprint: str
    """Of the object that it was (`ObjectFacts.fingerprint`)."""
    damage: str = ""
    """What is wrong with it, one line; empty if all of it was proven."""


class Store:
    """The state file; safe to use from several threads, and beside other processes with the same file."""

    def __init__(self, path: Path | None) -> None:
        """No I/O. Without a path everything is kept in memory."""
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        """Which file the connection is to: its path may lead to another one by now."""
        self._begun_anew = False
        self._closed = False

    @property
    def is_lasting(self) -> bool:
        """Whether what is saved will be known after a remount."""
        return self._path is not None

    def load(self) -> Remembered | None:
        """The last complete listing, or None if there is none that can be trusted."""
        return self._do(_load)

    def replace_all(self, media: Iterable[Medium], listed_at: float) -> None:
        """Remember just these, a complete listing that ended at `listed_at`. One transaction."""
        rows = _rows(media)

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("DELETE FROM resources")
                _insert(connection, rows)
                _count(connection)
                connection.execute("UPDATE listing SET listed_at = ?", (listed_at,))

        self._do(work)

    def save(
        self,
        changed: Iterable[Medium],
        gone: Collection[str] = (),
        listed_at: float | None = None,
        total: int = 0,
    ) -> None:
        """Remember `changed`, forget `gone` and all that is known of them. One transaction.

        `listed_at` confirms that all `total` resources known were listed just then. A file that was begun anew since
        holds fewer, and must not pass for a complete listing.
        """
        rows, dropped = _rows(changed), [(sid,) for sid in gone]

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                _insert(connection, rows)
                connection.executemany("DELETE FROM resources WHERE sid = ?", dropped)
                connection.executemany("DELETE FROM probes WHERE sid = ?", dropped)
                connection.executemany("DELETE FROM readings WHERE sid = ?", dropped)
                connection.executemany("DELETE FROM absences WHERE sid = ?", dropped)
                _count(connection)
                if listed_at is not None:
                    connection.execute("UPDATE listing SET listed_at = ? WHERE resource_count >= ?", (listed_at, total))

        self._do(work)

    def probed(self) -> list[tuple[str, MediaState, int, bool]]:
        """SID, state, plain size (bytes) and whether it is encrypted, of every medium that was ever probed."""
        return self._do(_probed)

    def probe(self, sid: str) -> MediaInfo | None:
        """What was saved of `sid`; None if nothing, or if the row is damaged."""
        return self._do(lambda connection: _probe(connection, sid))

    def save_probe(self, sid: str, info: MediaInfo) -> None:
        """Remember `info`, which has facts; never replaces READABLE by less for the same ETag."""
        row = _probe_row(info)

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                checksums = (_checksum(sid, *row), _checksum(sid, *row[:_SIZE_COLUMNS]))
                connection.execute(_SAVE_PROBE, (sid, *row, *checksums))
                connection.execute("DELETE FROM absences WHERE sid = ?", (sid,))

        self._do(work)

    def whole_reading(self, sid: str) -> WholeReading | None:
        """What the last reading of a whole object of `sid` showed; None if there was none."""
        return self._do(lambda connection: _whole_reading(connection, sid))

    def save_whole_reading(self, sid: str, reading: WholeReading) -> None:
        """Remember what reading all bytes of an object showed, instead of what was remembered of `sid`."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                row = (sid, *reading)
                connection.execute("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", (*row, _checksum(*row)))

        self._do(work)

    def absent_since(self, sid: str, now: float) -> float:
        """When `sid` was first found to have no media, without one that was found since: `now` if that was not known.

        Seconds since 1970 UTC. It is remembered.
        """
        return self._do(lambda connection: _absent_since(connection, sid, now))

    def end_absence(self, sid: str) -> None:
        """Media of `sid` were found."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("DELETE FROM absences WHERE sid = ?", (sid,))

        self._do(work)

    def distrusted(self) -> frozenset[Kind]:
        """Kinds of media whose sizes Twilio once told wrongly."""
        return self._do(_distrusted)

    def save_distrust(self, kind: Kind) -> None:
        """Remember that Twilio told the size of such a medium wrongly."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("INSERT OR IGNORE INTO distrust VALUES (?)", (kind.value,))

        self._do(work)

    def release(self) -> None:
        """Close the file until it is needed again; what is kept in memory stays."""
        with self._lock:
            if self._path is not None:
                self._disconnect()

    def close(self) -> None:
        """Close for good; what was only in memory is forgotten."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _do(self, work: Callable[[sqlite3.Connection], _Outcome]) -> _Outcome:
        """Run `work`; on trouble change to a new file or to memory (`_recover`), where it runs again.

        Three attempts: the file, a new file in its place, memory. An error of the last is a bug or lack of memory.

        Raises:
            Unreachable: the store is closed, which a request that outlasts the mount may still meet.
        """
        with self._lock:
            if self._closed:
                raise Unreachable("twfs is stopping")
            for _ in range(2):
                try:
                    return work(self._open())
                except (sqlite3.Error, OSError, UnicodeDecodeError, _Damaged) as error:
                    if self._path is None:
                        raise
                    self._recover(self._path, error)
            return work(self._open())

    def _open(self) -> sqlite3.Connection:
        before = self._connection
        if before is not None and (self._path is None or not _is_taken_away(self._path, self._file)):
            return before
        now = self._connection = _connect(self._path)
        self._file = None if self._path is None else self._path.stat()
        if before is not None:
            self._take_along(before, now)
        return now

    def _take_along(self, before: sqlite3.Connection, now: sqlite3.Connection) -> None:
        """Caches are deleted at any time: SQLite would go on writing where nobody will ever read."""
        log.warning("state file %s was taken away while in use: what is known goes into a new one", self._path)
        with closing(before):
            if _is_whole(before) and not _is_whole(now):
                _copy(before, now)

    def _recover(self, path: Path, error: Exception) -> None:
        damaged = isinstance(error, _Damaged) or _tells_of_damage(error)
        if damaged and not self._begun_anew:
            self._begun_anew = True
            self._disconnect()
            try:
                aside = _set_aside(path)
            except OSError as cause:
                self._go_on_in_memory(path, cause, copy=False)
            else:
                log.warning(
                    "state file %s cannot be trusted (%s): set aside as %s, begun anew", path, error, aside.name
                )
        else:
            self._go_on_in_memory(path, error, copy=not damaged)

    def _go_on_in_memory(self, path: Path, error: Exception, *, copy: bool) -> None:
        log.warning(
            "state file %s cannot be used (%s): what is learnt is kept in memory and lost at unmount;"
            " check the disk, or name another folder with state_dir",
            path,
            error,
        )
        memory = _connect(None)
        before, self._connection = self._connection, memory
        self._path = None
        if before is not None:
            with closing(before):
                if copy and not _copy(before, memory):
                    memory.close()
                    self._connection = _connect(None)


def _rows(media: Iterable[Medium]) -> list[tuple[str, str, str, int]]:
    # JSON in ASCII: Twilio's text may hold lone surrogates, which SQLite does not take.
    named = ((medium.sid, medium.kind.value, json.dumps(medium[2:], separators=(",", ":"))) for medium in media)
    return [(*columns, _checksum(*columns)) for columns in named]


def _insert(connection: sqlite3.Connection, rows: list[tuple[str, str, str, int]]) -> None:
    connection.executemany("INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?)", rows)


def _count(connection: sqlite3.Connection) -> None:
    """So that a lost row will be missed."""
    connection.execute("UPDATE listing SET resource_count = (SELECT count(*) FROM resources)")


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        make_private(path)
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        with _transaction(connection):
            _ensure_schema(connection)
        _change_to_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _change_to_wal(connection: sqlite3.Connection) -> None:
    """For this SQLite waits for no other mount that has the new file at the same moment; in a transaction it does."""
    for turns_left in reversed(range(_MOST_TURNS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not turns_left:
                raise
        else:
            return
        with _transaction(connection):
            pass


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself rolls back on some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _ensure_schema(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
        return
    if application == APPLICATION_ID:
        raise _Damaged(f"its format is version {version}, this twfs writes version {SCHEMA_VERSION}")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise _Damaged("it is another program's database")
    # Statement by statement: executescript() would end the transaction that keeps two first mounts apart.
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)


def _is_taken_away(path: Path, file: os.stat_result | None) -> bool:
    """Whether nothing stands there any more, or something else than `file`."""
    try:
        return file is None or not os.path.samestat(path.stat(), file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _is_whole(connection: sqlite3.Connection) -> bool:
    """Whether it holds a complete listing, undamaged."""
    try:
        return _load(connection) is not None
    except (sqlite3.Error, UnicodeDecodeError, _Damaged):
        return False


def _set_aside(path: Path) -> Path:
    aside = path.with_name(path.name + ".damaged")
    for side_file in SIDE_FILES:
        path.with_name(path.name + side_file).unlink(missing_ok=True)
    return path.replace(aside)


def _tells_of_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    # Text that is no UTF-8: an error without a code in a column, a UnicodeDecodeError in the schema.
    return isinstance(error, sqlite3.Error | UnicodeDecodeError)


def _never_wait(status: int, _remaining: int, _total: int) -> None:
    """Python's backup() would wait for another process's lock without end."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("another process holds it")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    try:
        source.backup(target, progress=_never_wait)
    except sqlite3.Error as error:
        log.info("what the state file held could not be taken over (%s): it will be asked for again", error)
        return False
    return True


def _load(connection: sqlite3.Connection) -> Remembered | None:
    mark = connection.execute("SELECT resource_count, listed_at FROM listing").fetchone()
    if mark is None:
        raise _Damaged("the mark of its listing is gone")
    count, listed_at = mark
    if listed_at is None:
        return None
    if not isinstance(listed_at, float) or not isinstance(count, int):
        raise _Damaged("the mark of its listing is unreadable")
    media = list(_media(connection))
    if len({medium.sid for medium in media}) != count:
        raise _Damaged(f"it should hold {count} resources and holds {len(media)}")
    return Remembered(media, listed_at)


def _media(connection: sqlite3.Connection) -> Iterator[Medium]:
    rows = connection.execute("SELECT sid, kind, fields, checksum FROM resources")
    while some := rows.fetchmany(_AT_ONCE):
        if any(_checksum(*columns) != checksum for *columns, checksum in some):
            raise _Damaged("a resource does not match its checksum")
        try:
            yield from _parsed(some)
        except (ValueError, TypeError, LookupError) as error:
            raise _Damaged(f"a resource cannot be read: {error}") from error


def _parsed(rows: list[tuple[str, str, str, int]]) -> list[Medium]:
    parsed = json.loads(f"[{','.join(text for _, _, text, _ in rows)}]")
    return [_medium(sid, _KINDS[kind], values) for (sid, kind, _, _), values in zip(rows, parsed, strict=True)]


def _medium(sid: str, kind: Kind, values: list[Any]) -> Medium:
    for place in _REPEATED:
        if values[place] is not None:
            values[place] = intern(values[place])
    return Medium._make((sid, kind, *values))


def _probed(connection: sqlite3.Connection) -> list[tuple[str, MediaState, int, bool]]:
    """A row whose size is damaged is passed over: that medium is looked at again."""
    rows = connection.execute("SELECT sid, state, plain_size, encrypted, size_checksum FROM probes")
    states = {state.value: state for state in MediaState}
    return [
        (sid, states[state], size, bool(encrypted))
        for sid, state, size, encrypted, checksum in rows
        if _checksum(sid, state, size, encrypted) == checksum
    ]


def _distrusted(connection: sqlite3.Connection) -> frozenset[Kind]:
    """All of them if it cannot be read which: a flipped bit must not bring trust back."""
    known = {kind.value: kind for kind in Kind}
    names = [name for (name,) in connection.execute("SELECT kind FROM distrust")]
    return frozenset(known[name] for name in names) if all(name in known for name in names) else frozenset(Kind)


def _probe(connection: sqlite3.Connection, sid: str) -> MediaInfo | None:
    found = connection.execute(f"SELECT {_PROBE_COLUMNS}, checksum FROM probes WHERE sid = ?", (sid,)).fetchone()  # noqa: S608 - a constant list
    if found is None:
        return None
    *row, checksum = found
    if _checksum(sid, *row) != checksum:
        log.warning("what the state file says of %s is damaged: it is looked at again", sid)
        return None
    state, plain_size, encrypted, reason, stored_size, etag, metadata, tail = row
    facts = ObjectFacts(stored_size, etag, json.loads(metadata), tail)
    return MediaInfo(MediaState(state), plain_size, bool(encrypted), etag, reason, facts)


def _whole_reading(connection: sqlite3.Connection, sid: str) -> WholeReading | None:
    """None if the row is damaged: a flipped bit must not become a proof."""
    found = connection.execute("SELECT fingerprint, damage, checksum FROM readings WHERE sid = ?", (sid,)).fetchone()
    if found is None or _checksum(sid, *found[:2]) != found[2]:
        return None
    reading = WholeReading(*found[:2])
    return reading if all(isinstance(text, str) for text in reading) else None


def _absent_since(connection: sqlite3.Connection, sid: str, now: float) -> float:
    with _transaction(connection):
        found = connection.execute("SELECT since, checksum FROM absences WHERE sid = ?", (sid,)).fetchone()
        if found is not None and isinstance(found[0], float) and _checksum(sid, found[0]) == found[1]:
            return found[0]
        connection.execute("INSERT OR REPLACE INTO absences VALUES (?, ?, ?)", (sid, now, _checksum(sid, now)))
    return now


def _probe_row(info: MediaInfo) -> tuple[Any, ...]:
    facts = info.facts
    if facts is None:
        raise ValueError("a probe without facts is nothing to remember")
    metadata = json.dumps(dict(facts.metadata), sort_keys=True)
    size = (info.state.value, info.plain_size, int(info.encrypted), info.reason)
    return (*size, facts.stored_size, facts.etag, metadata, bytes(facts.tail))


def _checksum(*columns: object) -> int:
    return crc32(repr(columns).encode("utf-8", "surrogatepass"))
