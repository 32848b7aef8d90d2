"""Plaintext blocks in memory: found by object and index, filled once however many wait, bounded in bytes.

The only owner of plaintext buffers. A block is in one of three states:

    filling   reserved by a fetch that will publish or fail it; readers may wait for it
    ready     readable; least recently used ones that nobody holds make room for new ones. To be read for the first
              time is no use in this sense: most are read once, and would outlive what is fetched ahead and not read yet
    failed    its readers get the error, and the cache has forgotten it: the next reader tries anew

The bound is hard: every buffer, of a block that is being filled as well, is one of a fixed number. A buffer has one
block at a time, and goes to another only when nobody holds that one.
"""

import mmap
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress

from cachetools import Cache, LRUCache

from twfs.clock import Deadline
from twfs.errors import ConfigError, without_traceback
from twfs.media.plain_object import buffer_size
from twfs.media.repeats import Repeats
from twfs.ranges import ceil_div

BLOCK_SIZE = 128 * 2**10
"""Bytes of plaintext in a block: the most that libfuse 2 asks for in one request, and little to fetch for a jump."""

_STRIDE = buffer_size(BLOCK_SIZE)

_FEWEST_BLOCKS = 32
"""Below 4 MiB one stream of 1 MiB requests and its window would throw each other out."""

_AHEAD_SHARE = 0.75
"""Part of the cache that blocks being filled may take before prefetching must wait: the rest is for readers' own."""

Key = tuple[Hashable, int]


class Block:
    """One block; its fields belong to the cache, readers use `view` and `size` while they hold it."""

    __slots__ = ("arrivals", "error", "holders", "is_ready", "is_used", "key", "size", "view")

    def __init__(self, key: Key, size: int, view: memoryview) -> None:
        """Being filled, and held by whoever fills it."""
        self.key = key
        self.size = size
        self.view = view
        self.is_ready = False
        self.is_used = False
        """Whether a reader had anything of it."""
        self.error: BaseException | None = None
        self.holders = 1
        self.arrivals: list[_Arrival] = []
        """Of those who wait for it."""


class _Arrival:
    """Of all blocks that one reader waits for: it is woken once, not for each of the eight of a large request."""

    __slots__ = ("complete", "error", "missing")

    def __init__(self, lock: threading.Lock, missing: int) -> None:
        self.missing = missing
        self.error: BaseException | None = None
        self.complete = threading.Condition(lock)

    def settled(self, error: BaseException | None) -> None:
        """One of them is there, or could not be had."""
        self.missing -= 1
        self.error = self.error or error
        if not self.missing or self.error is not None:
            self.complete.notify()


class BlockCache:
    """All blocks of one mount. Safe for use by several threads; never held locked during I/O or copying."""

    def __init__(self, capacity: int, repeats: Repeats | None = None) -> None:
        """At most `capacity` bytes (at least 4 MiB). `repeats` is told of each block that has come."""
        self._repeats = repeats
        self._count = max(capacity // _STRIDE, _FEWEST_BLOCKS)
        self._arena = _arena(self._count * _STRIDE)
        self._most_ahead = int(self._count * _AHEAD_SHARE)
        self._free: list[memoryview] = []
        self._made = 0
        """How many buffers have been taken from the arena so far; what is beyond them takes no memory yet."""
        self._filling: dict[Key, Block] = {}
        self._ready: LRUCache[Key, Block] = LRUCache(maxsize=self._count)
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self.on_wait: Callable[[Sequence[Block]], None] = lambda _blocks: None
        """Called, with the cache locked, when a reader begins to wait for blocks; it must not call the cache."""
        self.hits = 0
        self.misses = 0
        self.wasted_bytes = 0
        """Fetched, and dropped again before anybody read any of the block."""

    @property
    def capacity(self) -> int:
        """Bytes of plaintext it can hold."""
        return self._count * BLOCK_SIZE

    def look_up(self, owner: Hashable, indexes: Iterable[int]) -> tuple[list[int], bool]:
        """Which of an object's blocks are neither there nor being filled, and whether all are there: at this moment."""
        with self._lock:
            absent = [index for index in indexes if (owner, index) not in self._ready]
            return [index for index in absent if (owner, index) not in self._filling], not absent

    def reserve(self, key: Key, size: int, deadline: Deadline) -> Block | None:
        """A new block to fill, waiting for room if need be; None if it is there or being filled already.

        Raises:
            DeadlineExceeded: no room in time.
        """
        with self._lock:
            while not self._has(key):
                block = self._new(key, size)
                if block is not None:
                    return block
                self._room.wait(deadline.remaining())
        return None

    def reserve_ahead(self, key: Key, size: int) -> Block | None:
        """A new block to fill, if it is not there and there is room without waiting."""
        with self._lock:
            if len(self._filling) >= self._most_ahead or self._has(key):
                return None
            return self._new(key, size)

    def publish(self, block: Block) -> None:
        """The block's bytes are all there; the filler's hold on it ends."""
        if self._repeats is not None:
            self._repeats.came(*block.key, block.view[: block.size])
        with self._lock:
            del self._filling[block.key]
            self._ready[block.key] = block
            block.is_ready = True
            self._settled(block)

    def has_differed(self, owner: Hashable) -> bool:
        """Whether a block of the object was fetched again and was another one; False if nobody minds."""
        return self._repeats is not None and self._repeats.differ(owner)

    def fail(self, blocks: Iterable[Block], error: BaseException) -> None:
        """The blocks cannot be filled: their readers get `error`, later ones try anew; the filler's holds end."""
        # Not `error` itself: with its traceback it would keep the frames, and the views in them, of whoever raised it.
        kept = without_traceback(error)
        with self._lock:
            for block in blocks:
                del self._filling[block.key]
                block.error = kept
                self._settled(block)

    def use(self, owner: Hashable, indexes: range, deadline: Deadline, consume: Callable[[Block], object]) -> int:
        """Have `consume` an object's blocks in order, as far as they are there or on their way, once all those are.

        Returns:
            How many: 0 if the first of `indexes` is not there (any more).

        Raises:
            DeadlineExceeded: they were not filled in time.
            TwfsError: one of them could not be filled.
        """
        blocks = self._hold(owner, indexes, deadline)
        try:
            for block in blocks:
                consume(block)
        finally:
            with self._lock:
                self._let_go(blocks)
        return len(blocks)

    def raise_failure(self, block: Block) -> None:
        """For who reserved a block and finds it gone.

        Raises:
            TwfsError: what it failed with, if it failed.
        """
        if block.error is not None:
            # Its own for each reader: threads that raise one and the same write into each other's traceback.
            raise without_traceback(block.error)

    def is_awaited(self, blocks: Sequence[Block]) -> bool:
        """Whether a reader waits for any of these; one that begins to is told of by `on_wait`."""
        return any(block.arrivals for block in blocks)

    def usage(self) -> dict[str, int]:
        """Bytes allocated, ready, being filled, and fetched for nothing; hits and misses."""
        with self._lock:
            return {
                "capacity_bytes": self.capacity,
                "allocated_bytes": self._made * _STRIDE,
                "ready_bytes": len(self._ready) * BLOCK_SIZE,
                "filling_bytes": len(self._filling) * BLOCK_SIZE,
                "hits": self.hits,
                "misses": self.misses,
                "wasted_bytes": self.wasted_bytes,
            }

    def _hold(self, owner: Hashable, indexes: range, deadline: Deadline) -> list[Block]:
        with self._lock:
            blocks = self._found(owner, indexes)
            filling = [block for block in blocks if not block.is_ready]
            if filling:
                try:
                    self._await(filling, deadline)
                except BaseException:
                    self._let_go(blocks)
                    raise
            return blocks

    # The following must be called with the lock held.

    def _has(self, key: Key) -> bool:
        return key in self._ready or key in self._filling

    def _found(self, owner: Hashable, indexes: range) -> list[Block]:
        """The first of an object's blocks up to one that is neither there nor on its way; held from now on."""
        blocks = []
        for key in ((owner, index) for index in indexes):
            if key in self._ready:
                self.hits += 1
                block = self._touched(key)
            else:
                self.misses += 1
                if key not in self._filling:
                    break
                block = self._filling[key]
            block.holders += 1
            block.is_used = True
            blocks.append(block)
        return blocks

    def _touched(self, key: Key) -> Block:
        block = Cache.__getitem__(self._ready, key)
        return self._ready[key] if block.is_used else block

    def _await(self, blocks: Sequence[Block], deadline: Deadline) -> None:
        arrival = _Arrival(self._lock, len(blocks))
        for block in blocks:
            block.arrivals.append(arrival)
        try:
            self.on_wait(blocks)
            while arrival.missing and arrival.error is None:
                arrival.complete.wait(deadline.remaining())
        finally:
            for block in blocks:
                if arrival in block.arrivals:
                    block.arrivals.remove(arrival)
        if arrival.error is not None:
            # Its own for each reader: threads that raise one and the same write into each other's traceback.
            raise without_traceback(arrival.error)

    def _settled(self, block: Block) -> None:
        for arrival in block.arrivals:
            arrival.settled(block.error)
        block.arrivals.clear()
        self._let_go([block])

    def _let_go(self, blocks: Iterable[Block]) -> None:
        """End one hold of each; what nobody holds any more makes room."""
        for block in blocks:
            block.holders -= 1
            if block.holders == 0:
                if block.error is not None:
                    self._free.append(block.view)
                self._room.notify_all()

    def _new(self, key: Key, size: int) -> Block | None:
        view = self._buffer()
        if view is None:
            return None
        block = self._filling[key] = Block(key, size, view)
        return block

    def _buffer(self) -> memoryview | None:
        if self._free:
            return self._free.pop()
        if self._made < self._count:
            start = self._made * _STRIDE
            self._made += 1
            return self._arena[start : start + _STRIDE]
        return self._least_recently_used()

    def _least_recently_used(self) -> memoryview | None:
        for _ in range(len(self._ready)):
            key, block = self._ready.popitem()
            if block.holders == 0:
                self.wasted_bytes += 0 if block.is_used else block.size
                return block.view
            # Somebody reads it at this moment: that is as recent as can be.
            self._ready[key] = block
        return None


def _arena(size: int) -> memoryview:
    """Zeroed memory that is taken from the machine page by page as it is written, and never appears in a core dump.

    In huge pages where the kernel has them: filling 256 MiB for the first time takes 16 ms instead of 76 ms.

    Raises:
        ConfigError: the machine does not give it.
    """
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError):  # OverflowError: not even an address space has as much
        # Whole blocks are a little less than was asked for.
        mebibytes = ceil_div(size, 2**20)
        shown = f"{mebibytes}M" if mebibytes % 2**10 else f"{mebibytes // 2**10}G"
        raise ConfigError(f"cache_size={shown}: the machine does not give that much memory; make it smaller") from None
    for advice in (mmap.MADV_HUGEPAGE, mmap.MADV_DONTDUMP):
        with suppress(OSError):  # Advice only: a kernel may be built without either.
            memory.madvise(advice)
    return memoryview(memory)
