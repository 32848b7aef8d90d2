"""What looks at single media have proven, for what cannot be undone; remembered in the state file."""

import sqlite3
from typing import NamedTuple

from twfs.catalog.database import Database
from twfs.catalog.schema import checksum
from twfs.resources import Kind


class WholeReading(NamedTuple):
    """What reading all bytes of one object showed."""

    fingerprint: str
    """Of the object that it was (`ObjectFacts.fingerprint`)."""
    damage: str = ""
    """What is wrong with it, one line; empty if all of it was proven."""


class Evidence:
    """Whole readings, absences, and sizes that Twilio told wrongly. A flipped bit is never evidence. Thread-safe."""

    def __init__(self, database: Database) -> None:
        """No I/O."""
        self._database = database

    def whole_reading(self, sid: str) -> WholeReading | None:
        """What the last reading of a whole object of `sid` showed; None if there was none."""
        return self._database.read(lambda connection: _whole_reading(connection, sid))

    def save_whole_reading(self, sid: str, reading: WholeReading) -> None:
        """Remember what reading all bytes of an object showed, instead of what was remembered of `sid`."""
        row = (sid, *reading)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", (*row, checksum(*row)))

        self._database.write(work)

    def absent_since(self, sid: str, now: float) -> float:
        """When `sid` was first found to have no media, without one that was found since: `now` if that was not known.

        Seconds since 1970 UTC. It is remembered.
        """
        return self._database.write(lambda connection: _absent_since(connection, sid, now))

    def end_absence(self, sid: str) -> None:
        """Media of `sid` were found."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM absences WHERE sid = ?", (sid,))

        self._database.write(work)

    def distrusted(self) -> frozenset[Kind]:
        """Kinds of media whose sizes Twilio once told wrongly."""
        return self._database.read(_distrusted)

    def save_distrust(self, kind: Kind) -> None:
        """Remember that Twilio told the size of such a medium wrongly."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO distrust VALUES (?)", (kind.value,))

        self._database.write(work)


def _distrusted(connection: sqlite3.Connection) -> frozenset[Kind]:
    """All of them if it cannot be read which: a flipped bit must not bring trust back."""
    known = {kind.value: kind for kind in Kind}
    names = [name for (name,) in connection.execute("SELECT kind FROM distrust")]
    return frozenset(known[name] for name in names) if all(name in known for name in names) else frozenset(Kind)


def _whole_reading(connection: sqlite3.Connection, sid: str) -> WholeReading | None:
    """None if the row is damaged: a flipped bit must not become a proof."""
    found = connection.execute("SELECT fingerprint, damage, checksum FROM readings WHERE sid = ?", (sid,)).fetchone()
    if found is None or checksum(sid, *found[:2]) != found[2]:
        return None
    reading = WholeReading(*found[:2])
    return reading if all(isinstance(text, str) for text in reading) else None


def _absent_since(connection: sqlite3.Connection, sid: str, now: float) -> float:
    found = connection.execute("SELECT since, checksum FROM absences WHERE sid = ?", (sid,)).fetchone()
    if found is not None and isinstance(found[0], float) and checksum(sid, found[0]) == found[1]:
        return found[0]
    connection.execute("INSERT OR REPLACE INTO absences VALUES (?, ?, ?)", (sid, now, checksum(sid, now)))
    return now
