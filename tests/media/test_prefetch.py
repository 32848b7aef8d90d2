import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.fakes import MIB
from twfs.media.prefetch import FIRST_WINDOW, Plan, Prefetcher, Share
from twfs.ranges import ByteRange

KIB = 2**10
SIZE = 300 * MIB
BOUND = 16 * MIB

offsets = st.integers(0, SIZE - 1)
lengths = st.integers(1, MIB)
reads = st.lists(
    st.one_of(st.tuples(offsets, lengths), st.tuples(st.integers(0, 8 * MIB), lengths)), min_size=1, max_size=60
)


def at(start: int, size: int) -> ByteRange:
    return ByteRange(start, start + size).clipped(SIZE)


class Handle:
    """A prefetcher and all that was fetched for it, as if nothing were ever thrown out."""

    def __init__(self, size: int = SIZE, bound: int = BOUND) -> None:
        self.prefetcher = Prefetcher(size)
        self.bound = bound
        self.lanes = 16
        self.ahead: list[ByteRange] = []
        self.jumps = 0
        self.fetched: list[ByteRange] = []

    def read(self, wanted: ByteRange, *, missed: bool | None = None, late: bool = True) -> Plan:
        """`late` as for a reader that is faster than the network."""
        missing = self._missing(wanted)
        self.fetched += missing
        missed = bool(missing) if missed is None else missed
        plan = self.prefetcher.plan(wanted, Share(self.bound, self.lanes), missed=missed, late=late)
        self.jumps += plan.jumped
        if plan.ahead.size:
            self.ahead.append(plan.ahead)
            self.fetched += self._missing(plan.ahead)
        return plan

    def sequentially(self, start: int, end: int, step: int = 128 * KIB) -> None:
        for position in range(start, end, step):
            self.read(ByteRange(position, min(position + step, end)))

    @property
    def bytes_fetched(self) -> int:
        return sum(part.size for part in self.fetched)

    def _missing(self, wanted: ByteRange) -> list[ByteRange]:
        left = [wanted]
        for done in self.fetched:
            left = [piece for part in left for piece in _without(part, done)]
        return left


def _without(part: ByteRange, done: ByteRange) -> list[ByteRange]:
    pieces = [ByteRange(part.start, min(part.end, done.start)), ByteRange(max(part.start, done.end), part.end)]
    return [piece for piece in pieces if piece.start < piece.end]


@given(reads, st.lists(st.integers(0, BOUND), min_size=1, max_size=5), st.randoms())
@settings(deadline=None)
def test_what_is_asked_for_ahead_never_exceeds_the_bound(
    asked: list[tuple[int, int]], bounds: list[int], chance: random.Random
) -> None:
    prefetcher = Prefetcher(SIZE)
    largest = 0
    for start, size in asked:
        bound = chance.choice(bounds)
        largest = max(largest, bound)
        share, missed, late = Share(bound, chance.randint(2, 16)), chance.random() < 0.3, chance.random() < 0.8
        plan = prefetcher.plan(at(start, size), share, missed=missed, late=late)
        outstanding = [stream.frontier - stream.position for stream in prefetcher.streams]
        assert min(outstanding) >= 0
        assert sum(outstanding) <= largest
        assert all(stream.window <= largest for stream in prefetcher.streams)
        assert 0 <= plan.ahead.start <= plan.ahead.end <= SIZE
        assert plan.part_size > 0


@given(reads)
@settings(deadline=None)
def test_a_jump_asks_for_nothing_ahead(asked: list[tuple[int, int]]) -> None:
    handle = Handle()
    for start, size in asked:
        plan = handle.read(at(start, size))
        if plan.jumped:
            assert plan.ahead.size == 0
            assert all(stream.frontier == stream.position for stream in handle.prefetcher.streams)


def test_the_first_read_is_no_jump_and_asks_for_nothing_ahead() -> None:
    plan = Handle().read(at(5 * MIB, 4096))
    assert not plan.jumped
    assert plan.ahead.size == 0


@given(st.integers(1, 40 * MIB), st.integers(4 * KIB, MIB), st.integers(0, BOUND), st.randoms())
@settings(deadline=None, max_examples=50)
def test_reading_in_order_asks_for_each_byte_once_and_for_all_of_them(
    size: int, step: int, bound: int, chance: random.Random
) -> None:
    prefetcher = Prefetcher(size)
    fetched = 0
    for start in range(0, size, step):
        wanted = ByteRange(start, start + step).clipped(size)
        missing = ByteRange(max(fetched, wanted.start), max(fetched, wanted.end))
        fetched = missing.end
        late = chance.random() < 0.5
        plan = prefetcher.plan(wanted, Share(bound, 16), missed=bool(missing.size), late=late)
        if plan.ahead.size:
            assert plan.ahead.start == fetched
            fetched = plan.ahead.end
    assert fetched == size


def test_windows_of_who_waits_grow_up_to_the_bound() -> None:
    handle = Handle()
    windows = []
    for position in range(0, 64 * MIB, 128 * KIB):
        handle.read(at(position, 128 * KIB))
        windows.append(handle.prefetcher.streams[0].window)
    steps = [window for number, window in enumerate(windows) if number == 0 or window != windows[number - 1]]
    assert steps == [0, *(FIRST_WINDOW << number for number in range(5)), BOUND]
    assert steps[-2] == 4 * MIB


@given(st.randoms(), st.integers(2, 8))
@settings(deadline=None)
def test_requests_out_of_order_within_the_window_are_no_jump(chance: random.Random, reordered: int) -> None:
    """Kernels send several requests at once, threads take them in any order."""
    handle = Handle()
    handle.sequentially(0, 2 * MIB)
    positions = list(range(2 * MIB, 10 * MIB, 128 * KIB))
    for first in range(0, len(positions), reordered):
        group = positions[first : first + reordered]
        chance.shuffle(group)
        for position in group:
            handle.read(at(position, 128 * KIB))
    assert handle.jumps == 0
    assert len(handle.prefetcher.streams) == 1
    assert handle.bytes_fetched <= 10 * MIB + BOUND


def test_large_requests_that_overtook_each_other_are_no_jump() -> None:
    handle = Handle()
    handle.sequentially(0, 32 * MIB, MIB)
    for first in range(32, 64, 4):
        for position in (first + 3, first + 2, first + 1, first):
            handle.read(at(position * MIB, MIB))
    assert handle.jumps == 0


def test_back_to_where_the_bytes_are_gone_is_a_jump() -> None:
    handle = Handle()
    handle.sequentially(0, 32 * MIB, MIB)
    handle.read(at(28 * MIB, MIB), missed=True)
    assert handle.jumps == 1


def test_a_short_gap_forward_is_no_jump_and_a_long_one_is() -> None:
    handle = Handle()
    handle.read(at(0, 128 * KIB))
    handle.read(at(512 * KIB, 128 * KIB))
    assert handle.jumps == 0
    handle.read(at(50 * MIB, 128 * KIB))
    assert handle.jumps == 1


def test_a_players_head_tail_and_middle_keep_their_positions() -> None:
    handle = Handle()
    handle.sequentially(0, MIB)
    handle.sequentially(SIZE - MIB, SIZE)
    handle.sequentially(150 * MIB, 155 * MIB)
    assert handle.jumps == 2
    handle.sequentially(MIB, 2 * MIB)
    handle.sequentially(155 * MIB, 157 * MIB)
    assert handle.jumps == 2


def test_after_a_jump_the_old_stream_fetches_no_more_and_begins_smaller() -> None:
    handle = Handle()
    handle.sequentially(0, 20 * MIB)
    (stream,) = handle.prefetcher.streams
    window = stream.window
    handle.read(at(200 * MIB, 4096))
    assert (stream.window, stream.frontier) == (window // 2, stream.position)


def test_two_streams_read_in_turn_share_what_one_would_have() -> None:
    handle = Handle()
    for step in range(0, 30 * MIB, 128 * KIB):
        handle.read(at(step, 128 * KIB))
        handle.read(at(100 * MIB + step, 128 * KIB))
    assert handle.jumps == 1
    windows = [stream.window for stream in handle.prefetcher.streams]
    assert windows == [BOUND // 2, BOUND // 2]


def test_what_was_thrown_out_is_asked_for_again() -> None:
    handle = Handle()
    handle.sequentially(0, 4 * MIB)
    plan = handle.read(at(4 * MIB, 128 * KIB), missed=True)
    assert plan.ahead.start == 4 * MIB + 128 * KIB


@pytest.mark.parametrize("step", [32 * KIB, 128 * KIB])
def test_a_look_at_the_head_costs_little(step: int) -> None:
    """`ffprobe` reads 0.2 to 0.5 MiB of the head."""
    handle = Handle()
    handle.sequentially(0, 512 * KIB, step)
    assert handle.bytes_fetched <= 2 * MIB


@pytest.mark.parametrize("step", [4 * KIB, 128 * KIB, 100_000, MIB])
def test_a_whole_read_asks_for_the_file_and_no_more(step: int) -> None:
    handle = Handle(size=20 * MIB + 7)
    for start in range(0, 20 * MIB + 7, step):
        handle.read(ByteRange(start, start + step).clipped(20 * MIB + 7))
    assert handle.bytes_fetched == 20 * MIB + 7


def test_a_player_that_does_not_wait_has_little_fetched_that_it_does_not_play() -> None:
    handle = Handle()

    def play(start: int, end: int) -> None:
        for position in range(start, end, 128 * KIB):
            handle.read(at(position, 128 * KIB), late=position < start + MIB)

    play(0, MIB)
    play(SIZE - MIB, SIZE)
    play(100 * MIB, 140 * MIB)
    play(50 * MIB, 60 * MIB)
    assert handle.bytes_fetched <= 1.3 * (1 + 1 + 40 + 10) * MIB


def test_a_window_grows_for_who_waits_and_slowly_for_who_does_not() -> None:
    handle = Handle()
    handle.sequentially(0, 2 * MIB)
    (stream,) = handle.prefetcher.streams
    window = stream.window
    for position in range(2 * MIB, 80 * MIB, 128 * KIB):
        handle.read(at(position, 128 * KIB), late=False)
        assert stream.window <= max(window, position // 8)
    assert stream.window > window
    grown = stream.window
    handle.read(at(80 * MIB, 128 * KIB))
    assert stream.window > grown


def test_who_does_not_wait_is_served_by_few_large_ranges() -> None:
    handle = Handle(bound=64 * MIB)
    sizes = []
    for position in range(0, SIZE, 128 * KIB):
        plan = handle.read(at(position, 128 * KIB), late=position < 2 * MIB)
        sizes += [plan.part_size] if plan.ahead.size else []
    assert sizes[-1] == 8 * MIB


def test_a_window_is_never_smaller_than_the_requests_of_who_reads_on() -> None:
    handle = Handle()
    handle.read(at(0, MIB))
    assert handle.read(at(MIB, MIB)).ahead == ByteRange(2 * MIB, 3 * MIB)


def test_random_reads_cost_next_to_nothing_ahead() -> None:
    handle = Handle()
    chance = random.Random(1)
    for _ in range(500):
        handle.read(at(chance.randrange(SIZE), 64 * KIB))
    assert sum(part.size for part in handle.ahead) <= 500 * 64 * KIB


@pytest.mark.parametrize(("window", "parts"), [(FIRST_WINDOW, 1), (MIB, 1), (4 * MIB, 4), (BOUND, 16), (64 * MIB, 16)])
def test_a_window_is_cut_into_ranges_worth_a_round_trip(window: int, parts: int) -> None:
    handle = Handle(bound=window)
    handle.sequentially(0, 63 * MIB)
    plan = Plan(ByteRange(0, 0), 1, jumped=False)
    while not plan.ahead.size:
        plan = handle.read(at(handle.prefetcher.streams[0].position, 128 * KIB))
    assert -(-window // plan.part_size) == parts


@given(st.integers(2 * MIB, 100 * MIB), st.integers(2, 16))
@settings(deadline=None, max_examples=30)
def test_whatever_the_window_it_is_asked_for_in_whole_ranges_of_whole_blocks(bound: int, lanes: int) -> None:
    handle = Handle(bound=bound)
    handle.lanes = lanes
    for position in range(0, 250 * MIB, MIB):
        plan = handle.read(at(position, MIB))
        assert plan.part_size % MIB == 0
        if plan.ahead.end < SIZE:
            assert plan.ahead.size % min(plan.part_size, handle.prefetcher.streams[0].window // 2 or MIB) == 0


def test_where_fewer_ranges_are_worth_their_while_they_are_larger() -> None:
    handle = Handle(bound=64 * MIB)
    handle.sequentially(0, 100 * MIB, MIB)
    handle.lanes = 4
    sizes = []
    for position in range(100 * MIB, 200 * MIB, MIB):
        plan = handle.read(at(position, MIB))
        sizes += [plan.part_size] if plan.ahead.size else []
    assert set(sizes) == {8 * MIB}
