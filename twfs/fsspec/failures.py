"""Failures as Python programs expect them of a file system: `OSError`, with the errno that a mount would answer."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from twfs.errors import ConfigError, TwfsError

# The one table of errnos; that module is plain Python and needs no libfuse.
from twfs.fuse.operations import ERRNO


class NotConfigured(OSError, ValueError):
    """The configuration on this machine cannot be used: no such profile, no credentials, no such file.

    It is a ValueError, as for options that are refused at once, and an OSError, for it comes up when files are asked
    for (`io.UnsupportedOperation` is both, too). It is no FileNotFoundError: walks pass over what is not there.
    """


@contextmanager
def os_errors(path: str) -> Iterator[None]:
    """Turn what twfs raises into an `OSError` (FileNotFoundError, PermissionError, … by its errno) that names `path`.

    Raises:
        NotConfigured: in place of a `ConfigError`.
        OSError: in place of any other `TwfsError`.
    """
    try:
        yield
    except ConfigError as failure:
        raise NotConfigured(errno.EINVAL, str(failure), path) from None
    except TwfsError as failure:
        number = next(ERRNO[base] for base in type(failure).__mro__ if base in ERRNO)
        # Python itself makes the subclass that belongs to the number.
        raise OSError(number, f"{os.strerror(number)}: {failure}", path) from None


def refuse_change(path: object) -> NoReturn:
    """What everything that would change something comes to.

    Raises:
        OSError: EROFS, always.
    """
    raise OSError(errno.EROFS, "the file system is read-only", str(path))


def changed(path: str) -> OSError:
    """The object is not the one that a file object was made for."""
    return OSError(errno.ESTALE, f"{os.strerror(errno.ESTALE)}: the object changed while open", path)
