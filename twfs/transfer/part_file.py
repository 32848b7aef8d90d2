"""A file in the making beside its goal, which is there only when it is whole.

`.NAME.IDENTITY.part` says by its name of which object it holds the beginning: after an interruption it is gone on with
only if that is still the object wanted, and thrown away otherwise. It is only ever appended to, so its length is
the truth of what it holds (file systems that journal or copy on write keep the length behind the data, even when
the machine goes down); where the ETag is an MD5 its bytes are proven again besides.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from twfs.errors import ConfigError, TwfsError
from twfs.invocation import pasteable
from twfs.transfer.write_behind import WriteBehind

_REPLAY_SIZE = 2**20


class Occupied(TwfsError):
    """Another process writes the same file."""


class PartFile:
    """The beginning of `goal`; locked against other processes while it is open."""

    def __init__(self, goal: Path, identity: str) -> None:
        """Opens what there is of the object `identity`, and removes beginnings of others that nobody writes any more.

        Raises:
            ConfigError: the goal cannot be replaced.
            Occupied: another process is at it.
            OSError: the file cannot be made.
        """
        _refuse_irregular(goal)
        digest = blake2b(identity.encode(), digest_size=8).hexdigest()
        self.goal = goal
        self.path = goal.with_name(f".{goal.name}.{digest}.part")
        for stale in set(goal.parent.glob(f".{escape(goal.name)}.{'[0-9a-f]' * 16}.part")) - {self.path}:
            remove_unwritten(stale)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            self._lock()
            self.size = os.fstat(self._handle).st_size
            self._write_behind = WriteBehind(self._handle)
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; unless committed or discarded it stays, to be gone on with."""
        self._write_behind.close()
        os.close(self._handle)

    def write(self, view: memoryview) -> None:
        """Append.

        Raises:
            OSError: the disk is full, or the like; what fitted is kept. Or what was written before did not reach it.
        """
        written = 0
        while written < len(view):
            count = os.write(self._handle, view[written:])
            written += count
            self.size += count
        self._write_behind.advance(written)

    def replay(self, use: Callable[[memoryview], None]) -> None:
        """Give `use` what it holds, in pieces of 1 MiB and a rest."""
        buffer = memoryview(bytearray(_REPLAY_SIZE))
        start = 0
        while start < self.size:
            count = os.preadv(self._handle, [buffer], start)
            use(buffer[:count])
            start += count

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes only."""
        os.ftruncate(self._handle, size)
        self.size = size

    def commit(self, changed_at: int | None) -> None:
        """It is whole: on the disk, with modification time `changed_at` (seconds since 1970 UTC), under its goal.

        The rename itself is left to the file system: should the machine go down now, the whole part file is found.
        """
        if changed_at is not None:
            os.utime(self._handle, (changed_at, changed_at))
        self._write_behind.wait()
        os.fsync(self._handle)
        self.path.replace(self.goal)

    def discard(self) -> None:
        """It is of no use to anybody."""
        self.path.unlink()

    def _lock(self) -> None:
        if not locked(self._handle, self.path):
            raise Occupied(f"another process is writing {self.goal}")


def locked(handle: int, path: Path) -> bool:
    """Lock an open file until it is closed; whether nobody else has it locked, and it is still the one at `path`.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.lstat().st_ino == os.fstat(handle).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def remove_unwritten(path: Path) -> None:
    """Take a part away unless somebody writes it; what cannot be taken away is no reason to fail.

    Taken from its writer, its name would be another's who begins the same: a commit would give that one's beginning
    the goal's name.
    """
    with suppress(OSError), path.open("r+b") as file:
        if locked(file.fileno(), path):
            path.unlink()


def _refuse_irregular(goal: Path) -> None:
    """Only a regular file may be replaced by a rename: not a device, a folder or what a link leads to.

    Raises:
        ConfigError: it is something else, or its folder is not there.
    """
    try:
        mode = goal.lstat().st_mode
    except FileNotFoundError:
        if not goal.parent.is_dir():
            raise ConfigError(
                f"{goal.parent}: no such folder; make it first: {pasteable('mkdir', '-p', goal.parent)}"
            ) from None
        return
    except NotADirectoryError:
        raise ConfigError(f"{goal.parent} is no folder") from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{goal} is no regular file, so it is not replaced; name another one")


def is_disk_full(error: OSError) -> bool:
    """Whether no other file will fit either."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
