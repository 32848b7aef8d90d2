import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.ranges import ByteRange
from twfs.simulator.http_range import Unsatisfiable, parse_range

SIZES = st.integers(0, 50)
POSITIONS = st.integers(0, 60)


@given(SIZES, POSITIONS, POSITIONS)
def test_a_closed_range_selects_the_bytes_a_slice_would(size: int, first: int, last: int) -> None:
    indexes = [index for index in range(size) if first <= index <= last]
    check(f"bytes={first}-{last}", size, indexes, ignored=last < first)


@given(SIZES, POSITIONS)
def test_an_open_range_selects_the_rest(size: int, first: int) -> None:
    check(f"bytes={first}-", size, list(range(size))[first:])


@given(SIZES, POSITIONS)
def test_a_suffix_selects_the_last_bytes(size: int, count: int) -> None:
    check(f"bytes=-{count}", size, list(range(size))[-count:] if count else [])


def check(header: str, size: int, indexes: list[int], *, ignored: bool = False) -> None:
    if ignored:
        assert parse_range(header, size) is None
    elif indexes:
        assert parse_range(header, size) == ByteRange(indexes[0], indexes[-1] + 1)
    else:
        with pytest.raises(Unsatisfiable):
            parse_range(header, size)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,4-5",
        "items=0-1",
        "bytes=5-4",
        "0-1",
        "bytes=0-" + "9" * 5000,
    ],
)
def test_what_is_no_single_range_is_ignored(header: str | None) -> None:
    assert parse_range(header, 10) is None


def test_every_range_of_an_empty_object_is_unsatisfiable() -> None:
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-32"):
        with pytest.raises(Unsatisfiable):
            parse_range(header, 0)
