"""Exporting in this process."""

import threading
from collections.abc import Iterator, Sequence

from twfs.errors import TwfsError
from twfs.export.job import Job, Order, carry_out, examine, failed
from twfs.export.outcome import Outcome
from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.range_pool import RangePool
from twfs.transfer.whole import unless_replaced


def export_here(session: Session, media: Sequence[Medium], order: Order) -> Iterator[Outcome]:
    """Copy `media` as ordered, several at once; what became of each, as they come."""
    stop = threading.Event()

    def export(medium: Medium) -> Outcome:
        found = examine(session, medium)
        if not isinstance(found, Job):
            return found
        try:
            return unless_replaced(
                session, medium, found.info, lambda info: carry_out(pool, Job(medium, info), order, stop)
            )
        except TwfsError as error:
            return failed(medium, error, found.info.plain_size)

    with RangePool(session) as pool:
        yield from work_through(media, export, crew_size(session.config), stop, session.clock)
