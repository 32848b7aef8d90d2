"""What libfuse is told of a folder, made once and handed over as often as the kernel asks.

Working out name, inode number, times and mode costs Python some ten microseconds an entry, handing them over half a
microsecond. As long as the tree is the same, all but the sizes is. Those are asked for anew each time, unless what was
told is proven and holds (`Vfs.proofs`).
"""

import ctypes
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any

from twfs.fs.attributes import Attributes, KnownSize
from twfs.fs.vfs import Entry, Vfs

_FILL_DIR_PLUS = 2
"""The attributes are all there (enum fuse_fill_dir_flags of libfuse3's fuse.h); without, only type and inode number."""

_BLOCK = 1024
"""Entries handed over at once: what a call of the kernel's has no room for was looked at in vain."""

_NEVER = (-1, False)
"""No size: what is known of an entry that was never told."""


@dataclass(frozen=True, slots=True)
class Taker:
    """What takes entries when the kernel asks for some."""

    fill: Callable[[bytes, int, int, int], int]
    """libfuse's fuse_fill_dir_t without its buffer: name, address of a `struct stat`, this entry's cookie, flags. Not 0
    if there was no room."""
    record_type: Any
    """libfuse's `struct stat`, as a class of ctypes."""
    wants_attributes: bool


class Listing:
    """The entries of one folder of one tree. Thread-safe."""

    def __init__(self, vfs: Vfs, entries: Sequence[Entry], record_type: Any) -> None:
        """`record_type` as in `Taker`."""
        self._vfs = vfs
        self._entries = entries
        self._cookies = [entry.cookie for entry in entries]
        self._names = [entry.name.encode("utf-8", "surrogateescape") for entry in entries]
        self._records = (record_type * len(entries))()
        self._flags = [0] * len(entries)
        self._sizes: list[KnownSize | None] = [_NEVER] * len(entries)
        self._proofs: object = None
        self._doubtful = bytearray()
        self._lock = threading.Lock()
        for record, entry in zip(self._records, entries, strict=True):
            record.st_mode, record.st_ino = entry.st_mode, entry.st_ino

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def tell(self, taker: Taker, start: int) -> None:
        """Hand over entries behind the one whose cookie is `start`, gone or not, until there is no more room.

        Attributes that are not known are left out: the kernel asks for them when somebody wants them.
        """
        tell = self._tell_attributes if taker.wants_attributes else self._tell_names
        for begin in range(bisect_right(self._cookies, start), len(self), _BLOCK):
            end = min(begin + _BLOCK, len(self))
            # Two that renew one record may not do so while a third one sends it.
            with self._lock:
                sent = tell(taker, begin, end)
            if sent < end:
                return

    def _tell_names(self, taker: Taker, begin: int, end: int) -> int:
        return self._send(taker, begin, end, repeat(0))

    def _tell_attributes(self, taker: Taker, begin: int, end: int) -> int:
        doubtful = self._in_doubt(begin, end)
        sizes = self._vfs.known_sizes([self._entries[number] for number in doubtful])
        for number, size in zip(doubtful, sizes, strict=True):
            if size != self._sizes[number]:
                self._renew(number, size)
        sent = self._send(taker, begin, end, self._flags[begin:end])
        for number, size in zip(doubtful, sizes, strict=True):
            if number < sent:
                self._settle(number, size)
        return sent

    def _in_doubt(self, begin: int, end: int) -> list[int]:
        """Numbers of the entries whose size may be another one than was told, if any was."""
        proofs = self._vfs.proofs
        if proofs != self._proofs:
            self._doubtful = bytearray(b"\1") * len(self)
            self._proofs = proofs
        return list(compress(range(begin, end), self._doubtful[begin:end]))

    def _renew(self, number: int, size: KnownSize | None) -> None:
        attributes = self._vfs.attributes_of(self._entries[number], size)
        if attributes is not None:
            _write(self._records[number], attributes)
        self._flags[number] = 0 if attributes is None else _FILL_DIR_PLUS
        self._sizes[number] = size

    def _settle(self, number: int, size: KnownSize | None) -> None:
        """It was told so."""
        if size is None:
            # A link or a folder, whose attributes were told, or a medium of which nothing is known yet.
            self._doubtful[number] = not self._flags[number]
        else:
            self._vfs.told(self._entries[number], size)
            self._doubtful[number] = not size[1]

    def _send(self, taker: Taker, begin: int, end: int, flags: Iterable[int]) -> int:
        """The number of the first entry that was not taken, else `end`."""
        size = ctypes.sizeof(taker.record_type)
        first = ctypes.addressof(self._records)
        addresses = range(first + begin * size, first + end * size, size)
        refusals = map(taker.fill, self._names[begin:end], addresses, self._cookies[begin:end], flags)
        return next((number for number, is_refused in enumerate(refusals, begin) if is_refused), end)


def _write(record: Any, attributes: Attributes) -> None:
    record.st_mode, record.st_nlink = attributes.st_mode, attributes.st_nlink
    record.st_uid, record.st_gid = attributes.st_uid, attributes.st_gid
    record.st_size, record.st_blocks = attributes.st_size, attributes.st_blocks
    record.st_blksize = attributes.st_blksize
    seconds, nanoseconds = divmod(attributes.time_ns, 10**9)
    for time in (record.st_atimespec, record.st_mtimespec, record.st_ctimespec):
        time.tv_sec, time.tv_nsec = seconds, nanoseconds
