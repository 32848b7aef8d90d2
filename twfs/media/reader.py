"""A medium open for reading, and the library that opens them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from twfs.clock import Clock, Deadline
from twfs.crypto.unlock import Unlocker
from twfs.errors import MediaDamaged, ObjectChanged
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache
from twfs.media.decrypt import PlainObject
from twfs.media.fetcher import Cancelled, Fetch, Fetcher
from twfs.media.ports import StoredMedia
from twfs.media.prefetch import Plan, Prefetcher
from twfs.probe import MediaInfo, MediaState
from twfs.ranges import ByteRange, block_indexes, runs
from twfs.resources import Medium

_WINDOWS_SHARE = 0.5
"""Part of the cache that all windows together may take; the rest holds what was read and what is jumped to."""

_IDLE_SECONDS = 10.0
"""A handle not read for so long has no claim on a share of the windows."""


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How reading may use memory."""

    readahead: int
    """Largest prefetch window of a stream, in bytes."""


class MediaLibrary:
    """Opens media; holds what all open ones share. Safe for use by several threads."""

    def __init__(
        self,
        *,
        stored: StoredMedia,
        unlocker: Unlocker,
        cache: BlockCache,
        fetcher: Fetcher,
        settings: ReadingSettings,
        clock: Clock,
        on_changed: Callable[[str], None],
    ) -> None:
        self._stored = stored
        self._unlocker = unlocker
        self.cache = cache
        self.fetcher = fetcher
        self._settings = settings
        self._clock = clock
        self.on_changed = on_changed
        self._read_at: dict[MediumReader, float] = {}
        self._lock = threading.Lock()

    def open(self, medium: Medium, info: MediaInfo) -> "MediumReader":
        """Open a medium for reading, without a request. `info` must not be ABSENT: there is nothing to read then.

        Raises:
            NoKey: no private key at hand fits.
            MediaDamaged: the object contradicts its envelope, or the envelope is unknown.
        """
        if info.facts is None or info.state is MediaState.ABSENT:
            raise MediaDamaged(f"{medium.sid}: Twilio has no media for it")
        unlocked = self._unlocker.unlock(info.facts)
        plain_size = info.facts.stored_size if unlocked is None else unlocked.plain_size
        if plain_size != info.plain_size:
            raise MediaDamaged(f"{medium.sid}: its size is {plain_size}, not {info.plain_size} as was known")
        return MediumReader(PlainObject(medium, info.facts, plain_size, unlocked, self._stored), self)

    def most_ahead(self, reader: "MediumReader") -> int:
        """How large the windows of this reader's streams may be: its share of what all that are being read may take."""
        now = self._clock.monotonic()
        with self._lock:
            self._read_at[reader] = now
            active = sum(now - moment < _IDLE_SECONDS for moment in self._read_at.values())
        return min(self._settings.readahead, int(self.cache.capacity * _WINDOWS_SHARE) // active)

    def closed(self, reader: "MediumReader") -> None:
        """The reader gives its share back."""
        with self._lock:
            self._read_at.pop(reader, None)


class MediumReader:
    """One medium as one handle reads it. Safe for use by several threads."""

    def __init__(self, plain_object: PlainObject, library: MediaLibrary) -> None:
        """Nothing is fetched before the first read."""
        self._object = plain_object
        self._library = library
        self._object_key = (plain_object.medium.sid, plain_object.facts.etag)
        self._prefetcher = Prefetcher(plain_object.plain_size)
        self._planning = threading.Lock()
        self._ahead: list[Fetch] = []

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext."""
        return self._object.plain_size

    def read_into(self, view: memoryview, plain_offset: int, deadline: Deadline) -> int:
        """Plaintext from `plain_offset` into `view`: as many bytes as fit, fewer only at the end of the medium.

        Raises:
            ObjectChanged: the object is another one than was opened.
            RemoteError, CredentialsRefused: it cannot be had by the deadline.
        """
        wanted = ByteRange(plain_offset, plain_offset + len(view)).clipped(self.plain_size)
        if not wanted.size:
            return 0
        self._plan(wanted, deadline)
        try:
            for index in block_indexes(wanted, BLOCK_SIZE):
                self._copy(index, wanted, view, deadline)
        except ObjectChanged:
            self._library.on_changed(self._object.medium.sid)
            raise
        return wanted.size

    def close(self) -> None:
        """Stop fetching ahead, give the share of memory back."""
        with self._planning:
            ahead, self._ahead = self._ahead, []
        self._library.fetcher.cancel(ahead)
        self._library.closed(self)

    def _copy(self, index: int, wanted: ByteRange, view: memoryview, deadline: Deadline) -> None:
        """Copy what is wanted of one block, having it fetched again if it was dropped meanwhile."""
        base = index * BLOCK_SIZE

        def copy(block: Block) -> bool:
            start, end = max(wanted.start, base), min(wanted.end, base + block.size)
            view[start - wanted.start : end - wanted.start] = block.view[start - base : end - base]
            return True

        while True:
            try:
                if self._library.cache.use((self._object_key, index), deadline, copy):
                    return
            except Cancelled:
                deadline.remaining()
            self._demand(range(index, index + 1), deadline)

    def _plan(self, wanted: ByteRange, deadline: Deadline) -> None:
        """Have fetched what is missing, then what will probably be read next."""
        missed = self._demand(block_indexes(wanted, BLOCK_SIZE), deadline)
        with self._planning:
            plan = self._prefetcher.plan(wanted, self._library.most_ahead(self), missed=missed)
            dropped: list[Fetch] = []
            if plan.jumped:
                dropped, self._ahead = self._ahead, []
            self._fetch_ahead(plan)
        if dropped:
            self._library.fetcher.cancel(dropped)

    def _demand(self, indexes: range, deadline: Deadline) -> bool:
        """Have what is missing of these blocks fetched at once; whether anything was.

        Waits for room for the first block only: a reader that holds some and waits for more would block others.
        """
        cache = self._library.cache
        reserved: list[Block] = []
        for index in indexes:
            key, size = (self._object_key, index), self._block_size(index)
            block = cache.reserve_ahead(key, size) if reserved else cache.reserve(key, size, deadline)
            reserved += [block] if block is not None else []
        for fetch in self._fetches(reserved, len(indexes), urgent=True):
            self._library.fetcher.submit(fetch)
        return bool(reserved)

    def _fetch_ahead(self, plan: Plan) -> None:
        """Must be called with `_planning` held."""
        cache = self._library.cache
        reserved: list[Block] = []
        for index in block_indexes(plan.ahead, BLOCK_SIZE) if plan.ahead.size else ():
            block = cache.reserve_ahead((self._object_key, index), self._block_size(index))
            reserved += [block] if block is not None else []
        self._ahead = [fetch for fetch in self._ahead if not fetch.is_over]
        for fetch in self._fetches(reserved, plan.part_size // BLOCK_SIZE, urgent=False):
            self._ahead.append(fetch)
            self._library.fetcher.submit(fetch)

    def _fetches(self, blocks: list[Block], most_blocks: int, *, urgent: bool) -> list[Fetch]:
        """Reserved blocks, as fetches of neighbours, `most_blocks` at most in each."""
        by_index = {block.key[1]: block for block in blocks}
        return [
            Fetch(self._object, [by_index[index] for index in run[first : first + most_blocks]], urgent=urgent)
            for run in runs(list(by_index))
            for first in range(0, len(run), most_blocks)
        ]

    def _block_size(self, index: int) -> int:
        return min(BLOCK_SIZE, self.plain_size - index * BLOCK_SIZE)
