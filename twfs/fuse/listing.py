"""What libfuse is told of a folder, made once and handed over as often as the kernel asks.

Working out name, inode number, times and mode costs Python some ten microseconds an entry, handing them over half a
microsecond. So pages of entries are kept, as far as there is room, until something in their folder changes. Sizes are
asked for anew each time, unless the one at hand is proven and holds (`Directory.proofs`).
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any

from cachetools import LRUCache

from twfs.folders import KnownFolder
from twfs.fs.attributes import KnownSize
from twfs.fs.directory import Directory, Entry
from twfs.fs.names import sid_in
from twfs.fs.tree import PAGE, MediumFile
from twfs.fuse.stat_records import StatRecords

KEPT_NAMES = 2**17
"""Names that are kept in all folders together: some 650 bytes each in a mount, 80 MiB in all."""

_PAGES_OF_A_LARGE_FOLDER = 8
"""Pages that are kept of a folder which has more than `KEPT_NAMES` names: one for each of so many who list it at once.
All of them would drive everything else out, and be gone when the listing comes to its end."""

_OWN_WEIGHT = 4
"""What a listing takes besides its names, in names."""

_FILL_DIR_PLUS = 2
"""The attributes are all there (enum fuse_fill_dir_flags of libfuse3's fuse.h); without, only type and inode number."""

_BLOCK = 128
"""Entries whose sizes are asked for at once: one call of the kernel's has room for some twenty to some hundred."""


@dataclass(frozen=True, slots=True)
class Taker:
    """What takes entries when the kernel asks for some."""

    fill: Callable[[bytes, int, int, int], int]
    """libfuse's fuse_fill_dir_t without its buffer: name, address of a `struct stat`, this entry's cookie, flags. Not 0
    if there was no room."""
    record_type: Any
    """libfuse's `struct stat`, as a class of ctypes."""
    wants_attributes: bool


class Listings:
    """Listings of all folders, the latest ones kept. Safe for use by several threads."""

    def __init__(self, directory: Directory, kept_names: int = KEPT_NAMES) -> None:
        """Of the folders in `directory`; nothing is kept yet."""
        self._directory = directory
        self._kept_names = kept_names
        self._kept: LRUCache[str, Listing] = LRUCache(kept_names, getsizeof=lambda listing: listing.weight)
        self._lock = threading.Lock()

    def of(self, path: str) -> "Listing":
        """That of a folder as it is now.

        Raises:
            NoSuchName, NotADirectory: there is no such folder.
        """
        folder = self._directory.folder(path)
        with self._lock:
            listing = self._kept.get(folder.path)
            if listing is None or listing.version != folder.version:
                listing = self._kept[folder.path] = Listing(self._directory, folder, self._kept_names)
            return listing


class Listing:
    """The entries of one folder, made page by page as they are told. Safe for use by several threads.

    While its folder changes, pages that are made from then on are of the new state.
    """

    def __init__(self, directory: Directory, folder: KnownFolder, kept_names: int) -> None:
        """Of `folder` in `directory`, one of many that share memory for `kept_names`."""
        self._directory = directory
        self._folder = folder
        self._lock = threading.Lock()
        names = folder.folders + folder.media + 2
        pages = _PAGES_OF_A_LARGE_FOLDER if names + _OWN_WEIGHT > kept_names else names // PAGE + 1
        self._pages: LRUCache[int, _Page] = LRUCache(pages)
        """By the cookie that each begins behind."""
        self.weight: int = min(names, pages * PAGE) + _OWN_WEIGHT
        """What it takes when all its pages are made, in names."""

    @property
    def version(self) -> int:
        """The folder's, when the listing was begun."""
        return self._folder.version

    def tell(self, taker: Taker, start: int) -> None:
        """Hand over entries behind the one whose cookie is `start`, gone or not, until there is no more room.

        Attributes that are not known are left out: the kernel asks for them when somebody wants them.
        """
        while True:
            # Two that renew one record may not do so while a third one sends it.
            with self._lock:
                page = self._page(taker.record_type, start)
                if not page.tell(taker, start) or page.is_last:
                    return
            start = page.end

    def _page(self, record_type: Any, start: int) -> "_Page":
        """One that has the entry behind `start`, if there is one."""
        begin = max((begin for begin in self._pages if begin <= start), default=None)
        page = None if begin is None else self._pages[begin]
        if page is None or not (page.is_last or start < page.end):
            page = self._pages[start] = _Page(self._directory, self._directory.page(self._folder, start), record_type)
        return page


class _Page:
    """Entries that follow one another in a folder, without what they were made of: half of the memory."""

    def __init__(self, directory: Directory, entries: Sequence[Entry], record_type: Any) -> None:
        """`record_type` as in `Taker`."""
        self._directory = directory
        self._cookies = [entry.cookie for entry in entries]
        self._names = [entry.name.encode("utf-8", "surrogateescape") for entry in entries]
        self._records = StatRecords(record_type, len(entries))
        self._flags = bytearray(len(entries))
        self._is_medium = bytes(isinstance(entry.node, MediumFile) for entry in entries)
        self._sizes: list[KnownSize | None] = [None] * len(entries)
        self._proofs: object = None
        self._doubtful = bytearray()
        """1 at each medium whose size may be another one than is at hand."""
        self._untold = bytearray(len(entries))
        """1 at each medium whose size has not been told since it was asked for."""
        for number, entry in enumerate(entries):
            self._write(number, entry)

    @property
    def is_last(self) -> bool:
        """Whether there was nothing behind it when it was made."""
        return len(self._names) < PAGE

    @property
    def end(self) -> int:
        """The cookie of its last entry."""
        return self._cookies[-1]

    def tell(self, taker: Taker, start: int) -> bool:
        """Hand over its entries behind `start`; whether there was room for all of them."""
        begin, count = bisect_right(self._cookies, start), len(self._names)
        if not taker.wants_attributes:
            return self._send(taker, begin, count, repeat(0)) == count
        for first in range(begin, count, _BLOCK):
            end = min(first + _BLOCK, count)
            if self._tell_attributes(taker, first, end) < end:
                return False
        return True

    def _write(self, number: int, entry: Entry) -> None:
        attributes = self._directory.attributes_of(entry)
        if attributes is None:
            self._records.write(number, entry.st_mode, entry.st_ino)
            return
        self._records.write_all(number, attributes)
        if not self._is_medium[number]:
            self._flags[number] = _FILL_DIR_PLUS

    def _tell_attributes(self, taker: Taker, begin: int, end: int) -> int:
        self._ask(begin, end)
        sent = self._send(taker, begin, end, self._flags[begin:end])
        for number in compress(range(begin, sent), self._untold[begin:sent]):
            size = self._sizes[number]
            if size is not None:
                self._directory.tell(self._cookies[number], size)
            self._untold[number] = 0
        return sent

    def _ask(self, begin: int, end: int) -> None:
        """Have the sizes of media in `[begin, end)`, where those at hand may be wrong or are not all."""
        proofs = self._directory.proofs
        if proofs != self._proofs:
            self._doubtful = bytearray(self._is_medium)
            self._proofs = proofs
        doubtful = list(compress(range(begin, end), self._doubtful[begin:end]))
        if doubtful:
            sizes = self._directory.known_sizes([sid_in(self._names[number].decode()) for number in doubtful])
            for number, size in zip(doubtful, sizes, strict=True):
                self._renew(number, size)

    def _renew(self, number: int, size: KnownSize | None) -> None:
        if size is not None and size != self._sizes[number]:
            self._records.write_size(number, size[0])
        self._sizes[number] = size
        self._flags[number] = 0 if size is None else _FILL_DIR_PLUS
        self._doubtful[number] = size is None or not size[1]
        self._untold[number] = 1

    def _send(self, taker: Taker, begin: int, end: int, flags: Iterable[int]) -> int:
        """The number of the first entry that was not taken, else `end`."""
        addresses = self._records.addresses(begin, end)
        refusals = map(taker.fill, self._names[begin:end], addresses, self._cookies[begin:end], flags)
        return next((number for number, is_refused in enumerate(refusals, begin) if is_refused), end)
