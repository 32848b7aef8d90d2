"""Exporting in this process."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from twfs.errors import TwfsError
from twfs.export.job import Job, Order, Unwatched, carry_out, ended, examine, missed
from twfs.export.outcome import Ending, Outcome
from twfs.mount.session import Session
from twfs.probe import MediaInfo
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.shortcomings import Shortcomings
from twfs.transfer.whole import Watch, unless_replaced

Work = Callable[[Medium, Watch], Outcome]


def unwatched(work: Work) -> Callable[[Medium], Outcome]:
    """The work, with nobody looking on."""
    return lambda medium: work(medium, Unwatched())


def export_here(
    session: Session,
    media: Sequence[Medium],
    order: Order,
    watched: Callable[[Work], Callable[[Medium], Outcome]] = unwatched,
) -> Iterator[Outcome]:
    """Copy `media` as ordered, several at once; what became of each, as they come.

    `watched` makes of the work on one medium what is done with each: it chooses who looks on. What stands in the way
    of all media ends the work: the others have the same reason.
    """
    left = {medium.sid: medium for medium in media}
    with ReaderPool(session) as pool:
        export = _Export(pool, order)
        work = watched(export.carry_out)
        for outcome in work_through(media, work, crew_size(session.config), export.stop, session.clock):
            del left[outcome.sid]
            yield outcome
    for medium in left.values():
        yield export.called_off(medium)


class _Export:
    """One run. Thread-safe."""

    def __init__(self, pool: ReaderPool, order: Order) -> None:
        self.stop = threading.Event()
        self._pool = pool
        self._order = order
        self._shortcomings = Shortcomings()
        self._obstacle: Outcome | None = None
        self._lock = threading.Lock()

    def carry_out(self, medium: Medium, watch: Watch) -> Outcome:
        found = examine(self._pool.session, medium)
        if not isinstance(found, Job):
            return found
        outcome = self._carried_out(found, watch)
        if not outcome.is_shared:
            return outcome
        with self._lock:
            self._obstacle = self._obstacle or outcome
            self.stop.set()
        # Called off, or the same reason in other words.
        return self.called_off(medium)

    def called_off(self, medium: Medium) -> Outcome:
        """The row of a medium that was not begun or not finished."""
        reason = self._obstacle.reason if self._obstacle else "called off"
        return replace(ended(medium, Ending.FAILED, reason), is_shared=True)

    def _carried_out(self, job: Job, watch: Watch) -> Outcome:
        session, medium = self._pool.session, job.medium

        def transfer(info: MediaInfo) -> Outcome:
            again = Job(medium, info)
            return carry_out(self._pool, again, self._order, self.stop, watch, shortcomings=self._shortcomings)

        try:
            return unless_replaced(session, medium, job.info, transfer)
        except TwfsError as error:
            return missed(session, medium, error, job.info.plain_size)
