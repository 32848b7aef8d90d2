"""When to try again, and how fast one may ask: decisions shared by the API and S3."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from twfs.clock import Clock, Deadline
from twfs.errors import DeadlineExceeded, Unreachable

T = TypeVar("T")

_ATTEMPTS = 6
"""At one failure in ten this leaves one operation in a million to fail; with the pauses between it takes about 3 s."""

_FIRST_PAUSE = 0.1

_SHORTEST_PAUSE = 0.001
"""However little time is left: what breaks at once must not be tried again without end."""


class Transient(Unreachable):
    """A failure that another attempt may mend; `after` is how many seconds the server asked to wait."""

    def __init__(self, message: str, after: float | None = None) -> None:
        """`after` None: the server did not say."""
        super().__init__(message)
        self.after = after


class Lasting(Unreachable):
    """A failure that no other attempt mends: something here must be changed first."""


def retrying(attempt: Callable[[], T], deadline: Deadline) -> T:
    """What `attempt` returns, tried again while it fails with `Unreachable`.

    Raises:
        Unreachable: the last failure, when the attempts are spent or the deadline leaves no room for another.
        DeadlineExceeded: the deadline passed within an attempt; it tells how the one before failed, if there was one.
    """
    before = ""
    for number in range(_ATTEMPTS - 1):
        try:
            return _attempted(attempt, before)
        except Unreachable as error:
            pause_before_retry(number, error, deadline)
            before = f"; before that: {error}"
    return _attempted(attempt, before)


def _attempted(attempt: Callable[[], T], before: str) -> T:
    """What `attempt` returns; where only the time ran out, `before` says more of why than that it did."""
    try:
        return attempt()
    except DeadlineExceeded as error:
        raise DeadlineExceeded(f"{error}{before}") from None


def pause_before_retry(number: int, error: Unreachable, deadline: Deadline) -> None:
    """Wait before attempt `number + 1`: as long as the server asked, else doubling with jitter.

    Never so long that the time left would not do for all attempts: with a short `timeout` there are as many as ever.

    Raises:
        Unreachable: `error`, if it is `Lasting`, or if the deadline would pass meanwhile; it says more than that
            time is up.
    """
    try:
        deadline.sleep(_pause(number, error, deadline))
    except DeadlineExceeded:
        raise error from None


async def pause_task_before_retry(number: int, error: Unreachable, deadline: Deadline) -> None:
    """As `pause_before_retry`, for a task."""
    try:
        await deadline.pause(_pause(number, error, deadline))
    except DeadlineExceeded:
        raise error from None


def _pause(number: int, error: Unreachable, deadline: Deadline) -> float:
    if isinstance(error, Lasting):
        raise error
    pause = _FIRST_PAUSE * 2.0**number * random.uniform(0.5, 1.5)  # noqa: S311  (no secret)
    asked = error.after if isinstance(error, Transient) else None
    pause = max(min(pause, deadline.remaining() / (_ATTEMPTS - number)), _SHORTEST_PAUSE)
    return pause if asked is None else max(asked, pause)


def attempts_left(number: int) -> bool:
    """Whether attempt `number` (0-based) may be followed by another."""
    return number < _ATTEMPTS - 1


def retry_after(header: str | None) -> float | None:
    """Seconds from a Retry-After header that counts seconds; None for anything else, a date included."""
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return float(header[:6])


class RateLimit:
    """A token bucket: at most `rate` requests per second, bursts of up to one second's worth."""

    def __init__(self, rate: float, clock: Clock) -> None:
        """The bucket begins full."""
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = max(rate, 1.0)
        self._filled_at = clock.monotonic()

    def acquire(self, deadline: Deadline) -> None:
        """Take one request's turn, waiting for it.

        Raises:
            DeadlineExceeded: the turn would come after the deadline.
        """
        with self._lock:
            self._fill()
            self._tokens -= 1
            wait = -self._tokens / self._rate
        if wait <= 0:
            return
        try:
            deadline.sleep(wait)
        except DeadlineExceeded:
            with self._lock:
                self._tokens += 1
            raise

    def hold_off(self, seconds: float) -> None:
        """Let nobody ask for `seconds`: the server said that it is too much."""
        with self._lock:
            self._fill()
            self._tokens = min(self._tokens, -seconds * self._rate)

    def _fill(self) -> None:
        """With what came in since it was filled last. Must be called with the lock held."""
        now = self._clock.monotonic()
        self._tokens = min(self._tokens + (now - self._filled_at) * self._rate, max(self._rate, 1.0))
        self._filled_at = now
