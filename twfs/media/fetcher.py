"""Fetching in the background: threads, as many as connections, each filling blocks from one at a time."""

import threading
from collections.abc import Sequence
from contextlib import closing

from twfs.clock import Clock, Deadline
from twfs.errors import NoMoreThreads, TwfsError, Unreachable
from twfs.log import log
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache
from twfs.media.decrypt import PlainObject
from twfs.media.fairness import SILENT_SECONDS, most_at_once, next_in_turn
from twfs.ranges import ByteRange
from twfs.threads import start_thread

_STOP_SECONDS = 2.0
"""How long `stop` waits for all threads together: enough to finish a block on any connection that is alive."""


_LOOK_AGAIN_SECONDS = SILENT_SECONDS / 4
"""Between looks whether connections have fallen silent, while something waits for one."""


class Cancelled(TwfsError):
    """The fetch was no longer wanted; a reader that wants the block after all asks anew."""


class Fetch:
    """Neighbouring blocks of one object, reserved, to be filled from one connection."""

    def __init__(self, plain_object: PlainObject, blocks: Sequence[Block], *, urgent: bool) -> None:
        """`blocks` are in order; `urgent` if a reader waits for them."""
        self.plain_object = plain_object
        self.blocks = blocks
        self.urgent = urgent
        self.heard_at = 0.0
        """When a block last came, or it was begun."""
        self.cancelled = False
        self.gives_way = False
        """It runs, and is to end at its next block for one that a reader waits for; the rest is queued again."""

    @property
    def subject(self) -> str:
        """The SID of its medium."""
        return self.plain_object.medium.sid

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
    """Runs fetches: what readers wait for first, fairly among media (`next_in_turn`), in the order they were asked for.

    Prefetching may take all connections: what was begun last gives way at its next block when a reader needs one.
    Its lock may be taken while the cache is locked (`BlockCache.on_wait`), so never the other way round.
    """

    def __init__(self, cache: BlockCache, connections: int, clock: Clock, timeout: float) -> None:
        """No thread starts before `start`; `timeout` (s) bounds the time that each block may take."""
        self._cache = cache
        self._clock = clock
        self._timeout = timeout
        self.connections = connections
        self._queue: list[Fetch] = []
        self._running: dict[Fetch, None] = {}
        self._idle = 0
        """Threads that have nothing to do."""
        self._running_ahead: dict[Fetch, None] = {}
        """Those that no reader waited for when they began, the latest last."""
        self._changed = threading.Condition(threading.Lock())
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self.bytes_fetched = 0
        self.fetches = 0
        cache.on_wait = self._hurry

    def start(self) -> None:
        """Start the threads; after the daemonising fork, never before."""
        for _ in range(self.connections + 1):
            self._add_thread()

    def _add_thread(self) -> None:
        """One is always idle, to look whether others are silent: only so many more run as silent ones allow."""
        self._threads.append(start_thread(self._work, f"fetch-{len(self._threads)}"))

    def stop(self) -> None:
        """Fail what is queued, let what runs end at its next block; a thread stuck in the network is left behind."""
        with self._changed:
            self._stopping = True
            queued, self._queue = self._queue, []
            self._changed.notify_all()
        for fetch in queued:
            self._cache.fail(fetch.blocks, _going_down())
        end = self._clock.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - self._clock.monotonic()))
        self._threads.clear()

    def usage(self) -> dict[str, int]:
        """Ranges and bytes fetched so far; how many ranges are under way, and how many wait for a connection."""
        with self._changed:
            return {
                "requests": self.fetches,
                "bytes": self.bytes_fetched,
                "running": len(self._running),
                "queued": len(self._queue),
            }

    def submit(self, fetch: Fetch) -> None:
        """Queue a fetch. Its blocks will be published or failed, whatever happens."""
        with self._changed:
            accepted = not self._stopping
            if accepted:
                # A reader may have found the reserved blocks, and begun to wait, before they were handed in.
                fetch.urgent = fetch.urgent or self._cache.is_awaited(fetch.blocks)
                self._queue.append(fetch)
                self._make_way(fetch)
                self._changed.notify()
        if not accepted:
            self._cache.fail(fetch.blocks, _going_down())

    def cancel(self, fetches: Sequence[Fetch]) -> None:
        """What of these is queued is dropped; what runs ends at its next block, unless a reader waits for more."""
        dropped: list[Fetch] = []
        with self._changed:
            for fetch in fetches:
                fetch.cancelled = True
                if fetch in self._queue and not self._cache.is_awaited(fetch.blocks):
                    self._queue.remove(fetch)
                    dropped.append(fetch)
        for fetch in dropped:
            self._cache.fail(fetch.blocks, _cancelled())

    def _hurry(self, blocks: Sequence[Block]) -> None:
        """A reader waits for these blocks: what would fetch them must not queue behind prefetching."""
        with self._changed:
            for fetch in self._queue:
                if not fetch.urgent and any(block in fetch.blocks for block in blocks):
                    fetch.urgent = True
                    self._make_way(fetch)
                    self._changed.notify()

    def _make_way(self, fetch: Fetch) -> None:
        """Have what was begun last ahead of readers give its thread to an urgent fetch, if there is none for it.

        Rather what no reader waits for: only that can end at its next block.
        """
        urgent = sum(queued.urgent for queued in self._queue)
        if fetch.urgent and len(self._running) + urgent > self.connections:
            able = [running for running in reversed(self._running_ahead) if not running.gives_way]
            if able:
                next((each for each in able if not self._cache.is_awaited(each.blocks)), able[0]).gives_way = True

    def _goes_on(self, fetch: Fetch, filled: int) -> bool:
        """Whether the blocks from number `filled` on are still to be fetched, by this thread."""
        may_end = fetch.cancelled or fetch.gives_way
        return not self._stopping and (not may_end or self._cache.is_awaited(fetch.blocks[filled:]))

    def _work(self) -> None:
        while (fetch := self._next()) is not None:
            filled = self._run(fetch)
            if not self._end(fetch, filled):
                self._cache.fail(fetch.blocks[filled:], _going_down() if self._stopping else _cancelled())

    def _end(self, fetch: Fetch, filled: int) -> bool:
        """Whether nothing is left of it that nobody will fetch."""
        with self._changed:
            del self._running[fetch]
            self._running_ahead.pop(fetch, None)
            self.fetches += 1
            self.bytes_fetched += sum(block.size for block in fetch.blocks[:filled])
            goes_on = fetch.gives_way and not (fetch.is_over or fetch.cancelled or self._stopping)
            if goes_on:
                fetch.blocks, fetch.gives_way = fetch.blocks[filled:], False
                fetch.urgent = self._cache.is_awaited(fetch.blocks)
                self._queue.insert(0, fetch)
        return goes_on or fetch.is_over

    def _next(self) -> Fetch | None:
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic()
                fetch = next_in_turn(self._queue, self._running, self.connections, now)
                if fetch is not None:
                    self._begin(fetch, now)
                    return fetch
                self._idle += 1
                self._changed.wait(_LOOK_AGAIN_SECONDS if self._queue else None)
                self._idle -= 1
        return None

    def _begin(self, fetch: Fetch, now: float) -> None:
        """This thread runs it. Must be called with the lock held."""
        self._queue.remove(fetch)
        fetch.heard_at = now
        self._running[fetch] = None
        if not fetch.urgent:
            self._running_ahead[fetch] = None
        if not self._idle and len(self._threads) <= most_at_once(self.connections):
            try:
                self._add_thread()
            except NoMoreThreads as error:
                log.debug("no more ranges at once while some are silent: %s", error)

    def _run(self, fetch: Fetch) -> int:
        """How many blocks were published; where fetching failed, so did the others."""
        filled = 0
        blocks = fetch.blocks
        try:
            with closing(fetch.plain_object.open(fetch.plain_range)) as stream:
                while filled < len(blocks) and self._goes_on(fetch, filled):
                    block = blocks[filled]
                    stream.readinto(block.view, block.size, Deadline(self._clock, self._timeout))
                    filled += 1
                    fetch.heard_at = self._clock.monotonic()
                    self._cache.publish(block)
        except TwfsError as error:
            self._cache.fail(blocks[filled:], error)
        except Exception as error:  # noqa: BLE001  (whatever it is: somebody waits for the blocks)
            log.exception("fetching %s failed", fetch.plain_object.medium.sid)
            self._cache.fail(blocks[filled:], Unreachable(f"unexpected {type(error).__name__} while fetching"))
        return filled


def _cancelled() -> Cancelled:
    return Cancelled("no longer wanted")


def _going_down() -> Unreachable:
    return Unreachable("twfs is going down")
