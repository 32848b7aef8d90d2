"""Exporting in this process."""

import threading
from collections.abc import Callable, Iterator, Sequence

from twfs.errors import TwfsError
from twfs.export.job import Job, Order, Unwatched, carry_out, examine, missed
from twfs.export.outcome import Outcome
from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.range_pool import RangePool
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

    `watched` makes of the work on one medium what is done with each: it chooses who looks on.
    """
    stop = threading.Event()

    def export(medium: Medium, watch: Watch) -> Outcome:
        found = examine(session, medium)
        if not isinstance(found, Job):
            return found
        try:
            return unless_replaced(
                session, medium, found.info, lambda info: carry_out(pool, Job(medium, info), order, stop, watch)
            )
        except TwfsError as error:
            return missed(session, medium, error, found.info.plain_size)

    with RangePool(session) as pool:
        yield from work_through(media, watched(export), crew_size(session.config), stop, session.clock)
