"""Stored objects read whole: in order, by several ranges at a time, into a few buffers that are used again and again.

The mount's reader serves reading anywhere, again and by many. Here every byte is wanted once, in order and as it is
stored, so that it can be proven; requests, their retries and their bound are the mount's own (`StoredMedia`).
"""

import mmap
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, NoMoreThreads, TwfsError, Unreachable
from twfs.log import log
from twfs.media.fairness import SILENT_SECONDS, most_at_once, next_in_turn
from twfs.media.ports import StoredStream
from twfs.mount.session import Session
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Medium
from twfs.threads import start_thread
from twfs.transfer.shares import Shares

PIECE_SIZE = 2**20
"""Bytes handed on at once: whole AES blocks, and few enough to stay in the processor's caches."""

_PART_SIZE = 4 * 2**20
"""Bytes of one range: a request costs as much processor time as decrypting some MiB; smaller ones keep less memory."""

_STEP_SIZE = 256 * 2**10
"""Bytes that must come within one `timeout`, or are asked for again."""

_PATIENCE = 4
"""How often a step may outlast `timeout`: nobody is kept waiting as in a file system, and many media at once on a thin
line are each slow."""

_LOOK_AGAIN_SECONDS = SILENT_SECONDS / 4
"""Between looks whether connections have fallen silent, while something waits for one."""

_STOP_SECONDS = 2.0
"""How long the end waits for all threads together; one that is stuck in the network is left behind."""


@dataclass(eq=False, slots=True)
class _Part:
    """One range on its way into its buffer."""

    medium: Medium
    facts: ObjectFacts
    stored_range: ByteRange
    buffer: memoryview
    stirred: threading.Event
    """Set whenever something arrives."""
    arrivals: "queue.SimpleQueue[TwfsError | None]" = field(default_factory=queue.SimpleQueue)
    """None for each piece that is there, or why the rest will not come."""
    unwanted: threading.Event = field(default_factory=threading.Event)
    heard_at: float = 0.0
    """When some of it last came, or it was begun."""
    urgent: bool = True

    @property
    def subject(self) -> str:
        """The SID of its medium."""
        return self.medium.sid

    def pieces(self) -> Iterator[memoryview]:
        """Its pieces' places, in order."""
        for start in range(0, self.stored_range.size, PIECE_SIZE):
            yield self.buffer[start : min(start + PIECE_SIZE, self.stored_range.size)]

    def arrived(self, failure: TwfsError | None = None) -> None:
        """One more piece, or why the rest will not come."""
        self.arrivals.put(failure)
        self.stirred.set()


class RangePool:
    """Threads that fetch ranges, one for each connection, for all media that are transferred, fairly among these."""

    def __init__(self, session: Session) -> None:
        """No thread before the block is entered."""
        self.session = session
        self.shares = Shares(session.config.cache_size // _PART_SIZE, session.config.connections)
        self._connections = session.config.connections
        self._queue: list[_Part] = []
        self._running: dict[_Part, None] = {}
        self._idle = 0
        """Threads that have nothing to do."""
        self._changed = threading.Condition(threading.Lock())
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Start the threads.

        Raises:
            NoMoreThreads: the machine refuses so many; none is left then.
        """
        try:
            for _ in range(self._connections + 1):
                self._add_thread()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whoever still waits for something is told that it will not come."""
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._stopping = True
            queued, self._queue = self._queue, []
            self._changed.notify_all()
        for part in queued:
            part.arrived(Unreachable("twfs is going down"))
        clock = self.session.clock
        end = clock.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - clock.monotonic()))

    def open(self, medium: Medium, facts: ObjectFacts, stored_range: ByteRange) -> "StoredReader":
        """A reader of part of an object; no request before its first piece is asked for. To be closed."""
        self.shares.join()
        return StoredReader(self, medium, facts, stored_range)

    def submit(self, part: _Part) -> None:
        """Have it fetched, after what was submitted before of the same medium."""
        with self._changed:
            self._queue.append(part)
            self._changed.notify()

    def _add_thread(self) -> None:
        """One is always idle, to look whether others are silent: only so many more run as silent ones allow."""
        self._threads.append(start_thread(self._work, f"range-{len(self._threads)}"))

    def _next(self) -> _Part | None:
        with self._changed:
            while not self._stopping:
                now = self.session.clock.monotonic()
                part = next_in_turn(self._queue, self._running, self._connections, now)
                if part is not None:
                    self._begin(part, now)
                    return part
                self._idle += 1
                self._changed.wait(_LOOK_AGAIN_SECONDS if self._queue else None)
                self._idle -= 1
        return None

    def _begin(self, part: _Part, now: float) -> None:
        """This thread fetches it. Must be called with the lock held."""
        self._queue.remove(part)
        part.heard_at = now
        self._running[part] = None
        if not self._idle and len(self._threads) <= most_at_once(self._connections):
            try:
                self._add_thread()
            except NoMoreThreads as error:
                log.debug("no more ranges at once while some are silent: %s", error)

    def _end_of(self, part: _Part) -> None:
        with self._changed:
            del self._running[part]

    def _work(self) -> None:
        while (part := self._next()) is not None:
            try:
                self._fill(part)
            except TwfsError as error:
                part.arrived(error)
            except Exception as error:  # noqa: BLE001 - whatever it is: somebody waits for the part
                log.exception("fetching %s failed", part.medium.sid)
                part.arrived(Unreachable(f"unexpected {type(error).__name__} while fetching"))
            self._end_of(part)
            # Or its buffer would stay for as long as nothing else is to be done.
            del part

    def _fill(self, part: _Part) -> None:
        with closing(self.session.stored.open(part.medium, part.stored_range, part.facts)) as stream:
            for piece in part.pieces():
                for start in range(0, len(piece), _STEP_SIZE):
                    if self._stopping:
                        raise Unreachable("twfs is going down")
                    if part.unwanted.is_set():
                        return
                    self._read_patiently(stream, piece[start : start + _STEP_SIZE])
                    part.heard_at = self.session.clock.monotonic()
                part.arrived()

    def _read_patiently(self, stream: StoredStream, view: memoryview) -> None:
        clock, timeout = self.session.clock, self.session.config.timeout
        for _ in range(_PATIENCE - 1):
            try:
                return stream.readinto(view, Deadline(clock, timeout))
            except DeadlineExceeded:
                log.debug("%d bytes take longer than %g s", len(view), timeout)
        return stream.readinto(view, Deadline(clock, timeout))


class StoredReader:
    """Stored bytes `[start, end)` of one object, in order. One thread at a time."""

    def __init__(self, pool: RangePool, medium: Medium, facts: ObjectFacts, stored_range: ByteRange) -> None:
        """Made by `RangePool.open`."""
        self._pool = pool
        self._medium = medium
        self._facts = facts
        self._rest = stored_range
        self._parts: deque[_Part] = deque()
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._stirred = threading.Event()
        """Set whenever a piece arrives or a buffer is given back."""
        self._buffers = 0
        """How many there are, free or not."""

    def pieces(self, when_used: Callable[[Callable[[], None]], None]) -> Iterator[memoryview]:
        """Pieces of `PIECE_SIZE` bytes, fewer only at the end of each range.

        Whoever keeps pieces beyond its turn says so by `when_used`: what it is given it calls, from whatever thread,
        when it has no more need of those that came so far.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: the next one cannot be had.
        """
        self._ask_ahead()
        while self._parts:
            part = self._parts[0]
            for piece in part.pieces():
                failure = self._next_arrival(part)
                if failure is not None:
                    raise failure
                yield piece
                self._ask_ahead()
            self._parts.popleft()
            when_used(partial(self._give_back, part.buffer))
            self._ask_ahead()

    def close(self) -> None:
        """What is still on its way is not wanted any more."""
        for part in self._parts:
            part.unwanted.set()
        self._pool.shares.leave(self._buffers)

    def _ask_ahead(self) -> None:
        """Have fetched what there is room for: one part at least, until all was asked for."""
        while self._rest.size and (buffer := self._buffer()) is not None:
            end = min(self._rest.start + len(buffer), self._rest.end)
            part = _Part(self._medium, self._facts, ByteRange(self._rest.start, end), buffer, self._stirred)
            self._rest = ByteRange(end, self._rest.end)
            self._parts.append(part)
            self._pool.submit(part)

    def _next_arrival(self, part: _Part) -> TwfsError | None:
        """Waits for it; what is given back meanwhile is used at once to ask for more."""
        while part.arrivals.empty():
            self._stirred.clear()
            self._ask_ahead()
            if part.arrivals.empty():
                self._stirred.wait()
        return part.arrivals.get()

    def _give_back(self, buffer: memoryview) -> None:
        self._free.put(buffer)
        self._stirred.set()

    def _buffer(self) -> memoryview | None:
        """One to fill; None if there is none without waiting, and something else to wait for."""
        # Nobody else takes from it.
        while not self._free.empty():
            buffer = self._free.get()
            if not self._pool.shares.take_back(self._buffers):
                return buffer
            self._buffers -= 1
        if self._pool.shares.grant(self._buffers):
            self._buffers += 1
            return _memory(min(_PART_SIZE, self._rest.size))
        return None if self._parts else self._free.get()


def _memory(size: int) -> memoryview:
    """Made in no time: it is taken from the machine, in huge pages where there are any, by whoever fills it first."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in (mmap.MADV_HUGEPAGE, mmap.MADV_DONTDUMP):
        with suppress(OSError):  # Advice only: a kernel may be built without them.
            memory.madvise(advice)
    return memoryview(memory)
