import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import pytest

from tests.media.fakes import reached
from twfs.clock import Deadline, SystemClock
from twfs.errors import ObjectChanged, TwfsError, Unreachable
from twfs.event_loop import LoopThread
from twfs.media.range_engine import RangeEngine
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Kind, Medium
from twfs.transfer.reader_pool import PIECE_SIZE, ReaderPool, StoredReader

MIB = 2**20
PART = 4 * MIB
MEDIUM = Medium("RT1", Kind.RECORDING)
PATIENCE = 30.0


PATTERN = bytes(number % 251 for number in range(65521)) * (6 * PART // 65521 + 1)
"""With no period that a part or a piece could have."""


def content(start: int, end: int) -> bytes:
    first = start % 65521
    return PATTERN[first : first + end - start]


class Bucket:
    """Counts what is asked for; ranges fail as told by their start, and those that are shut wait."""

    def __init__(self, *, shut: bool = False) -> None:
        self.asked: list[ByteRange] = []
        self.failures: dict[int, list[Exception]] = {}
        self.sent = 0
        self.under_way = 0
        self.piece_size = 2**16
        self.deadlines: list[float] = []
        self._shut = shut
        self._let_through: set[int] = set()
        self._changed = threading.Condition()

    async def fetch(
        self,
        medium: Medium,
        stored_range: ByteRange,
        facts: ObjectFacts,
        take: Callable[[bytes], object],
        deadline: Deadline,
    ) -> None:
        with self._changed:
            self.asked.append(stored_range)
            self.under_way += 1
            self._changed.notify_all()
        try:
            await self._send(stored_range, take, deadline)
        finally:
            self.under_way -= 1

    async def _send(self, stored_range: ByteRange, take: Callable[[bytes], object], deadline: Deadline) -> None:
        for start in range(stored_range.start, stored_range.end, self.piece_size):
            await asyncio.sleep(0)
            await reached(lambda: not self._shut or stored_range.start in self._let_through)
            self.deadlines.append(deadline.remaining())
            failures = self.failures.get(stored_range.start, [])
            if failures:
                raise failures.pop()
            end = min(start + self.piece_size, stored_range.end)
            self.sent += end - start
            take(content(start, end))

    def let_through(self, *starts: int) -> None:
        """Ranges that begin there; all if none is named."""
        self._let_through.update(starts)
        self._shut = bool(starts)

    def wait_until_asked(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= count, PATIENCE)


@dataclass
class Settings:
    connections: int = 4
    cache_size: int = 64 * MIB
    timeout: float = 30.0


@dataclass
class House:
    """What pools need of a session."""

    config: Settings
    engine: RangeEngine


@contextmanager
def pool_for(bucket: Bucket, **settings: int) -> Iterator[ReaderPool]:
    config, loop = Settings(**settings), LoopThread(1)
    engine = RangeEngine(bucket, loop, config.connections, SystemClock())
    try:
        with ReaderPool(House(config, engine)) as pool:  # type: ignore[arg-type]
            yield pool
    finally:
        bucket.let_through()
        engine.stop()
        loop.stop()
    assert bucket.under_way == 0


def opened(pool: ReaderPool, start: int, end: int) -> "closing[StoredReader]":
    return closing(pool.open(MEDIUM, ObjectFacts(end, '"e"'), ByteRange(start, end)))


def at_once(call: Callable[[], None]) -> None:
    call()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.mark.parametrize("start", [0, 16, PART - 1, PART])
@pytest.mark.parametrize("size", [0, 1, 16, PIECE_SIZE, PIECE_SIZE + 1, PART - 1, PART, PART + 1, 5 * PART + 12_345])
def test_bytes_in_order_each_asked_for_once(bucket: Bucket, start: int, size: int) -> None:
    with pool_for(bucket) as pool, opened(pool, start, start + size) as reader:
        pieces = [bytes(piece) for piece in reader.pieces(at_once)]
    assert b"".join(pieces) == content(start, start + size)
    assert all(len(piece) <= PIECE_SIZE for piece in pieces)
    assert len(bucket.asked) == -(-size // PART)
    assert sum(each.size for each in bucket.asked) == bucket.sent == size


def test_memory_is_used_again_only_when_nobody_needs_it(bucket: Bucket) -> None:
    held: list[Callable[[], None]] = []
    pieces: list[memoryview] = []
    with pool_for(bucket, cache_size=2 * PART) as pool, opened(pool, 0, 6 * PART) as reader:
        source = reader.pieces(held.append)
        for part in range(6):
            pieces += [next(source) for _ in range(PART // PIECE_SIZE)]
            assert b"".join(pieces) == content(part * PART, (part + 1) * PART)
            assert len(bucket.asked) <= part + 2
            pieces.clear()
            while held:
                held.pop()()


def test_reader_waits_until_something_is_given_back(bucket: Bucket) -> None:
    held: list[Callable[[], None]] = []
    with pool_for(bucket, cache_size=2 * PART) as pool, opened(pool, 0, 3 * PART) as reader:
        source = reader.pieces(held.append)
        for _ in range(2 * PART // PIECE_SIZE):
            next(source)
        assert len(bucket.asked) == 2
        later = threading.Timer(0.01, held[0])
        later.start()
        assert bytes(next(source)) == content(2 * PART, 2 * PART + PIECE_SIZE)
        later.join()


@pytest.mark.parametrize(
    ("connections", "cache_size", "most"), [(16, 256 * MIB, 16), (3, 256 * MIB, 3), (16, 24 * MIB, 6), (16, 8 * MIB, 2)]
)
def test_all_connections_are_used_from_the_first_byte_on(connections: int, cache_size: int, most: int) -> None:
    bucket = Bucket(shut=True)
    with (
        pool_for(bucket, connections=connections, cache_size=cache_size) as pool,
        opened(pool, 0, 40 * PART) as reader,
    ):
        source = reader.pieces(at_once)
        waiting = threading.Thread(target=next, args=(source,))
        waiting.start()
        bucket.wait_until_asked(most)
        bucket.let_through(0)
        waiting.join(PATIENCE)
        assert len(bucket.asked) == most
        bucket.let_through()


def test_what_is_given_back_while_the_network_is_waited_for_is_used_at_once() -> None:
    bucket = Bucket(shut=True)
    bucket.let_through(0)
    held: list[Callable[[], None]] = []
    with pool_for(bucket) as pool, opened(pool, 0, 40 * PART) as reader:
        source = reader.pieces(held.append)
        for _ in range(PART // PIECE_SIZE):
            next(source)
        waiting = threading.Thread(target=next, args=(source,))
        waiting.start()
        while not held:
            waiting.join(0.001)
        bucket.wait_until_asked(4)
        # As who hashes a part does when the next one is not there yet.
        held[0]()
        bucket.let_through(4 * PART)
        bucket.wait_until_asked(5)
        assert bucket.asked[-1].start == 4 * PART
        assert waiting.is_alive()
        bucket.let_through()
        waiting.join(PATIENCE)


def parts_asked(bucket: Bucket, start: int) -> int:
    """Of the reader that begins there, and reads less than 100 parts."""
    return sum(start <= each.start < start + 100 * PART for each in bucket.asked)


def test_readers_share(bucket: Bucket) -> None:
    with pool_for(bucket, connections=16, cache_size=8 * PART) as pool, ExitStack() as readers:
        first = readers.enter_context(opened(pool, 0, 40 * PART)).pieces(at_once)
        next(first)
        bucket.wait_until_asked(8)
        other = readers.enter_context(ExitStack())
        second = other.enter_context(opened(pool, 100 * PART, 140 * PART)).pieces(at_once)
        next(second)
        bucket.wait_until_asked(10)
        # Whoever had all comes down to its share, and whoever came comes up to it.
        for part in range(1, 10):
            for source in (first, second):
                for _ in range(PART // PIECE_SIZE):
                    next(source)
            assert parts_asked(bucket, 0) <= max(8, part + 4)
            assert parts_asked(bucket, 100 * PART) <= part + 4
        bucket.wait_until_asked(2 * (9 + 4))
        other.close()
        for _ in range(PART // PIECE_SIZE):
            next(first)
        bucket.wait_until_asked(10 + 8 + 9 + 4)
        assert parts_asked(bucket, 0) == 10 + 8


@pytest.mark.parametrize("failure", [ObjectChanged("changed"), Unreachable("away")])
def test_failure_comes_in_its_place(bucket: Bucket, failure: TwfsError) -> None:
    bucket.failures = {PART: [failure]}
    with pool_for(bucket) as pool, opened(pool, 0, 3 * PART) as reader:
        source = reader.pieces(at_once)
        assert sum(len(next(source)) for _ in range(PART // PIECE_SIZE)) == PART
        with pytest.raises(type(failure)):
            next(source)


def test_unforeseen_failure_leaves_nobody_waiting(bucket: Bucket) -> None:
    bucket.failures = {0: [ZeroDivisionError()]}
    with (
        pool_for(bucket) as pool,
        opened(pool, 0, PART) as reader,
        pytest.raises(Unreachable, match="ZeroDivisionError"),
    ):
        next(reader.pieces(at_once))


def test_each_step_has_four_times_the_patience_of_a_mount(bucket: Bucket) -> None:
    with pool_for(bucket, timeout=30) as pool, opened(pool, 0, PART) as reader:
        list(reader.pieces(at_once))
    assert min(bucket.deadlines) > 115


def test_pieces_of_any_size_are_the_same_bytes(bucket: Bucket) -> None:
    for bucket.piece_size in (1000, 2**18, 2**20 + 1, 3 * 2**20):
        with pool_for(bucket) as pool, opened(pool, 0, 2 * PART + 77) as reader:
            assert b"".join(map(bytes, reader.pieces(at_once))) == content(0, 2 * PART + 77)


def test_what_is_not_wanted_any_more_ends_at_its_next_step() -> None:
    bucket = Bucket(shut=True)
    bucket.let_through(0)
    with pool_for(bucket) as pool:
        with opened(pool, 0, 8 * PART) as reader:
            next(reader.pieces(at_once))
        bucket.let_through()
    assert bucket.sent <= PART + 3 * PIECE_SIZE


def test_who_still_reads_at_the_end_is_told() -> None:
    bucket = Bucket(shut=True)
    bucket.let_through(0)
    with pool_for(bucket, connections=1) as pool:
        reader = pool.open(MEDIUM, ObjectFacts(4 * PART, '"e"'), ByteRange(0, 4 * PART))
        source = reader.pieces(at_once)
        for _ in range(PART // PIECE_SIZE):
            next(source)
        bucket.wait_until_asked(2)
        pool.__exit__(None, None, None)
        with pytest.raises(Unreachable, match="going down"):
            list(source)
        with opened(pool, 0, PART) as late, pytest.raises(Unreachable, match="going down"):
            list(late.pieces(at_once))
        reader.close()
    assert bucket.sent < 2 * PART


def test_a_medium_that_falls_silent_takes_nothing_from_another() -> None:
    bucket = Bucket(shut=True)
    bucket.let_through(5 * PART)
    healthy_range = ByteRange(5 * PART, 6 * PART)
    with (
        pool_for(bucket) as pool,
        opened(pool, 0, 4 * PART) as silent,
        closing(pool.open(Medium("RT2", Kind.RECORDING), ObjectFacts(6 * PART, '"e"'), healthy_range)) as healthy,
    ):
        reading = threading.Thread(target=lambda: list(silent.pieces(at_once)))
        reading.start()
        bucket.wait_until_asked(4)
        assert bytes(next(healthy.pieces(at_once))) == content(5 * PART, 5 * PART + PIECE_SIZE)
        bucket.let_through()
        reading.join()
