"""What is wrong with a destination: in words, with what to do, and whether it stands in the way of all files."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twfs.errors import TwfsError

OF_THE_PLACE = {
    errno.ENOSPC: "make room there, then run the same command again",
    errno.EDQUOT: "your quota is used up; make room there, then run the same command again",
    errno.EROFS: "mount it for writing, or name another folder",
    errno.EIO: "the disk or the server behind it fails; see dmesg, or name another folder",
    errno.ENODEV: "the disk is gone; attach it, then run the same command again",
    errno.ENXIO: "the disk is gone; attach it, then run the same command again",
    errno.ENOTCONN: "its server is gone; mount it again, then run the same command again",
    errno.ESTALE: "it was removed on the server; mount it again, then run the same command again",
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
    if number in OF_THE_PLACE:
        return Obstacle(f"{place}: {what}: {OF_THE_PLACE[number]}", is_everywhere=True)
    if not _existing(place).is_dir():
        return Obstacle(f"{_existing(place)}: Not a directory: name a folder", is_everywhere=True)
    if number in _OF_ONE_FILE:
        return Obstacle(f"{what}: {_OF_ONE_FILE[number]}", is_everywhere=False)
    if number in _REFUSED and not os.access(_existing(place), os.W_OK | os.X_OK, effective_ids=True):
        return Obstacle(f"{place}: {what}: name a folder that you may write to", is_everywhere=True)
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return Obstacle(f"{where}{what}", is_everywhere=False)


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
