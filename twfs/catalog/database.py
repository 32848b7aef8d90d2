"""The state file's connections: one that writes, a few that read, and what becomes of all when the file is no use.

The file is a memory, never a cause of errors: damaged or foreign, it is set aside and begun anew; taken away while in
use, it is made anew with all that was in it; where it cannot be written (read-only or full disk) the same tables live
in memory until the mount ends. Each is one warning.

WAL, because a reader then never waits for a writer of this or another process, and with `synchronous=NORMAL` a commit
does not wait for the disk: a power cut loses the last moments, nothing else (https://sqlite.org/wal.html).
A connection must not be carried across a fork (https://sqlite.org/howtocorrupt.html, 2.6): `release()` before it.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from twfs.catalog.schema import Damaged, ensure_schema
from twfs.catalog.state_file import SIDE_FILES, make_private
from twfs.errors import Unreachable
from twfs.log import log

BUSY_SECONDS = 5.0
"""How long to wait for another mount's transaction: theirs last milliseconds."""
READERS = 4
"""Connections that read. A query holds the interpreter's lock but for what SQLite itself does: more would only wait."""
READ_CACHE_KIB = 256
"""Pages that each of them keeps (SQLite's default is 2 MiB); the kernel has the file in its own cache anyway."""

_MOST_TURNS = 100
"""For which a new file waits until it is in WAL mode: one for each other mount that begins at that moment."""

_TROUBLE = (sqlite3.Error, OSError, UnicodeDecodeError, Damaged)

Outcome = TypeVar("Outcome")
Work = Callable[[sqlite3.Connection], Outcome]


class Database:
    """The state file; safe to use from several threads, and beside other processes with the same file."""

    def __init__(self, path: Path | None, is_whole: Callable[[sqlite3.Connection], bool], on_open: Work[None]) -> None:
        """No I/O. Without a path everything is kept in memory.

        `is_whole` tells whether another file's content is worth keeping; `on_open` sees every new file first.
        """
        self._path = path
        self._is_whole = is_whole
        self._on_open = on_open
        self._lock = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        """Which file the connections are to: its path may lead to another one by now."""
        self._idle: list[sqlite3.Connection] = []
        self._free_readers = threading.BoundedSemaphore(READERS)
        self._idle_lock = threading.Lock()
        self._generation = 0
        """Grows whenever the idle readers are to another file than is used from now on."""
        self._recoveries = 0
        self._begun_anew = False
        self._closed = False

    @property
    def is_lasting(self) -> bool:
        """Whether what is saved will be known after a remount."""
        return self._path is not None

    def write(self, work: Work[Outcome]) -> Outcome:
        """Run `work` in one transaction; on trouble change to a new file or to memory (`_recover`), and run it again.

        Three attempts: the file, a new file in its place, memory. An error of the last is a bug or lack of memory.

        Raises:
            Unreachable: the database is closed, which a request that outlasts the mount may still meet.
        """
        with self._lock:
            return self._attempts(lambda: self._in_transaction(work))

    def read(self, work: Work[Outcome]) -> Outcome:
        """Run `work`, which only reads, without waiting for a writer.

        Raises:
            Unreachable: as `write`.
        """
        return self._attempts(lambda: self._on_reader(work))

    def keep(self) -> None:
        """If the file was taken away, make it anew now, not only with the next change."""
        with self._lock:
            if self._writer is not None and self._path is not None and _is_taken_away(self._path, self._file):
                self.write(lambda _: None)

    def release(self) -> None:
        """Close the file until it is needed again; what is kept in memory stays."""
        with self._lock:
            if self._path is not None:
                self._disconnect()

    def close(self) -> None:
        """Close for good; what was only in memory is forgotten."""
        with self._lock:
            self.keep()
            self._closed = True
            self._disconnect()

    def _attempts(self, once: Callable[[], Outcome]) -> Outcome:
        for _ in range(2):
            recoveries, path = self._recoveries, self._path
            try:
                return once()
            except _TROUBLE as error:
                if path is None:
                    raise
                with self._lock:
                    # Another thread may have met the same trouble, and overcome it.
                    if self._recoveries == recoveries and self._path is not None:
                        self._recover(self._path, error)
        return once()

    def _in_transaction(self, work: Work[Outcome]) -> Outcome:
        with transaction(self._open()) as connection:
            return work(connection)

    def _on_reader(self, work: Work[Outcome]) -> Outcome:
        if self._path is None:
            with self._lock:
                return work(self._open())
        with self._free_readers, self._reader() as connection:
            return work(connection)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        connection, generation = self._take_reader()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._idle_lock:
            is_current = generation == self._generation
            if is_current:
                self._idle.append(connection)
        if not is_current:
            connection.close()

    def _take_reader(self) -> tuple[sqlite3.Connection, int]:
        with self._idle_lock:
            generation = self._generation
            if self._idle and not self._closed:
                return self._idle.pop(), generation
        if self._writer is None or _is_taken_away(self._path, self._file):
            with self._lock:
                self._open()
                generation = self._generation
        path = self._path
        if path is None:
            raise _MovedToMemory
        return _connect_reader(path), generation

    def _open(self) -> sqlite3.Connection:
        """The connection that writes, to the file that stands at the path now. With the lock held."""
        if self._closed:
            raise Unreachable("twfs is stopping")
        before = self._writer
        if before is not None and (self._path is None or not _is_taken_away(self._path, self._file)):
            return before
        now = _connect(self._path)
        self._replace(now, None if self._path is None else self._path.stat())
        if before is not None:
            self._take_along(before, now)
        self._on_open(now)
        return now

    def _replace(self, now: sqlite3.Connection | None, file: os.stat_result | None = None) -> None:
        with self._idle_lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        self._writer, self._file = now, file
        for connection in idle:
            connection.close()

    def _take_along(self, before: sqlite3.Connection, now: sqlite3.Connection) -> None:
        """Caches are deleted at any time: SQLite would go on writing where nobody will ever read."""
        log.warning("state file %s was taken away while in use: what is known goes into a new one", self._path)
        with closing(before):
            if self._holds_all(before) and not self._holds_all(now):
                _copy(before, now)

    def _holds_all(self, connection: sqlite3.Connection) -> bool:
        """Whether it holds a complete listing, undamaged."""
        try:
            return self._is_whole(connection)
        except _TROUBLE:
            return False

    def _disconnect(self) -> None:
        connection = self._writer
        self._replace(None)
        if connection is not None:
            connection.close()

    def _recover(self, path: Path, error: Exception) -> None:
        self._recoveries += 1
        damaged = isinstance(error, Damaged) or _tells_of_damage(error)
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
        memory, before = _connect(None), self._writer
        if before is not None:
            with closing(before):
                if copy and not _copy(before, memory):
                    memory.close()
                    memory = _connect(None)
        self._path = None
        self._replace(memory)
        self._on_open(memory)


class _MovedToMemory(Damaged):
    """The file was given up while a reader was about to open it."""


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        make_private(path)
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        with transaction(connection):
            ensure_schema(connection)
        _change_to_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True
    )
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")
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
        with transaction(connection):
            pass


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that the block does, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself rolls back on some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """All that the block reads is of one moment; nobody waits for it."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_taken_away(path: Path | None, file: os.stat_result | None) -> bool:
    """Whether nothing stands there any more, or something else than `file`."""
    if path is None or file is None:
        return True
    try:
        return not os.path.samestat(path.stat(), file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
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
