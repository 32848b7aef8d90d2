"""Exporting in this process."""

import threading
from collections.abc import Iterator, Sequence

from twfs.export.job import Job, Order, carry_out, examine
from twfs.export.outcome import Outcome
from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.range_pool import RangePool


def export_here(session: Session, media: Sequence[Medium], order: Order) -> Iterator[Outcome]:
    """Copy `media` as ordered, several at once; what became of each, as they come."""
    stop = threading.Event()

    def export(medium: Medium) -> Outcome:
        found = examine(session, medium)
        return carry_out(pool, found, order, stop) if isinstance(found, Job) else found

    with RangePool(session) as pool:
        yield from work_through(media, export, crew_size(session.config), stop, session.clock)
