"""How far a transfer is: one line that is written over, on a terminal only."""

import sys
import threading
from typing import TextIO

from twfs.cli.figures import human_duration, human_size
from twfs.clock import Clock

_REDRAW_SECONDS = 0.2
_FIRST_SECONDS = 1.0
"""Before that a speed means nothing."""
_ERASE_LINE = "\r\x1b[K"


class Progress:
    """Bytes fetched of those to fetch. Safe for use by several threads."""

    def __init__(self, total: int, clock: Clock, stream: TextIO | None = None) -> None:
        """`total` bytes, as far as is known; shown on `stream` (standard error) if that is a terminal."""
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()
        self._clock = clock
        self._total = total
        self._fetched = 0
        self._began = self._drawn = clock.monotonic()
        self._lock = threading.Lock()

    def spared(self, count: int) -> None:
        """So many bytes need not be fetched; if negative, so many more must be."""
        with self._lock:
            self._total -= count

    def advanced(self, count: int) -> None:
        """So many more bytes were fetched."""
        with self._lock:
            self._fetched += count
            now = self._clock.monotonic()
            if self._shows and now - self._drawn >= _REDRAW_SECONDS:
                self._drawn = now
                self._stream.write(_ERASE_LINE + self.line())
                self._stream.flush()

    def erase(self) -> None:
        """Make room for another line."""
        if self._shows:
            with self._lock:
                self._stream.write(_ERASE_LINE)
                self._stream.flush()

    def line(self) -> str:
        """`12.0M of 40.0M  30%  3.1M/s  0:09 left`."""
        # What is known of sizes may be a little too small, or missing.
        total = max(self._total, self._fetched)
        parts = [f"{human_size(self._fetched)} of {human_size(total)}", f"{100 * self._fetched // max(total, 1)}%"]
        seconds = self._clock.monotonic() - self._began
        if seconds >= _FIRST_SECONDS and self._fetched:
            speed = self._fetched / seconds
            parts += [f"{human_size(int(speed))}/s", f"{human_duration((total - self._fetched) / speed)} left"]
        return "  ".join(parts)

    @property
    def summary(self) -> str:
        """`40.0M in 0:13 (3.1M/s)`."""
        seconds = self._clock.monotonic() - self._began
        speed = int(self._fetched / seconds) if seconds > 0 else 0
        return f"{human_size(self._fetched)} in {human_duration(seconds)} ({human_size(speed)}/s)"
