"""What happens, counted and timed: cheap enough for every read. What it is called outside, `twfs.mount` decides.

Each figure has a lock of its own: `+=` of several threads loses some, and an uncontended lock takes 50 ns.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of a histogram's buckets, in seconds, each included: from a block in memory (0.1 ms) over S3's first
byte (30 ms) to the default deadline (30 s). One more bucket holds what took longer."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How long something took, as often as it happened."""

    counts: tuple[int, ...]
    """Per bucket: one for each of `BOUNDS`, and the one beyond."""
    seconds: float
    """All together."""

    @property
    def count(self) -> int:
        """How often it happened."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The bound that `share` (0 to 1) of all stayed within; None if there is none, or nothing happened."""
        enough = share * self.count
        reached = zip(BOUNDS, accumulate(self.counts[:-1]), strict=True)
        return next((bound for bound, so_far in reached if so_far >= enough), None) if self.count else None


class Histogram:
    """Collects durations. Safe for use by several threads."""

    __slots__ = ("_counts", "_lock", "_seconds")

    def __init__(self) -> None:
        """Nothing happened yet."""
        self._lock = threading.Lock()
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def observe(self, seconds: float) -> None:
        """It happened once more, and took so long."""
        bucket = bisect_left(BOUNDS, seconds)
        with self._lock:
            self._counts[bucket] += 1
            self._seconds += seconds

    def distribution(self) -> Distribution:
        """All so far."""
        with self._lock:
            return Distribution(tuple(self._counts), self._seconds)


class Counts(Generic[K]):
    """How often each of several things happened. Safe for use by several threads."""

    def __init__(self) -> None:
        """Nothing happened yet."""
        self._lock = threading.Lock()
        self._counts: defaultdict[K, int] = defaultdict(int)

    def add(self, what: K) -> None:
        """It happened once more."""
        with self._lock:
            self._counts[what] += 1

    def snapshot(self) -> dict[K, int]:
        """All so far, in order of what happened first."""
        with self._lock:
            return dict(self._counts)


class CallMeter:
    """Calls by name: how long each took, and how they ended. Safe for use by several threads."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: seconds from an arbitrary start."""
        self.now = now
        self.outcomes: Counts[tuple[str, str]] = Counts()
        """By name and outcome, for those whose outcome was told."""
        self._histograms: dict[str, Histogram] = {}

    def ended(self, name: str, began: float) -> None:
        """A call that began at `began` by `now` has ended."""
        histogram = self._histograms.get(name)
        if histogram is None:
            # Of two threads' new histograms one is kept, and both count in it.
            histogram = self._histograms.setdefault(name, Histogram())
        histogram.observe(self.now() - began)

    def durations(self) -> Mapping[str, Distribution]:
        """Of all calls so far, by name."""
        return {name: histogram.distribution() for name, histogram in list(self._histograms.items())}
