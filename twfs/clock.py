"""Time, injected: nothing else in twfs asks what time it is or sleeps."""

import asyncio
import time
from typing import Protocol

from twfs.errors import DeadlineExceeded


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""

    def sleep(self, seconds: float) -> None:
        """Pause the calling thread."""

    async def pause(self, seconds: float) -> None:
        """Pause the calling task."""


class SystemClock:
    """The machine's own time."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Pause the calling thread."""
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        """Pause the calling task."""
        await asyncio.sleep(seconds)


class Deadline:
    """The moment at which one operation must have ended."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Ends `seconds` from now."""
        self._clock = clock
        self._seconds = seconds
        self._end = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, always > 0.

        Raises:
            DeadlineExceeded: nothing is left.
        """
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"no answer within {self._seconds:g} s (option timeout)")
        return left

    def sleep(self, seconds: float) -> None:
        """Pause, if the pause ends before the deadline.

        Raises:
            DeadlineExceeded: at once, when the pause would outlast the deadline.
        """
        self._check_pause(seconds)
        self._clock.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        """As `sleep`, for a task."""
        self._check_pause(seconds)
        await self._clock.pause(seconds)

    def renew(self) -> None:
        """As many seconds again from now on: a step was made in time."""
        self._end = self._clock.monotonic() + self._seconds

    def _check_pause(self, seconds: float) -> None:
        if seconds >= self.remaining():
            raise DeadlineExceeded(f"no answer within {self._seconds:g} s (option timeout)")


def processor_seconds() -> float:
    """Processor time that all threads of this process have used so far, in the kernel as well."""
    return time.process_time()
