"""A file under a name of its own, until it takes the place of its goal: private, locked, and whole by then."""

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from typing import Self

from twfs.errors import TwfsError
from twfs.transfer.goal_folder import GoalFolder, is_closed_to_others, is_private
from twfs.transfer.leftovers import Leftovers
from twfs.transfer.part_names import part_name
from twfs.transfer.shortcomings import Lack, Shortcomings, is_unsupported, shows_time
from twfs.transfer.write_behind import WriteBehind

TOKEN_SIZE = 8
"""Hexadecimal digits: with O_EXCL it need not be a secret, only rarely taken."""

_MOST_TRIES = 100
"""Names tried before it is taken for granted that somebody takes them away on purpose."""


class Occupied(TwfsError):
    """Somebody else is at the same file."""


class Lock(Enum):
    """What came of locking an open file."""

    HELD = auto()
    TAKEN = auto()
    """Somebody else has it, or its name leads elsewhere by now."""
    UNSUPPORTED = auto()


class NewFile:
    """An open file of `folder`, appended to; its lock goes when it is closed."""

    def __init__(self, folder: GoalFolder, name: str, handle: int, shortcomings: Shortcomings) -> None:
        """Takes the handle over."""
        self.folder = folder
        self.name = name
        self.handle = handle
        self.is_lost = False
        """Whether bytes did not reach the disk: which, nobody knows, and the next fsync may well succeed."""
        self._shortcomings = shortcomings
        self._write_behind = WriteBehind(handle, lambda _: self._sync(os.fdatasync))
        # How many names it has is not the destination's doing: others may have given it one, or taken the one away.
        if not is_closed_to_others(os.fstat(handle)):
            shortcomings.tell(Lack.PRIVACY)

    @classmethod
    def made(cls, folder: GoalFolder, goal_name: str, shortcomings: Shortcomings) -> Self:
        """A new one, under a name that nobody can foresee.

        Raises:
            Occupied: somebody takes every new file away.
            OSError: it cannot be made.
        """
        for _ in range(_MOST_TRIES):
            name = part_name(goal_name, secrets.token_hex(TOKEN_SIZE // 2))
            try:
                handle = folder.create(name)
            except FileExistsError:
                continue
            locked = lock(folder, name, handle)
            if locked is not Lock.TAKEN:
                if locked is Lock.UNSUPPORTED:
                    shortcomings.tell(Lack.LOCKS)
                return cls(folder, name, handle, shortcomings)
            # Another process took it for a leftover before it was locked.
            os.close(handle)
        raise Occupied(f"somebody takes away what is begun in {folder.path}")

    @property
    def is_private(self) -> bool:
        """Whether nobody else may open it: the destination keeps owners and permissions."""
        return is_private(os.fstat(self.handle))

    def write(self, view: memoryview) -> None:
        """Append all of it.

        Raises:
            OSError: the disk is full, or the like; what fitted is kept. Or what was written before did not reach it.
        """
        written = 0
        while written < len(view):
            written += os.write(self.handle, view[written:])
        self._write_behind.advance(written)

    def take_place(self, goal_name: str, changed_at: int | None) -> None:
        """It is whole: on the disk, with modification time `changed_at` (seconds since 1970 UTC), under its goal.

        The rename itself is left to the file system.

        Raises:
            Occupied: somebody put another file in its place.
            FolderGone: somebody deleted the folder.
            OSError: it did not reach the disk, or cannot have the name.
        """
        if changed_at is not None:
            self._date(changed_at)
        self._write_behind.wait()
        self._sync(os.fsync)
        if not self.folder.holds(self.name, self.handle):
            self.folder.check()
            raise Occupied(f"somebody took the unfinished file away from {self.folder.path}; run it again")
        self.folder.rename(self.name, goal_name)
        self._look_at(goal_name, changed_at)

    def remove(self) -> None:
        """It is of no use to anybody. What has its name by now is somebody else's."""
        with suppress(FileNotFoundError):
            if self.folder.holds(self.name, self.handle):
                self.folder.remove(self.name)

    def close(self) -> None:
        """Under whatever name it has."""
        self._write_behind.close()
        os.close(self.handle)

    def _date(self, changed_at: int) -> None:
        try:
            os.utime(self.handle, (changed_at, changed_at))
        except OSError as error:
            self._shortcomings.tell(Lack.TIMES, error)

    def _look_at(self, goal_name: str, changed_at: int | None) -> None:
        """Whether it is what was put there: between two calls others may rename what they like in a shared folder.

        Another file of the same owner is that of somebody who finished the same at the same moment.
        """
        status, own = self.folder.status(goal_name), os.fstat(self.handle)
        if status.st_uid != own.st_uid or not stat.S_ISREG(status.st_mode):
            raise Occupied(f"somebody put another file in the place of {self.folder.path / goal_name}; run it again")
        if changed_at is not None and not shows_time(status, changed_at):
            self._shortcomings.tell(Lack.TIMES)

    def _sync(self, call: Callable[[int], None]) -> None:
        try:
            call(self.handle)
        except OSError as error:
            if not is_unsupported(error):
                self.is_lost = True
                raise
            self._shortcomings.tell(Lack.SYNC, error)


@contextmanager
def beside(folder: GoalFolder, goal_name: str, shortcomings: Shortcomings) -> Iterator[NewFile]:
    """A new file that is gone when the block fails; what killed runs left of the same goal is gone, too.

    Raises:
        OSError: as `NewFile.made`.
    """
    file = NewFile.made(folder, goal_name, shortcomings)
    try:
        remove_leftovers(file, goal_name, shortcomings.leftovers, TOKEN_SIZE)
        yield file
    except BaseException:
        file.remove()
        raise
    finally:
        file.close()


def lock(folder: GoalFolder, name: str, handle: int) -> Lock:
    """Lock an open file until it is closed."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.TAKEN
    except OSError:
        # Not all that may come is listed in flock(2): Lustre says ENOSYS, NFS ENOLCK, others EINVAL or EOPNOTSUPP.
        return Lock.UNSUPPORTED
    return Lock.HELD if folder.holds(name, handle) else Lock.TAKEN


def remove_leftovers(own: NewFile, goal_name: str, leftovers: Leftovers, *token_sizes: int) -> None:
    """Take away what nobody writes any more of this goal's unfinished files, if they belong to who owns `own`."""
    folder, owner = own.folder, os.fstat(own.handle).st_uid
    for name in leftovers.take(folder.identity, folder.names, goal_name, *token_sizes):
        with suppress(OSError):
            if name != own.name and folder.status(name).st_uid == owner:
                remove_unwritten(folder, name)


def remove_unwritten(folder: GoalFolder, name: str) -> None:
    """Take a regular file away unless somebody writes it, or nobody can tell.

    Taken from its writer, its name would be another's who begins the same: a commit would give that one's beginning
    the goal's name.

    Raises:
        OSError: it cannot be taken away.
    """
    handle = folder.open_found(name)
    if handle is None:
        return
    try:
        if lock(folder, name, handle) is Lock.HELD:
            folder.remove(name)
    finally:
        os.close(handle)
