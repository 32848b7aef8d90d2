"""What to fetch when a handle is read: pure decisions, no I/O, no threads, no clock.

A handle may carry several streams at once: a player reads the head, the tail and the middle of a file. A read that
continues a stream (in order, or out of order within what has been asked for: kernels reorder 2% of a plain copy) and
has to wait makes its window grow, by doubling, later faster; any other read is a jump, which begins a stream with no
window and ends the others' prefetching. So jumping costs one small range each, a copy soon has all the connections, and
a player, which waits no more once its window holds a round trip's worth, never has fetched much more than it plays.
"""

from dataclasses import dataclass
from typing import NamedTuple

from twfs.media.lanes import FEWEST
from twfs.ranges import ByteRange

FIRST_WINDOW = 256 * 2**10
"""After the first proof of reading on. `ffprobe` reads 0.2 to 0.5 MiB, so it fetches about what it reads."""

_MOST_STREAMS = 4
"""Head, tail, middle, and one more."""

_BEHIND = 2**20
"""How far back a read may be whose bytes are gone, and still belong to the stream: one request of libfuse 3."""

_REORDERED = 8 * 2**20
"""How far back a read may be whose bytes are there or on their way: a few requests that overtook each other. To take
such a read for a jump would end a copy's prefetching."""

_GAP = 512 * 2**10
"""How far beyond what was asked for a read may be and still belong: reading a gap this short costs less than a jump."""

_MOST_LANES = 16
"""As many as there are connections by default."""

_BULK = 6 * 2**20
"""Who has read on so far and still waits reads in bulk: its window may grow faster. Players wait as well for what they
read before the first picture, ffmpeg's 5 MB to find out what is in a film (option probesize in ffmpeg-formats(1))."""

_BULK_FACTOR = 16
"""From 4 MiB to the largest at once: each step takes a round trip, which a copy spends with idle connections."""

_UNASKED_SHARE = 8
"""One part in so many of what was read on is fetched ahead even for who does not wait: ranges get fewer and larger,
each costs a millisecond of processor time, and no more than 12% is fetched for nothing if reading stops."""

_SMALLEST_PART = 2**20
"""Below it a round trip takes longer than the bytes."""

_LARGEST_PART = 8 * 2**20
"""At 60 MB/s per connection and 30 ms to the first byte, a part of 8 MiB spends a fifth of its time waiting."""


@dataclass(eq=False, slots=True)
class Stream:
    """One place in a medium that is being read on from."""

    position: int
    """End of what was read."""
    frontier: int
    """End of what was asked for; never before `position`."""
    window: int = 0
    """Bytes to keep asked for ahead of `position`."""
    proof: int = 0
    """Bytes read on since the window last grew."""
    read_on: int = 0
    """Bytes read on since the stream began."""
    lanes: int = FEWEST
    """Into how many ranges the window is cut: more for who waits for the network, fewer for who does not."""


class Share(NamedTuple):
    """What one handle may use of what all have."""

    bytes_ahead: int
    """For the windows of its streams, together."""
    lanes: int
    """Into how many ranges a window may be cut; at least 1."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one read calls for."""

    ahead: ByteRange
    """To fetch besides what is read; may be empty."""
    part_size: int
    """How large a range one connection should fetch of it."""
    jumped: bool
    """The read began a stream: what the handle's other streams asked for ahead is no longer wanted."""


class Prefetcher:
    """The streams of one handle. One thread at a time."""

    def __init__(self, plain_size: int) -> None:
        """`plain_size` is the medium's."""
        self._plain_size = plain_size
        self._streams: list[Stream] = []

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Least recently used first."""
        return tuple(self._streams)

    def plan(self, read: ByteRange, share: Share, *, missed: bool, late: bool) -> Plan:
        """Account for a read of plaintext `read`, within `share`.

        `missed` if some of it was not there nor on its way: what was asked for from there on did not stay either.
        `late` if some of it was not there yet, though perhaps on its way: a window grows only for a reader that waits.
        """
        stream = self._continued(read, _BEHIND if missed else _REORDERED)
        if stream is None:
            return self._jump(read)
        if missed:
            stream.frontier = min(stream.frontier, read.start)
        progress = max(0, read.end - max(stream.position, read.start))
        stream.position = max(stream.position, read.end)
        stream.frontier = max(stream.frontier, stream.position)
        self._grow(stream, progress, late=late)
        stream.window = min(stream.window, self._most_window(stream, share.bytes_ahead))
        part_size = _part_size(stream.window, min(stream.lanes, share.lanes))
        return Plan(self._ahead(stream, part_size), part_size, jumped=False)

    def _grow(self, stream: Stream, progress: int, *, late: bool) -> None:
        stream.proof += progress
        stream.read_on += progress
        if not progress or stream.proof < stream.window:
            return
        if late:
            factor = _BULK_FACTOR if stream.read_on >= _BULK else 2
            stream.window = max(stream.window * factor, FIRST_WINDOW, progress)
            stream.lanes = min(stream.lanes * 2, _MOST_LANES)
            stream.proof = 0
        elif stream.window * 2 <= stream.read_on // _UNASKED_SHARE:
            stream.window *= 2
            stream.lanes = max(stream.lanes // 2, FEWEST)
            stream.proof = 0

    def _continued(self, read: ByteRange, behind: int) -> Stream | None:
        for stream in reversed(self._streams):
            if stream.position - behind <= read.start <= stream.frontier + _GAP:
                self._streams.remove(stream)
                self._streams.append(stream)
                return stream
        return None

    def _jump(self, read: ByteRange) -> Plan:
        for other in self._streams:
            other.window //= 2
            other.frontier = other.position
        self._streams = self._streams[-(_MOST_STREAMS - 1) :]
        stream = Stream(position=read.end, frontier=read.end)
        self._streams.append(stream)
        return Plan(ByteRange(read.end, read.end), _SMALLEST_PART, jumped=len(self._streams) > 1)

    def _most_window(self, stream: Stream, most_ahead: int) -> int:
        """What this stream may have of the handle's bytes ahead: an equal part, less while others hold more."""
        held = [other.frontier - other.position for other in self._streams if other is not stream]
        parts = 1 + sum(ahead > 0 for ahead in held)
        return max(0, min(most_ahead // parts, most_ahead - sum(held)))

    def _ahead(self, stream: Stream, part_size: int) -> ByteRange:
        """Up to a full window in whole ranges, of half the window where that is less than one: few and large ones."""
        target = min(stream.position + stream.window, self._plain_size)
        least = min(part_size, stream.window // 2)
        size = target - stream.frontier
        if target < self._plain_size:
            size -= size % max(least, 1)
        ahead = ByteRange(stream.frontier, stream.frontier + max(size, 0))
        stream.frontier = ahead.end
        return ahead


def _part_size(window: int, lanes: int) -> int:
    """Whole MiB: what is no multiple of the cache's blocks would be asked for as two ranges, one of them tiny."""
    return min(max(window // lanes // _SMALLEST_PART, 1) * _SMALLEST_PART, _LARGEST_PART)
