"""Files that a mount writes to for long: opened so that nobody else decides where the lines go, or reads them."""

import errno
import os
import stat
from pathlib import Path

from twfs.ownership import complaint_about


def open_to_append(path: Path) -> int:
    """A descriptor of a file that is made if need be, for this user alone; each write goes to its end.

    Links on the way are followed if they are this user's or root's.

    Raises:
        OSError: it cannot be opened, or somebody else owns it, may write to it, or has given it a name of their own.
    """
    complaint = complaint_about(path)
    if complaint is not None:
        raise PermissionError(errno.EPERM, complaint)
    # Not blocking: else a pipe that nobody reads would be waited for, without end.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path.resolve(), flags, 0o600)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it has another name, a hard link, which may be somebody else's")
    return descriptor


def check_target(path: Path) -> None:
    """Whether lines could be written to `path`; a file that is not there is not made.

    Raises:
        OSError: they cannot.
    """
    if path.exists():
        os.close(open_to_append(path))
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{path.parent} is no folder that you may write to")
    elif (complaint := complaint_about(path)) is not None:
        raise PermissionError(errno.EPERM, complaint)
