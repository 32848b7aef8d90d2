"""Which media are open, who reads them and how far: for the status, and for the access log."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from twfs.clock import Clock
from twfs.mount.processes import Process
from twfs.ranges import ByteRange
from twfs.resources import Medium


@dataclass(frozen=True, slots=True)
class Access:
    """One opening of one medium, so far. Times are seconds since 1970 UTC."""

    medium: Medium
    path: str
    plain_size: int
    uid: int
    process: Process
    opened_at: float
    bytes_read: int
    """As often as they were read: more than the size, if some were read again."""
    position: int
    """End of the latest read."""


class OpenFiles:
    """Keeps account of all openings (`twfs.fs.ports.Readings`). Safe for use by several threads."""

    def __init__(
        self, who: Callable[[], tuple[int, Process]], clock: Clock, on_closed: Callable[[Access], None]
    ) -> None:
        """`who` makes the call that this thread serves: user and process; `on_closed` is told of what has ended."""
        self._who = who
        self._clock = clock
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._open: dict[_OpenMedium, None] = {}
        self._closed_bytes = 0
        self.opened_count = 0

    def opened(self, medium: Medium, path: str, plain_size: int) -> "_OpenMedium":
        """A medium was opened by whom this thread serves."""
        uid, process = self._who()
        access = Access(medium, path, plain_size, uid, process, self._clock.wall(), 0, 0)
        reading = _OpenMedium(access, self._closed)
        with self._lock:
            self._open[reading] = None
            self.opened_count += 1
        return reading

    def present(self) -> list[Access]:
        """Those open now, those first that were opened first."""
        with self._lock:
            return [reading.access() for reading in self._open]

    def bytes_read(self) -> int:
        """By all, those closed meanwhile too."""
        with self._lock:
            return self._closed_bytes + sum(reading.access().bytes_read for reading in self._open)

    def end(self) -> None:
        """The mount ends: what is open still is closed by that."""
        with self._lock:
            left = list(self._open)
        for reading in left:
            reading.closed()

    def _closed(self, reading: "_OpenMedium") -> None:
        access = reading.access()
        with self._lock:
            if reading not in self._open:
                return
            del self._open[reading]
            self._closed_bytes += access.bytes_read
        self._on_closed(access)


class _OpenMedium:
    """The account of one opening (`twfs.fs.ports.Reading`)."""

    __slots__ = ("_access", "_bytes_read", "_lock", "_on_closed", "_position")

    def __init__(self, access: Access, on_closed: "Callable[[_OpenMedium], None]") -> None:
        self._access = access
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._bytes_read = 0
        self._position = 0

    def delivered(self, plain_range: ByteRange) -> None:
        """These bytes were read."""
        start, end = plain_range.start, plain_range.end
        with self._lock:
            self._bytes_read += end - start
            self._position = end

    def closed(self) -> None:
        """It is not read any more."""
        self._on_closed(self)

    def access(self) -> Access:
        """The account so far."""
        with self._lock:
            count, position = self._bytes_read, self._position
        was = self._access
        return Access(was.medium, was.path, was.plain_size, was.uid, was.process, was.opened_at, count, position)
