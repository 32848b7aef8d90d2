"""Plaintext blocks in memory: found by object and index, filled once however many wait, bounded in bytes.

The only module that knows `cachetools`, and the only owner of plaintext buffers. A block is in one of three states:

    filling   reserved by a fetch that will publish or fail it; readers may wait for it
    ready     readable; least recently used ones make room for new ones
    failed    its readers get the error, and the cache has forgotten it: the next reader tries anew

The bound is hard: every buffer, of a block that is being filled as well, is one of a fixed number.
"""

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from cachetools import LRUCache

from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded
from twfs.media.decrypt import buffer_size

BLOCK_SIZE = 128 * 2**10
"""Bytes of plaintext in a block: the most that libfuse 2 asks for in one request, and little to fetch for a jump."""

_FEWEST_BLOCKS = 32
"""Below 4 MiB one stream of 1 MiB requests and its window would throw each other out."""

_AHEAD_SHARE = 0.75
"""Part of the cache that blocks being filled may take before prefetching must wait: the rest is for readers' own."""

T = TypeVar("T")
Key = tuple[Hashable, int]


class Block:
    """One block; its fields belong to the cache, readers use `view` and `size` while they hold it."""

    __slots__ = ("error", "holders", "is_ready", "key", "size", "view", "waiters")

    def __init__(self, key: Key, size: int, view: memoryview) -> None:
        """Being filled."""
        self.key = key
        self.size = size
        self.view = view
        self.is_ready = False
        self.error: BaseException | None = None
        self.holders = 1
        self.waiters = 0


class BlockCache:
    """All blocks of one mount. Safe for use by several threads; never held locked during I/O or copying."""

    def __init__(self, capacity: int) -> None:
        """At most `capacity` bytes (at least 4 MiB)."""
        self._count = max(capacity // buffer_size(BLOCK_SIZE), _FEWEST_BLOCKS)
        self._free: list[memoryview] = []
        self._made = 0
        self._filling: dict[Key, Block] = {}
        self._ready: LRUCache[Key, Block] = LRUCache(maxsize=self._count)
        self._changed = threading.Condition()
        self.hits = 0
        self.misses = 0

    @property
    def capacity(self) -> int:
        """Bytes of plaintext it can hold."""
        return self._count * BLOCK_SIZE

    def reserve(self, key: Key, size: int, deadline: Deadline) -> Block | None:
        """A new block to fill, waiting for room if need be; None if it is there or being filled already.

        Raises:
            DeadlineExceeded: no room in time.
        """
        with self._changed:
            while True:
                if key in self._filling or key in self._ready:
                    return None
                block = self._new(key, size)
                if block is not None:
                    return block
                self._wait(deadline)

    def reserve_ahead(self, key: Key, size: int) -> Block | None:
        """A new block to fill, if it is not there and there is room without waiting."""
        with self._changed:
            if key in self._filling or key in self._ready or len(self._filling) >= self._count * _AHEAD_SHARE:
                return None
            return self._new(key, size)

    def publish(self, block: Block) -> None:
        """The block's bytes are all there."""
        with self._changed:
            del self._filling[block.key]
            block.is_ready = True
            self._ready[block.key] = block
            self._changed.notify_all()
        self.release(block)

    def fail(self, blocks: Iterable[Block], error: BaseException) -> None:
        """The blocks cannot be filled: their readers get `error`, later ones try anew."""
        for block in blocks:
            with self._changed:
                del self._filling[block.key]
                block.error = error
                self._changed.notify_all()
            self.release(block)

    def use(self, key: Key, deadline: Deadline, consume: Callable[[Block], T]) -> T | None:
        """What `consume` makes of the block, once it is ready; None if it is not there (any more).

        Raises:
            DeadlineExceeded: it was not filled in time.
            TwfsError: it could not be filled.
        """
        block = self._hold(key, deadline)
        if block is None:
            return None
        try:
            return consume(block)
        finally:
            self.release(block)

    def is_awaited(self, blocks: Iterable[Block]) -> bool:
        """Whether a reader waits for any of these."""
        return any(block.waiters for block in blocks)

    def release(self, block: Block) -> None:
        """Give up one hold; the buffer goes back when nobody holds it and the cache does not keep it."""
        with self._changed:
            block.holders -= 1
            self._reclaim(block)

    def usage(self) -> dict[str, int]:
        """Bytes allocated, ready and being filled; hits and misses."""
        with self._changed:
            ready, filling = len(self._ready), len(self._filling)
        return {
            "capacity_bytes": self.capacity,
            "allocated_bytes": self._made * buffer_size(BLOCK_SIZE),
            "ready_bytes": ready * BLOCK_SIZE,
            "filling_bytes": filling * BLOCK_SIZE,
            "hits": self.hits,
            "misses": self.misses,
        }

    def _hold(self, key: Key, deadline: Deadline) -> Block | None:
        with self._changed:
            block = self._ready.get(key)
            if block is not None:
                self.hits += 1
                block.holders += 1
                return block
            self.misses += 1
            block = self._filling.get(key)
            if block is None:
                return None
            block.holders += 1
            block.waiters += 1
            try:
                while not block.is_ready and block.error is None:
                    self._wait(deadline)
            except DeadlineExceeded:
                block.holders -= 1
                self._reclaim(block)
                raise
            finally:
                block.waiters -= 1
            if block.error is None:
                return block
            block.holders -= 1
            self._reclaim(block)
            raise block.error

    # The following must be called with the lock held.

    def _wait(self, deadline: Deadline) -> None:
        self._changed.wait(deadline.remaining())

    def _new(self, key: Key, size: int) -> Block | None:
        view = self._buffer()
        if view is None:
            return None
        block = self._filling[key] = Block(key, size, view)
        return block

    def _buffer(self) -> memoryview | None:
        while not self._free:
            if self._made < self._count:
                self._made += 1
                return memoryview(bytearray(buffer_size(BLOCK_SIZE)))
            if not self._ready:
                return None
            self._reclaim(self._ready.popitem()[1])
        return self._free.pop()

    def _reclaim(self, block: Block) -> None:
        """Take the buffer back from a block that nobody holds and the cache does not keep."""
        kept = self._ready.get(block.key) is block or self._filling.get(block.key) is block
        if block.holders == 0 and not kept:
            self._free.append(block.view)
            self._changed.notify_all()
