"""Fetching in the background: a fixed number of threads, each filling blocks from one connection at a time."""

import threading
from collections.abc import Sequence

from twfs.clock import Clock, Deadline
from twfs.errors import TwfsError, Unreachable
from twfs.log import log
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache
from twfs.media.decrypt import PlainObject
from twfs.ranges import ByteRange

_KEPT_FOR_READERS = 8
"""One thread in so many (at least one of two) is for what readers wait for, not for prefetching."""

_STOP_SECONDS = 1.0
"""How long `stop` waits for each thread: enough to finish a block on any connection that is alive."""


class Cancelled(TwfsError):
    """The fetch was no longer wanted; a reader that wants the block after all asks anew."""


class Fetch:
    """Neighbouring blocks of one object, reserved, to be filled from one connection."""

    def __init__(self, plain_object: PlainObject, blocks: Sequence[Block], *, urgent: bool) -> None:
        """`blocks` are in order; `urgent` if a reader waits for them."""
        self.plain_object = plain_object
        self.blocks = blocks
        self.urgent = urgent
        self.cancelled = False

    @property
    def is_over(self) -> bool:
        """Whether all blocks are published or failed."""
        return self.blocks[-1].is_ready or self.blocks[-1].error is not None

    @property
    def plain_range(self) -> ByteRange:
        """What the blocks cover."""
        last = self.blocks[-1]
        return ByteRange(self.blocks[0].key[1] * BLOCK_SIZE, last.key[1] * BLOCK_SIZE + last.size)


class Fetcher:
    """Runs fetches: what readers wait for first, otherwise in the order they were asked for."""

    def __init__(self, cache: BlockCache, connections: int, clock: Clock, timeout: float) -> None:
        """No thread starts before `start`; `timeout` (s) bounds the time that each block may take."""
        self._cache = cache
        self._clock = clock
        self._timeout = timeout
        self._connections = connections
        self._most_ahead = max(1, connections - max(1, connections // _KEPT_FOR_READERS))
        self._queue: list[Fetch] = []
        self._ahead_running = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self.bytes_fetched = 0
        self.fetches = 0

    def start(self) -> None:
        """Start the threads; after the daemonising fork, never before."""
        for number in range(self._connections):
            thread = threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Fail what is queued, let what runs end at its next block; a thread stuck in the network is left behind."""
        with self._changed:
            self._stopping = True
            queued, self._queue = self._queue, []
            self._changed.notify_all()
        for fetch in queued:
            self._cache.fail(fetch.blocks, _going_down())
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
        self._threads.clear()

    def submit(self, fetch: Fetch) -> None:
        """Queue a fetch. Its blocks will be published or failed, whatever happens."""
        with self._changed:
            accepted = not self._stopping
            if accepted:
                self._queue.append(fetch)
                self._changed.notify()
        if not accepted:
            self._cache.fail(fetch.blocks, _going_down())

    def cancel(self, fetches: Sequence[Fetch]) -> None:
        """What of these is queued is dropped; what runs ends at its next block, unless a reader waits for more."""
        with self._changed:
            for fetch in fetches:
                fetch.cancelled = True
            dropped = [fetch for fetch in self._queue if self._is_unwanted(fetch, fetch.blocks)]
            self._queue = [fetch for fetch in self._queue if fetch not in dropped]
        for fetch in dropped:
            self._cache.fail(fetch.blocks, Cancelled("no longer wanted"))

    def _is_unwanted(self, fetch: Fetch, blocks: Sequence[Block]) -> bool:
        return fetch.cancelled and not self._cache.is_awaited(blocks)

    def _work(self) -> None:
        while (fetch := self._next()) is not None:
            try:
                self._run(fetch)
            finally:
                with self._changed:
                    self._ahead_running -= not fetch.urgent
                    self._changed.notify()

    def _next(self) -> Fetch | None:
        with self._changed:
            while not self._stopping:
                fetch = self._most_wanted()
                if fetch is not None:
                    self._queue.remove(fetch)
                    self._ahead_running += not fetch.urgent
                    return fetch
                self._changed.wait()
        return None

    def _most_wanted(self) -> Fetch | None:
        """The first that a reader waits for; else, if prefetching may have another thread, the first."""
        awaited = next((fetch for fetch in self._queue if fetch.urgent or self._cache.is_awaited(fetch.blocks)), None)
        if awaited is not None:
            return awaited
        return self._queue[0] if self._queue and self._ahead_running < self._most_ahead else None

    def _run(self, fetch: Fetch) -> None:
        remaining = list(fetch.blocks)
        stream = fetch.plain_object.open(fetch.plain_range)
        self.fetches += 1
        try:
            while remaining and not self._stopping and not self._is_unwanted(fetch, remaining):
                block = remaining[0]
                stream.readinto(block.view, block.size, Deadline(self._clock, self._timeout))
                self.bytes_fetched += block.size
                self._cache.publish(remaining.pop(0))
            self._cache.fail(remaining, Cancelled("no longer wanted"))
        except TwfsError as error:
            self._cache.fail(remaining, error)
        except BaseException as error:
            log.exception("fetching %s failed", fetch.plain_object.medium.sid)
            self._cache.fail(remaining, Unreachable(f"unexpected {type(error).__name__} while fetching"))
        finally:
            stream.close()


def _going_down() -> Unreachable:
    return Unreachable("twfs is going down")
