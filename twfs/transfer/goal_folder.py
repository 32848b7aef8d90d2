"""The folder of a file in the making, and the only calls that make, open, rename or remove files in it.

Others may be able to write to it. So it is held open (what its path leads to later does not matter), no link in it is
followed, nothing in it is opened that could block, and new files are made under names that nothing has.
"""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from twfs.errors import TwfsError

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_PRIVATE = 0o600
"""Recordings are personal data: nobody else may read them, whatever the umask."""
_FOUND = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FolderGone(TwfsError):
    """A folder to write to was deleted, or replaced by something else."""


class GoalFolder:
    """A folder, by a descriptor of its own. Also a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        """`path` may lead through links.

        Raises:
            OSError: it is no folder, or not to be entered.
        """
        self.path = path
        # By O_PATH it need not be readable.
        self._handle = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Done with it."""
        os.close(self._handle)

    @property
    def identity(self) -> tuple[int, int]:
        """The same whatever path leads to it."""
        status = os.fstat(self._handle)
        return status.st_dev, status.st_ino

    def create(self, name: str) -> int:
        """A new file, mode 0600, for reading and appending.

        Raises:
            FileExistsError: the name is taken, by whatever.
            FolderGone: the folder is.
            OSError: it cannot be made; it names the folder.
        """
        try:
            return os.open(name, _NEW, _PRIVATE, dir_fd=self._handle)
        except FileNotFoundError:
            raise self._gone() from None
        except OSError as error:
            error.filename = str(self.path)
            raise

    def open_found(self, name: str) -> int | None:
        """A file that is there, for reading and appending, else for reading; None if it is no regular one, or neither.

        Raises:
            FileNotFoundError: there is nothing of this name.
        """
        for access in (os.O_RDWR | os.O_APPEND, os.O_RDONLY):
            if not stat.S_ISREG(self.status(name).st_mode):
                return None
            try:
                handle = os.open(name, access | _FOUND, dir_fd=self._handle)
            except FileNotFoundError:
                raise
            except OSError:
                continue
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return handle
            os.close(handle)
        return None

    def status(self, name: str) -> os.stat_result:
        """What is there, a link itself.

        Raises:
            FileNotFoundError: nothing.
        """
        return os.stat(name, dir_fd=self._handle, follow_symlinks=False)

    def holds(self, name: str, handle: int) -> bool:
        """Whether the open file is the one of this name."""
        try:
            return os.path.samestat(self.status(name), os.fstat(handle))
        except FileNotFoundError:
            return False

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, in the place of what has it.

        Raises:
            OSError: it cannot take its place; it names that.
        """
        try:
            os.replace(name, to, src_dir_fd=self._handle, dst_dir_fd=self._handle)
        except OSError as error:
            error.filename, error.filename2 = str(self.path / to), None
            raise

    def remove(self, name: str) -> None:
        """Take a name away; a link's own.

        Raises:
            OSError: it cannot be taken away.
        """
        os.unlink(name, dir_fd=self._handle)

    def check(self) -> None:
        """Return if it is still there, under whatever name.

        Raises:
            FolderGone: it is not.
        """
        if os.fstat(self._handle).st_nlink == 0:
            raise self._gone()

    def _gone(self) -> FolderGone:
        return FolderGone(f"{self.path}: it was deleted meanwhile, or takes no new files; run the same command again")

    def names(self) -> list[str]:
        """What is in it; nothing if it may not be listed."""
        try:
            handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._handle)
        except OSError:
            return []
        try:
            return os.listdir(handle)  # noqa: PTH208 - Path has no descriptors
        finally:
            os.close(handle)


def is_private(status: os.stat_result) -> bool:
    """Whether it is a regular file of this user, under one name, that nobody else may open."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and is_closed_to_others(status)


def is_closed_to_others(status: os.stat_result) -> bool:
    """Whether it is this user's, and nobody else may open it under any name it has."""
    others = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IRWXG | stat.S_IRWXO
    return status.st_uid == os.geteuid() and not status.st_mode & others
