"""How far a command is: one line on standard error that is written over, on a terminal only."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from twfs.cli.figures import human_duration, human_size
from twfs.cli.output import ERASE_LINE, takes_escapes
from twfs.clock import Clock, SystemClock
from twfs.mount.notify import Listed, listing_line
from twfs.threads import start_thread

_REDRAW_SECONDS = 0.2
_FIRST_SECONDS = 1.0
"""Before that a speed means nothing."""
_USUAL_WIDTH = 80


class Line:
    """A line of a terminal that is written over; nothing is written to anything else. Safe for several threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """On `stream`; by default on standard error."""
        self._stream = sys.stderr if stream is None else stream
        self.is_seen = takes_escapes(self._stream)
        self._text = ""
        self._lock = threading.Lock()

    def draw(self, text: str) -> None:
        """In place of what stood there; what is too long is cut, for the terminal would begin another line."""
        with self._lock:
            if self.is_seen:
                self._text = text[: self._width() - 1]
                self._write(ERASE_LINE + self._text)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Have other lines be written in the block: it makes room for them, and stands below them afterwards."""
        with self._lock:
            if self.is_seen:
                self._write(ERASE_LINE)
            yield
            if self.is_seen:
                self._write(self._text)

    def erase(self) -> None:
        """Take it away for good: threads that are left behind draw nothing any more."""
        with self.aside():
            self.is_seen = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL_WIDTH
        except OSError:  # `io.UnsupportedOperation` of what has no descriptor is one, too.
            return _USUAL_WIDTH


class Progress:
    """Media and bytes fetched of those to fetch. Safe for use by several threads."""

    def __init__(self, total: int, clock: Clock, stream: TextIO | None = None, *, media: int = 1) -> None:
        """`total` bytes of so many `media`, as far as is known; shown on `stream` (standard error) if it is a terminal.

        Of one medium alone no count is shown.
        """
        self._shown = Line(stream)
        self._clock = clock
        self._total = total
        self._media = media
        self._done = self._failed = 0
        self._fetched = self._in_vain = 0
        self._began = self._drawn = clock.monotonic()
        self._lock = threading.Lock()

    def share(self, expected: int) -> "Share":
        """One medium's part, of `expected` bytes of the total."""
        return Share(self, expected)

    def spared(self, count: int) -> None:
        """So many bytes need not be fetched; if negative, so many more must be."""
        with self._lock:
            self._total -= count

    def advanced(self, count: int) -> None:
        """So many more bytes were fetched."""
        with self._lock:
            self._fetched += count
            self._draw_now_and_then()

    def ended(self, spared: int, in_vain: int, *, is_good: bool) -> None:
        """One more medium ended; `in_vain` bytes were fetched of it that are no use, `spared` will not be fetched."""
        with self._lock:
            self._done += is_good
            self._failed += not is_good
            self._total -= spared + in_vain
            self._in_vain += in_vain
            self._draw_now_and_then()

    def aside(self) -> AbstractContextManager[None]:
        """Have other lines be written in the block."""
        return self._shown.aside()

    def erase(self) -> None:
        """Take it away for good."""
        self._shown.erase()

    def line(self) -> str:
        """`3 of 12 media, 1 failed  12.0M of 40.0M  30%  3.1M/s  0:09 left`."""
        useful = self._fetched - self._in_vain
        # What is known of sizes may be a little too small, or missing.
        total = max(self._total, useful, 0)
        parts = [f"{self._done} of {self._media} media"] if self._media != 1 else []
        if self._failed and parts:
            parts[0] += f", {self._failed} failed"
        parts += [f"{human_size(useful)} of {human_size(total)}", f"{100 * useful // max(total, 1)}%"]
        seconds = self._clock.monotonic() - self._began
        if seconds >= _FIRST_SECONDS and self._fetched:
            speed = self._fetched / seconds
            parts += [f"{human_size(int(speed))}/s", f"{human_duration((total - useful) / speed)} left"]
        return "  ".join(parts)

    @property
    def summary(self) -> str:
        """`40.0M in 0:13 (3.1M/s)`."""
        seconds = self._clock.monotonic() - self._began
        speed = int(self._fetched / seconds) if seconds > 0 else 0
        return f"{human_size(self._fetched)} in {human_duration(seconds)} ({human_size(speed)}/s)"

    def _draw_now_and_then(self) -> None:
        now = self._clock.monotonic()
        if self._shown.is_seen and now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            self._shown.draw(self.line())


class Share:
    """One medium's part of a `Progress`, as who transfers it tells it. One thread at a time."""

    def __init__(self, progress: Progress, expected: int) -> None:
        """Made by `Progress.share`."""
        self._progress = progress
        self._left = expected
        self._fetched = 0

    def spared(self, count: int) -> None:
        """So many bytes need not be fetched; if negative, so many more must be."""
        self._left -= count
        self._progress.spared(count)

    def advanced(self, count: int) -> None:
        """So many more bytes were fetched."""
        self._left -= count
        self._fetched += count
        self._progress.advanced(count)

    def ended(self, *, is_good: bool) -> None:
        """Nothing more comes; of what failed, nothing counts as done."""
        self._progress.ended(self._left, 0 if is_good else self._fetched, is_good=is_good)


@contextmanager
def shown_meanwhile(text_now: Callable[[], str], stream: TextIO | None = None) -> Iterator[None]:
    """Show what `text_now` says, again and again, while the block runs; it is called in a thread of its own.

    Raises:
        NoMoreThreads: the machine refuses that thread; it would refuse those that work as well.
    """
    line = Line(stream)
    if not line.is_seen:
        yield
        return
    over = threading.Event()

    def draw() -> None:
        while not over.wait(_REDRAW_SECONDS):
            line.draw(text_now())

    drawing = start_thread(draw, "progress")
    try:
        yield
    finally:
        over.set()
        drawing.join()
        line.erase()


def listing_shown(catalog: Listed) -> AbstractContextManager[None]:
    """Show how many media have been listed while the block asks Twilio what there is."""
    clock = SystemClock()
    began = clock.monotonic()
    return shown_meanwhile(lambda: listing_line(catalog, clock.monotonic() - began))
