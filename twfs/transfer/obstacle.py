"""What is wrong with a destination: in words, with what to do, and whether it stands in the way of all files."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twfs.errors import TwfsError

_OF_A_MOUNTED_SERVER = dict.fromkeys(
    (
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EREMOTEIO,
    ),
    "the server behind it does not answer; run the same command again once it does",
)
"""Of NFS and CIFS mounts that are `soft`, and of FUSE. Where twfs has the connection, the next one may do better."""

OF_THE_PLACE = {
    errno.ENOSPC: "make room there, then run the same command again",
    errno.EDQUOT: "your quota is used up; make room there, then run the same command again",
    errno.EROFS: "mount it for writing, or name another folder",
    errno.EIO: "the disk or the server behind it fails; see dmesg, or name another folder",
    errno.ENODEV: "the disk is gone; attach it, then run the same command again",
    errno.ENXIO: "the disk is gone; attach it, then run the same command again",
    errno.ENOTCONN: "its server is gone; mount it again, then run the same command again",
    errno.ESTALE: "it was removed on the server; mount it again, then run the same command again",
    errno.ENOENT: "it was deleted meanwhile; run the same command again",
    errno.ENOMEM: "this machine or the server behind it is short of memory; run the same command again",
}
"""What no other file would fare better with."""

_OF_ONE_FILE = {
    errno.EFBIG: "the destination takes no file of this size (FAT none of 4 GiB); name a folder on another file system",
    errno.ENAMETOOLONG: "the destination takes no name of this length; name a shorter one",
    errno.EISDIR: "a folder has the file's name; move it away",
}
_REFUSED = (errno.EACCES, errno.EPERM)


class DestinationFailed(TwfsError):
    """A file could not be written."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A destination's."""

    reason: str
    """One line: what, why, what to do."""
    is_everywhere: bool
    """Whether all other files would fare the same."""


def obstacle_at(place: Path, error: OSError) -> Obstacle:
    """What is wrong with the folder `place`, or a file in it, by the error of a call."""
    what = error.strerror or str(error) or type(error).__name__
    number = error.errno or 0
    remedy = OF_THE_PLACE.get(number) or _OF_A_MOUNTED_SERVER.get(number)
    if remedy is not None:
        return Obstacle(f"{place}: {what}: {remedy}", is_everywhere=True)
    if not _existing(place).is_dir():
        return Obstacle(f"{_existing(place)}: Not a directory: name a folder", is_everywhere=True)
    if number in _OF_ONE_FILE:
        return Obstacle(f"{what}: {_OF_ONE_FILE[number]}", is_everywhere=_is_too_long(place))
    if number in _REFUSED:
        return _refused(place, what, error)
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return Obstacle(f"{where}{what}", is_everywhere=False)


def _refused(place: Path, what: str, error: OSError) -> Obstacle:
    """Where it was: at the folder itself, one below it, or a file that is there."""
    if not os.access(_existing(place), os.W_OK | os.X_OK, effective_ids=True) or not isinstance(error.filename, str):
        return Obstacle(f"{place}: {what}: name a folder that you may write to", is_everywhere=True)
    refusing = _existing(Path(error.filename))
    if not refusing.is_dir():
        return Obstacle(f"{refusing}: {what}: move it away", is_everywhere=False)
    # What permissions show may not be all that counts: CIFS and NFS ask their server, and there are LSMs.
    is_everywhere = place.is_relative_to(refusing)
    return Obstacle(f"{refusing}: {what}: name a folder that you may write to", is_everywhere=is_everywhere)


def _is_too_long(place: Path) -> bool:
    try:
        place.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Have failures of what is written to the folder `place` say what to do.

    Raises:
        DestinationFailed: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise DestinationFailed(obstacle_at(place, error).reason) from error


def _existing(place: Path) -> Path:
    """Of a folder that is not there yet: the nearest thing above it that is."""
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    return place
