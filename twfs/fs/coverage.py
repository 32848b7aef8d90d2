"""Which bytes of which objects the mount's readers were given: what a deletion asks for."""

import threading
from bisect import bisect_left, bisect_right
from operator import attrgetter

from twfs.ranges import ByteRange

MOST_PARTS = 256
"""Separate parts kept of one object, about 25 KiB. One reader from beginning to end makes some dozens at a time, as
requests come out of order; of who reads more at random the smallest is forgotten, to be read again before deleting."""


class Coverage:
    """Parts of one object, those that touch joined. Not safe for use by several threads."""

    def __init__(self) -> None:
        """Nothing."""
        self._parts: list[ByteRange] = []

    def add(self, part: ByteRange) -> None:
        """Bytes `part`, at least one, were given."""
        first = bisect_left(self._parts, part.start, key=attrgetter("end"))
        end = bisect_right(self._parts, part.end, key=attrgetter("start"))
        touched = [part, *self._parts[first:end]]
        self._parts[first:end] = [ByteRange(min(each.start for each in touched), max(each.end for each in touched))]
        if len(self._parts) > MOST_PARTS:
            self._parts.remove(min(self._parts, key=attrgetter("size")))

    def holds(self, wanted: ByteRange) -> bool:
        """Whether all bytes of `wanted` are among them."""
        return not wanted.size or any(part.start <= wanted.start and wanted.end <= part.end for part in self._parts)


class Deliveries:
    """What was given of each object since the mount began. Safe for use by several threads."""

    def __init__(self) -> None:
        """Nothing."""
        self._coverage: dict[str, dict[str, Coverage]] = {}
        """By SID and ETag."""
        self._lock = threading.Lock()

    def note(self, sid: str, etag: str, part: ByteRange) -> None:
        """Bytes `part` of the plaintext of this very object went to a reader."""
        with self._lock:
            self._coverage.setdefault(sid, {}).setdefault(etag, Coverage()).add(part)

    def has_all(self, sid: str, etag: str, plain_size: int) -> bool:
        """Whether each byte did; never of an object without an ETag: nobody can say which bytes were its own."""
        with self._lock:
            coverage = self._coverage.get(sid, {}).get(etag, Coverage())
            return bool(etag) and coverage.holds(ByteRange(0, plain_size))

    def forget(self, sid: str) -> None:
        """The medium is no more."""
        with self._lock:
            self._coverage.pop(sid, None)
