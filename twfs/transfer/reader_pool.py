"""Stored objects read whole: in order, by several ranges at a time, into a few buffers that are used again and again.

The mount's reader serves reading anywhere, again and by many. Here every byte is wanted once, in order and as it is
stored, so that it can be proven; it comes by the mount's own engine.
"""

import mmap
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from twfs.errors import TwfsError, Unreachable
from twfs.media.range_queue import NotWanted, RangeJob
from twfs.mount.session import Session
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Medium
from twfs.transfer.shares import Shares

PIECE_SIZE = 2**20
"""Bytes handed on at once: whole AES blocks, and few enough to stay in the processor's caches."""

_PART_SIZE = 4 * 2**20
"""Bytes of one range: a request costs as much processor time as decrypting some MiB; smaller ones keep less memory."""

_STEP_SIZE = 256 * 2**10
"""Bytes that must come within `_PATIENCE` times `timeout`."""

_PATIENCE = 4
"""Nobody is kept waiting as in a file system, and many media at once on a thin line are each slow."""


class ReaderPool:
    """Readers of all media that are transferred: they share memory and connections."""

    def __init__(self, session: Session) -> None:
        """Nothing is fetched before something is read."""
        self.session = session
        self.shares = Shares(session.config.cache_size // _PART_SIZE, session.config.connections)
        self._readers: set[StoredReader] = set()
        self._is_over = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Readers may be opened.

        Raises:
            NoMoreThreads: the machine refuses the thread that fetches.
        """
        self.session.engine.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whoever still waits for something is told that it will not come."""
        with self._lock:
            self._is_over, readers = True, list(self._readers)
        for reader in readers:
            reader.give_up()

    def open(self, medium: Medium, facts: ObjectFacts, stored_range: ByteRange) -> "StoredReader":
        """A reader of part of an object; no request before its first piece is asked for. To be closed."""
        reader = StoredReader(self, medium, facts, stored_range)
        with self._lock:
            self._readers.add(reader)
            is_over = self._is_over
        self.shares.join()
        if is_over:
            reader.give_up()
        return reader

    def closed(self, reader: "StoredReader", held: int) -> None:
        """It reads no more, and held so many parts."""
        with self._lock:
            self._readers.discard(reader)
        self.shares.leave(held)


class _Part(RangeJob):
    """One range on its way into its buffer."""

    def __init__(self, reader: "StoredReader", stored_range: ByteRange, buffer: memoryview) -> None:
        """Nothing of it has come."""
        super().__init__(reader.medium, reader.facts, reader.step_seconds, urgent=False)
        self.buffer = buffer
        self._range = stored_range
        self._filled = 0
        self._stirred = reader.stirred
        self.arrivals: queue.SimpleQueue[TwfsError | None] = queue.SimpleQueue()
        """None for each piece that is there, or why the rest will not come."""

    @property
    def rest(self) -> ByteRange:
        """What has not come."""
        return ByteRange(self._range.start + self._filled, self._range.end)

    @property
    def is_over(self) -> bool:
        """Whether all has come."""
        return self._filled == self._range.size

    def pieces(self) -> Iterator[memoryview]:
        """Its pieces' places, in order."""
        for start in range(0, self._range.size, PIECE_SIZE):
            yield self.buffer[start : min(start + PIECE_SIZE, self._range.size)]

    def is_awaited(self) -> bool:
        """Never: nobody who reads a file system waits for it."""
        return False

    def begin(self) -> None:
        """From where it was broken off."""

    def take(self, piece: bytes) -> None:
        """Into its place."""
        before, self._filled = self._filled, self._filled + len(piece)
        self.buffer[before : self._filled] = piece
        self.fetched = self._filled
        if before // _STEP_SIZE != self._filled // _STEP_SIZE or self.is_over:
            self.progressed()
            self._arrived(before)
            if self.may_end() and not self.is_over:
                raise NotWanted

    def fail(self, error: TwfsError) -> None:
        """The rest will not come."""
        self._tell(error)

    def _arrived(self, before: int) -> None:
        whole = self._range.size if self.is_over else self._filled
        last = -(-whole // PIECE_SIZE) if self.is_over else whole // PIECE_SIZE
        for _ in range(before // PIECE_SIZE, last):
            self._tell(None)

    def _tell(self, arrival: TwfsError | None) -> None:
        self.arrivals.put(arrival)
        self._stirred.set()


class StoredReader:
    """Stored bytes `[start, end)` of one object, in order. One thread at a time."""

    def __init__(self, pool: ReaderPool, medium: Medium, facts: ObjectFacts, stored_range: ByteRange) -> None:
        """Made by `ReaderPool.open`."""
        self.medium = medium
        self.facts = facts
        self.step_seconds = _PATIENCE * pool.session.config.timeout
        self.stirred = threading.Event()
        """Set whenever a piece arrives or a buffer is given back."""
        self._pool = pool
        self._rest = stored_range
        self._parts: deque[_Part] = deque()
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._buffers = 0
        """How many there are, free or not."""
        self._is_given_up = False

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

    def give_up(self) -> None:
        """From another thread: nothing more will come."""
        self._is_given_up = True
        self.stirred.set()

    def close(self) -> None:
        """What is still on its way is not wanted any more."""
        self._pool.session.engine.cancel(self._parts)
        self._pool.closed(self, self._buffers)

    def _ask_ahead(self) -> None:
        """Have fetched what there is room for: one part at least, until all was asked for."""
        while self._rest.size and (buffer := self._buffer()) is not None:
            end = min(self._rest.start + len(buffer), self._rest.end)
            part = _Part(self, ByteRange(self._rest.start, end), buffer)
            self._rest = ByteRange(end, self._rest.end)
            self._parts.append(part)
            self._pool.session.engine.submit(part)

    def _next_arrival(self, part: _Part) -> TwfsError | None:
        """Waits for it; what is given back meanwhile is used at once to ask for more."""
        while part.arrivals.empty():
            if self._is_given_up:
                return Unreachable("twfs is going down")
            self.stirred.clear()
            self._ask_ahead()
            if part.arrivals.empty() and not self._is_given_up:
                self.stirred.wait()
        return part.arrivals.get()

    def _give_back(self, buffer: memoryview) -> None:
        self._free.put(buffer)
        self.stirred.set()

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
    with suppress(OSError):  # Advice only: a kernel may be built without them.
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)
