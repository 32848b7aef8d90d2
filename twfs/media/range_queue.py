"""Which ranges are fetched now, and which next: pure decisions, no I/O, no threads, no clock.

What readers wait for goes first, fairly among media (`fairness`), in the order of asking. Prefetching may take all
connections: what was begun last gives way when a reader needs one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from twfs.errors import TwfsError
from twfs.media.fairness import next_in_turn
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Medium


class NotWanted(Exception):
    """Raised by what takes the bytes of a range: it needs no more of them now."""


class RangeJob(ABC):
    """A range of a stored object that somebody wants, and where its bytes go."""

    def __init__(self, medium: Medium, facts: ObjectFacts, step_seconds: float, *, urgent: bool) -> None:
        """`step_seconds`: how long it may take until there is some progress; `urgent` if a reader waits for it."""
        self.medium = medium
        self.facts = facts
        self.step_seconds = step_seconds
        self.urgent = urgent
        self.heard_at = 0.0
        """When something of it last came, or it was begun."""
        self.cancelled = False
        self.gives_way = False
        """It runs, and is to end where it may for one that a reader waits for; the rest is queued again."""
        self.fetched = 0
        """Bytes that came, and are of use to somebody."""
        self.progressed: Callable[[], object] = lambda: None
        """To be called with each step that was made."""

    @property
    def subject(self) -> str:
        """The SID of its medium."""
        return self.medium.sid

    @property
    @abstractmethod
    def rest(self) -> ByteRange:
        """Stored bytes still to be fetched; what of them has come is forgotten when it is begun again."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether nothing is left to do."""

    @abstractmethod
    def is_awaited(self) -> bool:
        """Whether a reader waits for any of it."""

    @abstractmethod
    def begin(self) -> None:
        """The bytes of `rest` come next."""

    @abstractmethod
    def take(self, piece: bytes) -> None:
        """The next bytes.

        Raises:
            NotWanted: the rest of them are not needed now.
        """

    @property
    def is_held_up(self) -> bool:
        """Whether bytes that have come wait for what `complete` finds out."""
        return False

    def complete(self) -> None:
        """Go on with what is held up; may block, in a thread beside."""
        raise NotImplementedError

    @abstractmethod
    def fail(self, error: TwfsError) -> None:
        """What is left will not come."""

    def may_end(self) -> bool:
        """Whether it may end before its end: nobody wants it, or somebody else the connection."""
        return (self.cancelled or self.gives_way) and not self.is_awaited()


class RangeQueue:
    """Jobs that wait and jobs that run. One thread at a time."""

    def __init__(self, connections: int) -> None:
        """At most so many run at once, besides those that fell silent."""
        self._connections = connections
        self._waiting: list[RangeJob] = []
        self._running: dict[RangeJob, None] = {}
        """In the order of their beginning."""
        self._ahead: dict[RangeJob, None] = {}
        """Those of them that no reader waited for when they began."""

    @property
    def jobs(self) -> list[RangeJob]:
        """All of them."""
        return [*self._running, *self._waiting]

    @property
    def counts(self) -> tuple[int, int]:
        """How many run, and how many wait."""
        return len(self._running), len(self._waiting)

    def add(self, job: RangeJob) -> None:
        """One more; it is last."""
        self._waiting.append(job)
        self._make_way(job)

    def hurry(self, concerns: Callable[[RangeJob], bool]) -> None:
        """A reader waits for what these jobs bring: they must not queue behind prefetching."""
        for job in self._waiting:
            if not job.urgent and concerns(job):
                job.urgent = True
                self._make_way(job)

    def next(self, now: float) -> RangeJob | None:
        """The job to begin now, which runs then; None if there is none, or no connection for it."""
        job = next_in_turn(self._waiting, self._running, self._connections, now)
        if job is not None:
            self._waiting.remove(job)
            self._running[job] = None
            job.heard_at = now
            if not job.urgent:
                self._ahead[job] = None
        return job

    def ended(self, job: RangeJob) -> None:
        """It runs no more."""
        self._running.pop(job)
        self._ahead.pop(job, None)

    def put_back(self, job: RangeJob) -> None:
        """What gave way is begun again before anything else of its kind."""
        job.gives_way = False
        job.urgent = job.is_awaited()
        self._waiting.insert(0, job)

    def cancel(self, job: RangeJob) -> bool:
        """Nobody wants it any more; whether it waited, and is gone now. What a reader waits for stays."""
        job.cancelled = True
        is_gone = job in self._waiting and not job.is_awaited()
        if is_gone:
            self._waiting.remove(job)
        return is_gone

    def clear(self) -> list[RangeJob]:
        """Begin anew; what waited."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _make_way(self, job: RangeJob) -> None:
        """Have what was begun last ahead of readers give its connection to an urgent job, if there is none for it.

        Rather what no reader waits for: only that can end before its end.
        """
        urgent = sum(waiting.urgent for waiting in self._waiting)
        if job.urgent and len(self._running) + urgent > self._connections:
            able = [running for running in reversed(self._ahead) if not running.gives_way]
            if able:
                next((each for each in able if not each.is_awaited()), able[0]).gives_way = True
