import random
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.media.fakes import MIB, Workers, check_buffers, eventually, use_block
from twfs.clock import Deadline, SystemClock
from twfs.errors import ConfigError, DeadlineExceeded, TwfsError, Unreachable
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache, Key
from twfs.media.plain_object import buffer_size
from twfs.remote.retry import Transient

CLOCK = SystemClock()
KEY = ("RT", 0)
SMALL = 4 * MIB
COUNT = SMALL // BLOCK_SIZE


def soon() -> Deadline:
    return Deadline(CLOCK, 10)


def at_once() -> Deadline:
    return Deadline(CLOCK, 0.02)


def reserved(cache: BlockCache, key: Key = KEY) -> Block:
    block = cache.reserve(key, BLOCK_SIZE, soon())
    assert block is not None
    return block


def published(cache: BlockCache, key: Key = KEY, content: bytes = b"abc") -> Block:
    block = reserved(cache, key)
    block.view[: len(content)] = content
    cache.publish(block)
    return block


def head(block: Block) -> bytes:
    return bytes(block.view[:3])


def heads(cache: BlockCache, indexes: range) -> list[bytes]:
    """How the blocks of one reader's large request begin."""
    made: list[bytes] = []
    assert cache.use("RT", indexes, soon(), lambda block: made.append(head(block))) == len(made)
    return made


class Waiters:
    """Readers of one block that have begun to wait when this is made."""

    def __init__(self, cache: BlockCache, count: int, key: Key = KEY) -> None:
        begun = threading.Semaphore(0)
        cache.on_wait = lambda _blocks: begun.release()
        self.workers = Workers()
        for _ in range(count):
            self.workers.run(use_block, cache, key, soon(), head)
        for _ in range(count):
            assert begun.acquire(timeout=10)


def test_a_published_block_is_read_and_counted() -> None:
    cache = BlockCache(SMALL)
    published(cache)
    assert use_block(cache, KEY, soon(), head) == b"abc"
    assert use_block(cache, ("RT", 1), soon(), head) is None
    assert (cache.hits, cache.misses) == (1, 1)
    assert cache.usage()["ready_bytes"] == BLOCK_SIZE


def test_what_is_dropped_unread_was_fetched_for_nothing() -> None:
    cache = BlockCache(SMALL)
    count = cache.capacity // BLOCK_SIZE
    for index in range(count):
        published(cache, ("RT", index))
    read = range(0, count, 2)
    for index in read:
        assert use_block(cache, ("RT", index), soon(), head) == b"abc"
    assert cache.usage()["wasted_bytes"] == 0
    for index in range(count):
        published(cache, ("CJ", index))
    assert cache.usage()["wasted_bytes"] == (count - len(read)) * BLOCK_SIZE


def test_what_was_waited_for_is_read() -> None:
    cache = BlockCache(SMALL)
    block = reserved(cache)
    waiters = Waiters(cache, 1)
    cache.publish(block)
    waiters.workers.join()
    for index in range(1, 2 * cache.capacity // BLOCK_SIZE):
        published(cache, ("CJ", index))
    assert use_block(cache, KEY, soon(), head) is None
    assert cache.usage()["wasted_bytes"] == (cache.capacity // BLOCK_SIZE - 1) * BLOCK_SIZE


def test_nobody_can_reserve_what_is_there_or_being_filled() -> None:
    cache = BlockCache(SMALL)
    block = reserved(cache)
    assert cache.reserve(KEY, 1, soon()) is None
    assert cache.reserve_ahead(KEY, 1) is None
    cache.publish(block)
    assert cache.reserve(KEY, 1, soon()) is None
    assert cache.reserve_ahead(KEY, 1) is None
    reserved(cache, ("RT", 1))
    assert cache.look_up("RT", range(3)) == ([2], False)
    assert cache.look_up("RT", range(2)) == ([], False)
    assert cache.look_up("RT", range(1)) == ([], True)


def test_ten_readers_get_one_block_that_was_reserved_once() -> None:
    cache = BlockCache(SMALL)
    block = reserved(cache)
    waiters = Waiters(cache, 10)
    assert cache.is_awaited([block])
    block.view[:3] = b"xyz"
    cache.publish(block)
    assert waiters.workers.join().results == [b"xyz"] * 10
    assert not cache.is_awaited([block])
    check_buffers(cache)


def test_blocks_are_used_in_order_up_to_one_that_is_not_there() -> None:
    cache = BlockCache(SMALL)
    for index in (0, 1, 2, 4):
        published(cache, ("RT", index), b"%03d" % index)
    assert heads(cache, range(5)) == [b"000", b"001", b"002"]
    assert heads(cache, range(3, 5)) == []
    assert heads(cache, range(4, 5)) == [b"004"]
    assert (cache.hits, cache.misses) == (4, 2)
    check_buffers(cache)


def test_who_waits_for_several_blocks_is_woken_once() -> None:
    cache = BlockCache(SMALL)
    published(cache, ("RT", 0), b"000")
    filling = [reserved(cache, ("RT", index)) for index in range(1, 8)]
    awaited: list[list[int]] = []
    workers, begun = Workers(), threading.Event()

    def begins(blocks: Sequence[Block]) -> None:
        awaited.append([block.key[1] for block in blocks])
        begun.set()

    cache.on_wait = begins
    workers.run(heads, cache, range(8))
    assert begun.wait(10)
    (arrival,) = filling[0].arrivals
    woken = 0
    for block in reversed(filling):
        assert not woken
        assert cache.is_awaited([block])
        block.view[:3] = b"%03d" % block.key[1]
        cache.publish(block)
        woken += not arrival.missing
    assert woken == 1
    assert workers.join().results == [[b"%03d" % index for index in range(8)]]
    assert awaited == [list(range(1, 8))]
    check_buffers(cache)


def test_who_waits_for_several_blocks_learns_at_once_that_one_cannot_be_had() -> None:
    cache = BlockCache(SMALL)
    published(cache, ("RT", 0))
    filling = [reserved(cache, ("RT", index)) for index in range(1, 4)]
    workers, begun = Workers(), threading.Event()
    cache.on_wait = lambda _blocks: begun.set()
    workers.run(heads, cache, range(4))
    assert begun.wait(10)
    failed_at = CLOCK.monotonic()
    cache.fail([filling[1]], Unreachable("no luck"))
    assert [str(error) for error in workers.join().errors] == ["no luck"]
    assert CLOCK.monotonic() - failed_at < 8, "at its deadline it would have learnt it anyway"
    assert not cache.is_awaited(filling)
    for block in (filling[0], filling[2]):
        cache.publish(block)
    assert heads(cache, range(4)) == [b"abc", bytes(3)]
    check_buffers(cache)


def test_an_error_reaches_all_who_wait_and_is_then_forgotten() -> None:
    cache = BlockCache(SMALL)
    block = reserved(cache)
    waiters = Waiters(cache, 10)
    cache.fail([block], Transient("no luck", 3.0))
    errors = waiters.workers.join().errors
    assert [(type(error), str(error)) for error in errors] == [(Transient, "no luck")] * 10
    assert use_block(cache, KEY, soon(), head) is None
    published(cache)
    assert use_block(cache, KEY, soon(), head) == b"abc"
    check_buffers(cache)


def test_readers_do_not_share_one_exception_whose_traceback_would_grow() -> None:
    cache = BlockCache(SMALL)
    block = reserved(cache)
    waiters = Waiters(cache, 5)
    original = Unreachable("no luck")
    try:
        raise original
    except Unreachable as error:
        cache.fail([block], error)
    errors = waiters.workers.join().errors
    assert len({id(error) for error in [*errors, original]}) == 6
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in errors}) == 1
    assert block.error is not None
    assert block.error.__traceback__ is None


def test_a_deadline_ends_the_wait_for_a_block_and_loses_nothing() -> None:
    cache = BlockCache(SMALL)
    block = reserved(cache)
    with pytest.raises(DeadlineExceeded):
        use_block(cache, KEY, at_once(), head)
    assert not cache.is_awaited([block])
    cache.publish(block)
    check_buffers(cache)


def test_a_deadline_ends_the_wait_for_room() -> None:
    cache = BlockCache(SMALL)
    filling = [reserved(cache, ("RT", index)) for index in range(cache._count)]
    with pytest.raises(DeadlineExceeded):
        cache.reserve(("RT", 99), 1, at_once())
    cache.fail(filling, Unreachable("no"))
    check_buffers(cache)


@pytest.mark.parametrize("outcome", ["publish", "fail"])
def test_whoever_waits_for_room_goes_on_when_there_is_some(outcome: str) -> None:
    cache = BlockCache(SMALL)
    filling = [reserved(cache, ("RT", index)) for index in range(cache._count)]
    workers = Workers()
    for index in range(3):
        workers.run(cache.reserve, ("CJ", index), 1, soon())
    eventually(lambda: len(cache._room._waiters) == 3)  # type: ignore[attr-defined]
    for block in filling[:3]:
        cache.publish(block) if outcome == "publish" else cache.fail([block], Unreachable("no"))
    taken = [block for block in workers.join().results if isinstance(block, Block)]
    assert len(taken) == 3
    assert len({id(block.view) for block in [*taken, *filling[3:]]}) == cache._count


def test_room_that_a_reader_held_is_given_to_who_waits_for_it() -> None:
    cache = BlockCache(SMALL)
    published(cache)
    filling = [reserved(cache, ("CJ", index)) for index in range(cache._count - 1)]
    workers = Workers()

    def wait_for_room(_block: Block) -> None:
        workers.run(cache.reserve, ("RT", 1), 1, soon())
        eventually(lambda: len(cache._room._waiters) == 1)  # type: ignore[attr-defined]

    use_block(cache, KEY, soon(), wait_for_room)
    assert [block for block in workers.join().results if isinstance(block, Block)]
    assert cache.look_up("RT", range(2))[0] == [0]
    assert len(filling) == cache._count - 1


def test_a_block_somebody_reads_is_never_the_one_that_makes_room() -> None:
    cache = BlockCache(SMALL)
    for index in range(cache._count):
        published(cache, ("RT", index))

    def take_all_the_room(block: Block) -> None:
        for index in range(1, cache._count):
            use_block(cache, ("RT", index), soon(), head)
        for index in range(cache._count - 1):
            assert reserved(cache, ("CJ", index)).view is not block.view
        with pytest.raises(DeadlineExceeded):
            cache.reserve(("CJ", 99), 1, at_once())

    use_block(cache, ("RT", 0), soon(), take_all_the_room)
    assert cache.look_up("RT", [0]) == ([], True)


def test_the_least_recently_used_makes_room() -> None:
    cache = BlockCache(SMALL)
    for index in range(cache._count):
        published(cache, ("RT", index))
    for index in (0, 0, 1):
        use_block(cache, ("RT", index), soon(), head)
    reserved(cache, ("CJ", 0))
    assert cache.look_up("RT", range(3))[0] == [1]


def test_what_was_read_once_makes_room_before_what_was_fetched_later_and_not_read_yet() -> None:
    cache = BlockCache(SMALL)
    for index in range(cache._count):
        published(cache, ("RT", index))
        if index < cache._count // 2:
            use_block(cache, ("RT", index), soon(), head)
    for index in range(cache._count // 2):
        reserved(cache, ("CJ", index))
    assert cache.look_up("RT", range(cache._count))[0] == list(range(cache._count // 2))
    assert cache.usage()["wasted_bytes"] == 0


def test_prefetching_leaves_a_quarter_to_readers() -> None:
    cache = BlockCache(SMALL)
    ahead = [cache.reserve_ahead(("RT", index), 1) for index in range(cache._count)]
    assert sum(block is not None for block in ahead) == int(cache._count * 0.75)
    assert cache.reserve(("CJ", 0), 1, at_once()) is not None


@pytest.mark.parametrize("capacity", [0, SMALL, 10 * MIB, 64 * MIB])
def test_no_more_is_allocated_than_was_given(capacity: int) -> None:
    cache = BlockCache(capacity)
    for index in range(2 * cache.capacity // BLOCK_SIZE):
        published(cache, ("RT", index))
    assert cache.usage()["allocated_bytes"] <= max(capacity, 32 * buffer_size(BLOCK_SIZE))
    check_buffers(cache)


def test_buffers_do_not_overlap() -> None:
    cache = BlockCache(SMALL)
    blocks = [reserved(cache, ("RT", index)) for index in range(cache._count)]
    for number, block in enumerate(blocks):
        assert len(block.view) == buffer_size(BLOCK_SIZE)
        block.view[:] = bytes([number]) * len(block.view)
    assert [set(block.view) for block in blocks] == [{number} for number in range(len(blocks))]


def test_many_threads_on_few_blocks_never_see_another_blocks_bytes() -> None:
    cache = BlockCache(SMALL)
    fetched: list[int] = []

    def fill(index: int) -> None:
        block = cache.reserve(("RT", index), BLOCK_SIZE, soon())
        if block is not None:
            block.view[:4] = block.view[-4:] = index.to_bytes(4)
            fetched.append(index)
            cache.fail([block], Unreachable("no")) if random.random() < 0.1 else cache.publish(block)

    def read(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(300):
            index = chosen.randrange(2 * COUNT)
            fill(index)
            with suppress(Unreachable):
                seen = use_block(
                    cache, ("RT", index), soon(), lambda block: bytes(block.view[:4]) + bytes(block.view[-4:])
                )
                assert seen in (None, index.to_bytes(4) * 2)

    workers = Workers()
    for seed in range(8):
        workers.run(read, seed)
    assert workers.join().errors == []
    assert fetched
    check_buffers(cache)


@pytest.mark.parametrize(
    ("capacity", "shown"), [(2**60, "1073741824G"), (2**60 + 2**20, "1099511627777M"), (2**70, "1099511627776G")]
)
def test_more_memory_than_there_is_is_refused_in_the_users_words(capacity: int, shown: str) -> None:
    with pytest.raises(ConfigError, match=f"^cache_size={shown}: the machine does not give that much memory"):
        BlockCache(capacity)


class CacheModel(RuleBasedStateMachine):
    """The cache against a list in order of use: any order of events, one thread."""

    keys = st.tuples(st.sampled_from(["RT", "CJ"]), st.integers(0, 40))

    def __init__(self) -> None:
        super().__init__()
        self.cache = BlockCache(SMALL)
        self.count = self.cache._count
        self.filling: dict[Key, Block] = {}
        self.ready: list[Key] = []
        """The first to go first."""
        self.used: set[Key] = set()
        self.blocks: dict[Key, Block] = {}
        self.content: dict[Key, bytes] = {}
        self.serial = 0

    @rule(key=keys, ahead=st.booleans())
    def reserve(self, key: Key, ahead: bool) -> None:
        known = key in self.filling or key in self.ready
        full = len(self.filling) == self.count
        if ahead:
            block = self.cache.reserve_ahead(key, BLOCK_SIZE)
            assert (block is None) == (known or len(self.filling) >= int(self.count * 0.75))
        elif full and not known:
            with pytest.raises(DeadlineExceeded):
                self.cache.reserve(key, BLOCK_SIZE, Deadline(CLOCK, 0.001))
            return
        else:
            block = self.cache.reserve(key, BLOCK_SIZE, soon())
            assert (block is None) == known
        if block is not None:
            self._make_room()
            self._begin(block)

    @precondition(lambda self: self.filling)
    @rule(data=st.data(), whole=st.booleans())
    def fill(self, data: st.DataObject, whole: bool) -> None:
        some = st.lists(st.sampled_from(list(self.filling)), min_size=1, max_size=None if whole else 1, unique=True)
        for key in data.draw(some):
            block = self.filling.pop(key)
            self.serial += 1
            self.content[key] = self.serial.to_bytes(3)
            block.view[:3] = self.content[key]
            self.cache.publish(block)
            self.ready.append(key)
            self.blocks[key] = block

    @precondition(lambda self: self.filling)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        keys = data.draw(st.lists(st.sampled_from(list(self.filling)), min_size=1, unique=True))
        self.cache.fail([self.filling.pop(key) for key in keys], Unreachable("no"))

    @rule(key=keys, count=st.integers(1, 8))
    def use(self, key: Key, count: int) -> None:
        owner, first = key
        run = ((owner, index) for index in range(first, first + count))
        found = list(takewhile(lambda each: each in self.filling or each in self.ready, run))
        made: list[bytes] = []
        indexes = range(first, first + count)
        if self.filling.keys() & found:
            with pytest.raises(DeadlineExceeded):
                self.cache.use(owner, indexes, Deadline(CLOCK, 0.001), lambda block: made.append(head(block)))
            assert made == []
        else:
            assert self.cache.use(owner, indexes, soon(), lambda block: made.append(head(block))) == len(found)
            assert made == [self.content[each] for each in found]
        for each in found:
            self._touch(each)

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), broken=st.booleans())
    def use_while_others_fill(self, data: st.DataObject, broken: bool) -> None:
        """The reader's own failure gives the block back too."""
        key = data.draw(st.sampled_from(self.ready))

        def consume(block: Block) -> None:
            self._touch(key)
            self._fill_up_but_for(block)
            assert head(block) == self.content[key]
            if broken:
                raise TwfsError("the reader's own")

        with suppress(TwfsError):
            use_block(self.cache, key, soon(), consume)

    def _fill_up_but_for(self, held: Block) -> None:
        self.serial += 1
        for number in range(self.count):
            block = self.cache.reserve_ahead((f"other {self.serial}", number), BLOCK_SIZE)
            if block is not None:
                assert block.view is not held.view
                self._make_room(held.key)
                self._begin(block)

    def _touch(self, key: Key) -> None:
        """The first use of a block does not make it recent."""
        if key in self.used and key in self.ready:
            self.ready.remove(key)
            self.ready.append(key)
        self.used.add(key)

    def _make_room(self, held: Key | None = None) -> None:
        if len(self.filling) + len(self.ready) == self.count:
            if self.ready[0] == held:
                self.ready.append(self.ready.pop(0))
            del self.ready[0]

    def _begin(self, block: Block) -> None:
        self.filling[block.key] = block
        self.used.discard(block.key)

    @invariant()
    def is_as_the_model_says(self) -> None:
        keys = [(owner, index) for owner in ("RT", "CJ") for index in range(41)]
        gone = {(owner, index) for owner in ("RT", "CJ") for index in self.cache.look_up(owner, range(41))[0]}
        assert gone == set(keys) - set(self.filling) - set(self.ready)

    @invariant()
    def every_buffer_has_one_owner(self) -> None:
        views = [
            *self.cache._free,
            *(block.view for block in self.filling.values()),
            *(self.blocks[key].view for key in self.ready),
        ]
        assert len({id(view) for view in views}) == len(views) == self.cache._made <= self.count

    def teardown(self) -> None:
        self.cache.fail(list(self.filling.values()), Unreachable("the end"))
        check_buffers(self.cache)


CacheModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestCacheModel = CacheModel.TestCase
