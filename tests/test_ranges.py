from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from twfs.ranges import ByteRange, block_indexes, ceil_div, runs

counts = st.integers(0, 2**60)


@st.composite
def byte_ranges(draw: st.DrawFn, limit: int = 1000) -> ByteRange:
    start = draw(st.integers(0, limit))
    return ByteRange(start, draw(st.integers(start, limit)))


@given(byte_ranges(), st.integers(0, 1100))
def test_clipping_keeps_what_is_below_the_limit(wanted: ByteRange, limit: int) -> None:
    clipped = wanted.clipped(limit)
    assert clipped.size >= 0
    assert list(range(*clipped)) == [at for at in range(*wanted) if at < limit]


@given(counts, st.integers(1, 2**40))
def test_division_rounds_up_at_any_size(amount: int, unit: int) -> None:
    units = ceil_div(amount, unit)
    assert (units - 1) * unit < amount <= units * unit


@given(byte_ranges(), st.integers(1, 64))
def test_the_blocks_of_a_range_are_those_it_has_a_byte_in(wanted: ByteRange, block_size: int) -> None:
    assert list(block_indexes(wanted, block_size)) == sorted({at // block_size for at in range(*wanted)})


@given(st.lists(st.integers(0, 60), unique=True).map(sorted))
def test_runs_are_the_same_indexes_with_no_two_that_touch(indexes: list[int]) -> None:
    found = list(runs(indexes))
    assert [index for run in found for index in run] == indexes
    assert all(len(run) > 0 for run in found)
    assert all(left.stop < right.start for left, right in pairwise(found))
    assert list(runs(iter(indexes))) == found
