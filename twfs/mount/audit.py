"""The access log: who opened which medium, when, and how many bytes they read. Recordings are personal data.

A record that cannot be written goes to the log as an error, record and all, and the reader goes on: who reads must not
be stopped by a full disk, and what was read must not go unsaid.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from twfs.errors import ConfigError
from twfs.invocation import pasteable
from twfs.log import log
from twfs.log_limit import UNLIMITED
from twfs.metrics import Counts
from twfs.mount.journald import Journal
from twfs.mount.log_target import check_target, open_to_append
from twfs.mount.open_files import Access

JOURNAL: Literal["journal"] = "journal"

Record = Mapping[str, Any]


class AuditFile:
    """Appends lines to a file that only its owner can read; it is never truncated.

    Opened anew for each line, so that it may be rotated at any time; each is written by one call with `O_APPEND`, so
    that several mounts may share it.
    """

    def __init__(self, path: Path) -> None:
        """Makes the file if need be.

        Raises:
            ConfigError: it cannot be written, is open to others, or is not this user's and nobody else's.
        """
        self._path = path
        self._is_torn = False
        if path.is_file() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IRWXO):
            raise ConfigError(f"audit: {path} is open to others; run: {pasteable('chmod', '600', path)}")
        try:
            descriptor = open_to_append(path)
        except OSError as error:
            raise ConfigError(f"audit: {path} cannot be written: {error.strerror}") from None
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"audit: {path} is no regular file")

    def __call__(self, record: Record) -> None:
        """Append one record as a line of JSON.

        Raises:
            OSError: not all of it is written.
        """
        # What a full disk has cut off stays, on a line of its own.
        start = b"\n" if self._is_torn else b""
        line = start + json.dumps(record, ensure_ascii=True).encode() + b"\n"
        descriptor = open_to_append(self._path)
        try:
            self._is_torn = os.write(descriptor, line) < len(line)
        finally:
            os.close(descriptor)
        if self._is_torn:
            raise OSError(errno.ENOSPC, "only a part could be written")


class AuditJournal:
    """Writes entries of systemd's journal: `journalctl TWFS_EVENT=access TWFS_SID=RT...`."""

    def __init__(self, journal: Journal) -> None:
        """Nothing is written yet."""
        self._journal = journal

    def __call__(self, record: Record) -> None:
        """Write one record: every value as a field, all in words as the message.

        Raises:
            OSError: the journal does not take it.
        """
        who = f"uid {record['uid']}, {record['command'] or 'pid'} {record['pid']}"
        words = f"{record['sid']}: {who} read {record['bytes_read']} of {record['size']} bytes"
        fields = {f"TWFS_{name.upper()}": str(value) for name, value in record.items()}
        self._journal.send(
            {"MESSAGE": words, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "twfs", "TWFS_EVENT": "access", **fields}
        )


class Audit:
    """Records every access when it ends."""

    def __init__(self, write: Callable[[Record], None], now: Callable[[], float], **every: str) -> None:
        """`write` raises `OSError` if it cannot; `now` is seconds since 1970 UTC; `every` stands in each record."""
        self._write = write
        self._now = now
        self._every = every
        self.outcomes: Counts[str] = Counts()
        """How many were `written`, and how many were not: `failed`."""

    def __call__(self, access: Access) -> None:
        """It has ended just now."""
        record = self._record(access)
        try:
            self._write(record)
        except OSError as error:
            self.outcomes.add("failed")
            log.error(
                "audit: cannot be written: %s; the record: %s",
                error.strerror or error,
                json.dumps(record),
                extra=UNLIMITED,
            )
        else:
            self.outcomes.add("written")

    def _record(self, access: Access) -> Record:
        return {
            "opened": _moment(access.opened_at),
            "closed": _moment(self._now()),
            "uid": access.uid,
            "pid": access.process.pid,
            "command": access.process.command,
            "sid": access.medium.sid,
            "path": access.path,
            "size": access.plain_size,
            "bytes_read": access.bytes_read,
            **self._every,
        }


def audit_writer(target: Path | Literal["journal"], mountpoint: Path) -> Callable[[Record], None]:
    """What writes records to `target`: a file, or systemd's journal.

    Raises:
        ConfigError: it cannot be written.
    """
    if target != JOURNAL and target.is_relative_to(mountpoint):
        raise ConfigError(f"audit: {target} is in the mount itself; give a file elsewhere")
    return _writer(target)


def check_audit(target: Path | Literal["journal"]) -> None:
    """Whether records could be written to `target`; a file that is not there is not made.

    Raises:
        ConfigError: they cannot.
    """
    if target == JOURNAL or target.exists():
        _writer(target)
        return
    try:
        check_target(target)
    except OSError as error:
        raise ConfigError(f"audit: {target} cannot be written: {error.strerror}") from None


def _writer(target: Path | Literal["journal"]) -> Callable[[Record], None]:
    if target != JOURNAL:
        return AuditFile(target)
    try:
        return AuditJournal(Journal())
    except OSError as error:
        raise ConfigError(f"audit=journal: systemd's journal does not answer ({error.strerror})") from None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
