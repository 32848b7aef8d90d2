"""Since when media are known to be absent: one 404 may be a mistake that passes, two of them far apart are not."""

import threading
from typing import NamedTuple

from twfs.catalog.evidence import Evidence
from twfs.clock import Clock


class _FirstLook(NamedTuple):
    since: float
    """The first look of all, in whatever process; seconds since 1970 UTC."""
    seen_at: float
    """The first look of this process, on the monotonic clock."""
    age: float
    """How old, in seconds, the first of all was then."""


class Absences:
    """The first look that found no media of each medium; one that finds some begins anew. Thread-safe.

    Time that passes in this process is measured by the clock that does not jump.
    """

    def __init__(self, evidence: Evidence, clock: Clock) -> None:
        """No I/O."""
        self._evidence = evidence
        self._clock = clock
        self._first: dict[str, _FirstLook] = {}
        self._lock = threading.Lock()

    def found(self, sid: str) -> None:
        """A look at `sid` found no media just now."""
        wall = self._clock.wall()
        since = self._evidence.absent_since(sid, wall)
        with self._lock:
            first = self._first.get(sid)
            # Another process may have found media meanwhile, and then none again.
            if first is None or first.since != since:
                self._first[sid] = _FirstLook(since, self._clock.monotonic(), max(0.0, wall - since))

    def ended(self, sid: str) -> None:
        """A look at `sid` found media just now."""
        with self._lock:
            self._first.pop(sid, None)
        self._evidence.end_absence(sid)

    def seconds(self, sid: str) -> float | None:
        """How long ago the first look was; None if this process has made none."""
        with self._lock:
            first = self._first.get(sid)
        return None if first is None else first.age + self._clock.monotonic() - first.seen_at
