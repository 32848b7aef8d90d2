"""Which medium is probed next: decisions, without a request.

What was never probed comes from the state file, in the order of the list, after a sample of all of it. Only what has
to wait, because it failed or has no media yet, and what is doubted, is held here.
"""

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from twfs.resources import Kind

AHEAD = 64
"""Media that are probed ahead of a reader: more than the workers do while one reader's request is under way, and few
enough that after the last `stat` the background is itself again in two seconds."""
FIRST_DELAY, LONGEST_DELAY = 30.0, 3600.0
"""Seconds until a medium whose probe failed is probed again in the background; doubled each time."""
BATCH = 64
"""Media that are looked up in one go."""

Pending = Callable[[Kind, int, int], Sequence[tuple[int, str]]]
"""Numbers and SIDs of media of a kind that were never probed, behind a number: at most so many, in order."""


class _Stream:
    """What is pending of one kind, from the beginning of the list to its end."""

    def __init__(self, kind: Kind, pending: Pending) -> None:
        self._kind = kind
        self._pending = pending
        self._batch: deque[tuple[int, str]] = deque()
        self._last = 0
        self._is_over = False

    def restart(self) -> None:
        """There may be others by now, anywhere."""
        self._batch.clear()
        self._last, self._is_over = 0, False

    def peek(self, is_wanted: Callable[[str], bool]) -> tuple[int, str] | None:
        """The next one that is wanted."""
        while True:
            while self._batch:
                if is_wanted(self._batch[0][1]):
                    return self._batch[0]
                self._batch.popleft()
            if self._is_over:
                return None
            self._batch.extend(self._pending(self._kind, self._last, BATCH))
            self._is_over = not self._batch
            if self._batch:
                self._last = self._batch[-1][0]

    def pop(self) -> None:
        """It is taken."""
        self._batch.popleft()


class ProbeOrder:
    """What comes next in the background. One thread at a time."""

    def __init__(self, pending: Pending) -> None:
        """Nothing to do, before `restart`."""
        self._streams = {kind: _Stream(kind, pending) for kind in Kind}
        self._sample: deque[str] = deque()
        self._ready: deque[str] = deque()
        """Those that need not wait any more, for no fault of theirs."""
        self._again: deque[str] = deque()
        """Those that failed and are due."""
        self._later: list[tuple[float, str]] = []
        self._delayed: set[str] = set()
        """Those in `_later`, where each is once."""
        self.doubted: dict[str, float] = {}
        """When each known medium is to be looked at again."""
        self.failures: dict[str, int] = {}
        """How often each failed."""

    def restart(self, sample: Iterable[str]) -> None:
        """The media changed: begin with those of the sample, then go through the list; those that failed come last."""
        self._sample = deque(sid for sid in sample if sid not in self._delayed and sid not in self.failures)
        self._again = deque(sid for sid in self.failures if sid not in self._delayed and sid not in self.doubted)
        for stream in self._streams.values():
            stream.restart()

    def forget(self, sids: Iterable[str]) -> None:
        """They are gone."""
        for sid in sids:
            self.failures.pop(sid, None)
            self.doubted.pop(sid, None)

    def next(self, now: float, kinds: Iterable[Kind], is_open: Callable[[str], bool]) -> str | None:
        """The medium whose turn it is, of these kinds; `is_open` tells whether one must be probed at all."""
        self._end_waits(now)
        allowed = set(kinds)

        def is_wanted(sid: str) -> bool:
            return sid not in self._delayed and is_open(sid)

        return (
            _first(self._ready, allowed, is_wanted)
            or _first(self._sample, allowed, is_wanted)
            or self._next_in_list(allowed, is_open)
            or _first(self._again, allowed, is_wanted)
        )

    def next_doubted(self, now: float, kinds: Iterable[Kind], is_open: Callable[[str], bool]) -> str | None:
        """A known medium that is to be looked at again now; one that failed, when nothing else of `kinds` waits."""
        due = [sid for sid, moment in self.doubted.items() if moment <= now]
        if not due:
            return None
        sid = next((sid for sid in due if sid not in self.failures), None)
        if sid is None and not self._waits(kinds, is_open):
            sid = due[0]
        if sid is not None:
            del self.doubted[sid]
        return sid

    def delay(self, sid: str, now: float) -> None:
        """It failed just now: have it wait, or as long as it waits already."""
        self._put_off(sid, self.retry_at(sid, now))

    def retry_at(self, sid: str, now: float) -> float:
        """When to probe it again, which failed just now."""
        count = self.failures.get(sid, 0)
        self.failures[sid] = count + 1
        return now + min(FIRST_DELAY * 2.0 ** min(count, 20), LONGEST_DELAY)

    def until_next(self, now: float, idle: float) -> float:
        """Seconds until the first of what waits is due."""
        moments = [due for due, _ in self._later[:1]] + list(self.doubted.values())
        return min(moments) - now if moments else idle

    def _put_off(self, sid: str, due: float) -> None:
        if sid not in self._delayed:
            self._delayed.add(sid)
            heapq.heappush(self._later, (due, sid))

    def _end_waits(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            sid = heapq.heappop(self._later)[1]
            self._delayed.discard(sid)
            # Else those that fail again and again, each with a pause for all, would be all that is ever asked for.
            (self._again if sid in self.failures else self._ready).append(sid)

    def _waits(self, kinds: Iterable[Kind], is_open: Callable[[str], bool]) -> bool:
        return bool(self._ready or self._again or self._heads(kinds, is_open))

    def _heads(self, kinds: Iterable[Kind], is_open: Callable[[str], bool]) -> list[tuple[tuple[int, str], Kind]]:
        """The next in each kind's list."""

        def is_wanted(sid: str) -> bool:
            return sid not in self._delayed and sid not in self.failures and is_open(sid)

        return [(place, kind) for kind in kinds if (place := self._streams[kind].peek(is_wanted)) is not None]

    def _next_in_list(self, kinds: Iterable[Kind], is_open: Callable[[str], bool]) -> str | None:
        found = self._heads(kinds, is_open)
        if not found:
            return None
        (_, sid), kind = min(found)
        self._streams[kind].pop()
        return sid


def sample_points(first: int, last: int, count: int, most: int) -> list[int]:
    """Numbers from all over `[first, last]`, `most` at most: what holds for one day's media may not for another's.

    Of `count` media that have numbers there; none if those are no more than a sample.
    """
    if count <= most:
        return []
    step = max(1, (last - first + 1) // most)
    return list(range(first, last + 1, step))[:most]


def _first(queue: deque[str], kinds: Collection[Kind], is_wanted: Callable[[str], bool]) -> str | None:
    """Take out the first of these kinds that is wanted; those of other kinds stay, others that are not wanted go."""
    for _ in range(len(queue)):
        sid = queue.popleft()
        if _kind_of(sid) not in kinds:
            queue.append(sid)
        elif is_wanted(sid):
            return sid
    return None


def _kind_of(sid: str) -> Kind:
    return Kind.COMPOSITION if sid.startswith(Kind.COMPOSITION.sid_prefix) else Kind.RECORDING
