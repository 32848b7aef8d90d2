"""A file in the making beside its goal, which is there only when it is whole; an interrupted one is gone on with.

`.NAME.IDENTITY.part` says by its name of which object it holds the beginning: after an interruption it is gone on with
only if that is still the object wanted, and thrown away otherwise. It is only ever appended to, so its length is
the truth of what it holds (file systems that journal or copy on write keep the length behind the data, even when
the machine goes down); where the ETag is an MD5 its bytes are proven again besides.

Anybody can make a file of that name in a folder that others may write to, so one that is there is taken up only if it
is this user's alone: else its maker could read, and change, what is written to it. Where the destination has no owners
and permissions (FAT), or no locks, nothing can be known of what is there: nothing is gone on with.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from twfs.errors import ConfigError
from twfs.invocation import pasteable
from twfs.transfer.goal_folder import FolderGone, GoalFolder, is_private
from twfs.transfer.new_file import (
    TOKEN_SIZE,
    Lock,
    NewFile,
    Occupied,
    lock,
    remove_leftovers,
    remove_unwritten,
)
from twfs.transfer.part_names import part_name
from twfs.transfer.shortcomings import Shortcomings

_REPLAY_SIZE = 2**20
_IDENTITY_BYTES = 8


class NoFolder(ConfigError, FolderGone):
    """There is no folder to write to, or no more."""


class PartFile:
    """The beginning of `goal`; locked against other processes while it is open."""

    def __init__(self, goal: Path, identity: str, shortcomings: Shortcomings | None = None) -> None:
        """Opens what there is of the object `identity`, and removes beginnings of others that nobody writes any more.

        Raises:
            ConfigError: the goal cannot be replaced.
            Occupied: another process is at it.
            OSError: the file cannot be made.
        """
        self.goal = goal
        shortcomings = shortcomings or Shortcomings()
        self._leftovers = shortcomings.leftovers
        self._is_over = False
        self._folder = folder_of(goal)
        try:
            token = blake2b(identity.encode(), digest_size=_IDENTITY_BYTES).hexdigest()
            self._file, self._is_lasting = _begun(self._folder, goal, token, shortcomings)
        except BaseException:
            self._folder.close()
            raise
        remove_leftovers(self._file, goal.name, self._leftovers, TOKEN_SIZE, 2 * _IDENTITY_BYTES)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; unless committed or discarded it stays, if it can be gone on with."""
        try:
            can_go_on = self._is_lasting and self.size and not self._file.is_lost
            if not self._is_over and can_go_on:
                self._leftovers.add(self._folder.identity, self._file.name)
            elif not self._is_over:
                self._file.remove()
        finally:
            self._file.close()
            self._folder.close()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.goal.with_name(self._file.name)

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return os.fstat(self._file.handle).st_size

    def write(self, view: memoryview) -> None:
        """Append.

        Raises:
            OSError: the disk is full, or the like; what fitted is kept. Or what was written before did not reach it.
        """
        try:
            self._file.write(view)
        except OSError as error:
            # What is too large for the file system (FAT) stays so.
            self._is_lasting &= error.errno != errno.EFBIG
            raise

    def replay(self, use: Callable[[memoryview], None]) -> None:
        """Give `use` what it holds, in pieces of 1 MiB and a rest."""
        buffer = memoryview(bytearray(_REPLAY_SIZE))
        start, size = 0, self.size
        while start < size:
            count = os.preadv(self._file.handle, [buffer], start)
            use(buffer[:count])
            start += count

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes only."""
        if size != self.size:
            os.ftruncate(self._file.handle, size)

    def commit(self, changed_at: int | None) -> None:
        """It is whole: on the disk, with modification time `changed_at` (seconds since 1970 UTC), under its goal.

        Should the machine go down now, the whole part file is found.

        Raises:
            Occupied: somebody put another file in its place.
            OSError: it did not reach the disk, or cannot have the name.
        """
        self._file.take_place(self.goal.name, changed_at)
        self._is_over = True

    def discard(self) -> None:
        """It is of no use to anybody."""
        self._file.remove()
        self._is_over = True


def folder_of(goal: Path) -> GoalFolder:
    """The folder of a goal that a file may replace: not a device, a folder or what a link leads to.

    Raises:
        ConfigError: it is something else. `NoFolder`: its folder is not there.
        OSError: the folder cannot be entered.
    """
    try:
        folder = GoalFolder(goal.parent)
    except FileNotFoundError:
        raise NoFolder(
            f"{goal.parent}: no such folder; make it first: {pasteable('mkdir', '-p', goal.parent)}"
        ) from None
    except NotADirectoryError:
        raise NoFolder(f"{goal.parent} is no folder; name one") from None
    try:
        _refuse_irregular(folder, goal)
    except BaseException:
        folder.close()
        raise
    return folder


def _refuse_irregular(folder: GoalFolder, goal: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(folder.status(goal.name).st_mode):
            raise ConfigError(f"{goal} is no regular file, so it is not replaced; name another one")


def _begun(folder: GoalFolder, goal: Path, token: str, shortcomings: Shortcomings) -> tuple[NewFile, bool]:
    """A file to append to, and whether a later run may go on with it.

    Raises:
        Occupied: another process is at it.
        OSError: it cannot be made.
    """
    name = part_name(goal.name, token)
    handle = _taken_up(folder, name)
    if handle is None:
        handle = _made_anew(folder, name)
    if handle is not None:
        match lock(folder, name, handle):
            case Lock.HELD:
                file = NewFile(folder, name, handle, shortcomings)
                return file, file.is_private
            case Lock.TAKEN:
                os.close(handle)
                raise Occupied(f"another process is writing {goal}")
            case Lock.UNSUPPORTED:
                _remove_empty(folder, name, handle)
    return NewFile.made(folder, goal.name, shortcomings), False


def _taken_up(folder: GoalFolder, name: str) -> int | None:
    """The beginning that is there, open; None if there is none, or one that is not this user's alone."""
    try:
        handle = folder.open_found(name)
    except FileNotFoundError:
        return None
    if handle is None:
        return None
    if is_private(os.fstat(handle)):
        return handle
    os.close(handle)
    return None


def _made_anew(folder: GoalFolder, name: str) -> int | None:
    """A new file in the place of what may be there; None if that cannot be taken away."""
    with suppress(OSError):
        if stat.S_ISREG(folder.status(name).st_mode):
            remove_unwritten(folder, name)
        else:
            folder.remove(name)
    try:
        return folder.create(name)
    except FileExistsError:
        return None


def _remove_empty(folder: GoalFolder, name: str, handle: int) -> None:
    """Close it; a file that was made just now goes."""
    try:
        if os.fstat(handle).st_size == 0 and folder.holds(name, handle):
            folder.remove(name)
    finally:
        os.close(handle)
