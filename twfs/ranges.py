"""Half-open byte ranges."""

from collections.abc import Iterator
from typing import NamedTuple


class ByteRange(NamedTuple):
    """Bytes `[start, end)`, `0 <= start <= end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.end - self.start

    def clipped(self, limit: int) -> "ByteRange":
        """The part of it below `limit`."""
        return ByteRange(min(self.start, limit), min(self.end, limit))


def ceil_div(amount: int, unit: int) -> int:
    """How many units it takes to hold `amount`."""
    return -(-amount // unit)


def block_indexes(wanted: ByteRange, block_size: int) -> range:
    """Indexes of the blocks of `block_size` bytes that `wanted` has a byte in."""
    first = wanted.start // block_size
    return range(first, ceil_div(wanted.end, block_size) if wanted.size else first)


def runs(indexes: Iterator[int] | list[int]) -> Iterator[range]:
    """Ascending indexes, as maximal runs of neighbours."""
    start = previous = None
    for index in indexes:
        if start is None or previous is None:
            start = index
        elif index != previous + 1:
            yield range(start, previous + 1)
            start = index
        previous = index
    if start is not None and previous is not None:
        yield range(start, previous + 1)
