"""The tables of the state file.

SQLite has no checksums of its own, so every row carries one of all that it says: a flipped bit is never read as a
size, a key, a date or a missing medium. The number of resources is recorded, too, and a lost row is missed.

What is derived (`folders`, `totals`) is changed by the transaction that changes what it is derived from, so that no
question needs a pass over all media.
"""

import sqlite3
from zlib import crc32

from twfs.folders import BY_DATE, BY_ROOM, KIND_FOLDERS, ROOT

SCHEMA_VERSION = 6
APPLICATION_ID = 0x74776673
"""`twfs` in ASCII: tells our files from other SQLite files."""

_SCHEMA = f"""
CREATE TABLE media (id INTEGER PRIMARY KEY AUTOINCREMENT, sid TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL,
    shown INTEGER NOT NULL, settled INTEGER NOT NULL, changed_at INTEGER NOT NULL, day INTEGER, room INTEGER,
    fields TEXT NOT NULL, checksum INTEGER NOT NULL,
    state INTEGER, plain_size INTEGER, encrypted INTEGER, keys TEXT, agrees INTEGER, size_checksum INTEGER);
CREATE INDEX media_kind ON media (kind, shown);
CREATE INDEX media_newest ON media (kind, changed_at) WHERE shown = 1;
CREATE INDEX media_day ON media (day) WHERE shown = 1;
CREATE INDEX media_room ON media (room) WHERE shown = 1;
CREATE INDEX media_pending ON media (kind) WHERE shown = 1 AND state IS NULL;
CREATE INDEX media_unsettled ON media (settled) WHERE settled = 0;
CREATE INDEX media_closed ON media (keys) WHERE state > 0;
CREATE TABLE folders (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, parent INTEGER,
    media INTEGER NOT NULL, below INTEGER NOT NULL, folders INTEGER NOT NULL, newest INTEGER NOT NULL,
    version INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE INDEX folders_parent ON folders (parent);
CREATE INDEX folders_newest ON folders (parent, newest) WHERE below > 0;
CREATE TABLE totals (kind INTEGER, state INTEGER, keys TEXT, encrypted INTEGER, agrees INTEGER,
    media INTEGER, bytes TEXT, odd_bytes TEXT, checksum INTEGER, PRIMARY KEY (kind, state, keys, encrypted, agrees))
    WITHOUT ROWID;
CREATE TABLE probes (id INTEGER PRIMARY KEY, reason TEXT, stored_size INTEGER, etag TEXT, metadata TEXT, tail BLOB,
    checksum INTEGER);
CREATE TABLE readings (sid TEXT PRIMARY KEY, fingerprint TEXT, damage TEXT, checksum INTEGER);
CREATE TABLE absences (sid TEXT PRIMARY KEY, since REAL, checksum INTEGER);
CREATE TABLE distrust (kind TEXT PRIMARY KEY);
CREATE TABLE passes (kind INTEGER PRIMARY KEY, began REAL, place TEXT, is_done INTEGER, checksum INTEGER);
CREATE TABLE listing (only INTEGER PRIMARY KEY CHECK (only = 1), resources INTEGER, version INTEGER, listed_at REAL);
INSERT INTO listing VALUES (1, 0, 1000 * strftime('%s', 'now'), NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""  # noqa: S608 - two integer constants of this module; a PRAGMA takes no parameters


class Damaged(Exception):
    """The file is not what this package wrote."""


def ensure_schema(connection: sqlite3.Connection) -> None:
    """Make the tables of a new file. Within a transaction, which keeps two first mounts apart.

    Raises:
        Damaged: it is another program's, or of another version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
        return
    if application == APPLICATION_ID:
        raise Damaged(f"its format is version {version}, this twfs writes version {SCHEMA_VERSION}")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise Damaged("it is another program's database")
    # Statement by statement: executescript() would end the transaction.
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    _make_fixed_folders(connection)


def _make_fixed_folders(connection: sqlite3.Connection) -> None:
    for number, path in enumerate((ROOT, *KIND_FOLDERS, BY_DATE, BY_ROOM), 1):
        parent = None if path == ROOT else 1
        counts = (0, 0, 4 if path == ROOT else 0, 0, 0)
        row = (path, parent, *counts)
        connection.execute("INSERT INTO folders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (number, *row, checksum(*row)))


def checksum(*columns: object) -> int:
    """Of a row; what is equal in SQLite and in Python has the same."""
    return crc32(repr(columns).encode("utf-8", "surrogatepass"))
