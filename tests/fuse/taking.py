"""Who takes entries as libfuse does, without libfuse."""

import ctypes
from dataclasses import dataclass, field

from twfs.fuse.listing import Taker


class Moment(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


_NUMBERS = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize")
_MOMENTS = ("st_atimespec", "st_mtimespec", "st_ctimespec")


class Record(ctypes.Structure):
    """The fields of libfuse's `struct stat`, in no order of any machine's."""

    _fields_ = (*((name, ctypes.c_uint64) for name in _NUMBERS), *((name, Moment) for name in _MOMENTS))


@dataclass(frozen=True)
class Told:
    """One entry, with all that a record says where the kernel is to believe it."""

    name: str
    cookie: int
    st_mode: int
    st_ino: int
    attributes: dict[str, int] | None


@dataclass
class Buffer:
    """Room for so many entries."""

    room: int
    told: list[Told] = field(default_factory=list)
    refused: int = 0

    def fill(self, name: bytes, address: int, cookie: int, flags: int) -> int:
        if len(self.told) == self.room:
            self.refused += 1
            return 1
        record = Record.from_address(address)
        self.told.append(
            Told(name.decode(), cookie, record.st_mode, record.st_ino, _attributes(record) if flags else None)
        )
        return 0

    def taker(self, *, wants_attributes: bool = True) -> Taker:
        return Taker(self.fill, Record, wants_attributes)


def _attributes(record: Record) -> dict[str, int]:
    """As `Operations.getattr` tells them."""
    moments = {name.removesuffix("spec"): getattr(record, name) for name in _MOMENTS}
    return {name: getattr(record, name) for name in _NUMBERS} | {
        name: moment.tv_sec * 10**9 + moment.tv_nsec for name, moment in moments.items()
    }
