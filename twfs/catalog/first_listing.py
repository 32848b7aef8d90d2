"""The first listing of one kind: written page by page, and gone on with where it was broken off, by whatever process.

Nothing of it is shown before all kinds are whole. A place that Twilio does not take any more is not gone on from: the
list is begun anew then, and what only the earlier attempt had seen is looked at singly.
"""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from twfs.catalog.listed import Listed
from twfs.catalog.ports import Listing
from twfs.catalog.store import Pass, Store, noting
from twfs.clock import Clock
from twfs.errors import DeadlineExceeded, RemoteError, Unreachable
from twfs.log import log
from twfs.resources import Kind, ListFilter, Medium, Page

LONG_SECONDS = 60.0
"""A list that took longer, or was gone on with, is followed by a look at what came meanwhile."""

TakePage = Callable[[Kind, Page, Listed], None]
Write = Callable[[list[Medium], Callable[[sqlite3.Connection], None]], None]


class Went(NamedTuple):
    """How a list came."""

    began: float
    """Seconds since 1970 UTC."""
    was_resumed: bool
    """Whether this process has not seen all of it."""


class FirstListing:
    """Lists one kind, and remembers each page and the place behind it in one transaction."""

    def __init__(
        self,
        listing: Listing,
        store: Store,
        clock: Clock,
        *,
        take_page: TakePage,
        write: Write,
        is_given_up: Callable[[], bool],
    ) -> None:
        """No request. `take_page` notes what a page names; `write` applies media with how far the list came."""
        self._listing = listing
        self._store = store
        self._clock = clock
        self._take_page = take_page
        self._write = write
        self._is_given_up = is_given_up

    def run(self, kind: Kind, wanted: ListFilter, listed: Listed) -> Went | None:
        """List all of a kind; `listed` is what this process has seen of it. None if it was given up.

        Raises:
            RemoteError, CredentialsRefused: why it did not come whole; the next attempt goes on behind the last page.
        """
        reached = self._store.first_pass(kind)
        if reached is not None and reached.is_done:
            return Went(reached.began, was_resumed=True)
        went, pages = self._begin(kind, wanted, reached)
        for number, page in enumerate(pages):
            if self._is_given_up():
                return None
            self._take_page(kind, page, listed)
            note = Pass(went.began, page.following, page.following is None)
            is_first = number == 0 and not went.was_resumed
            self._write(listed.take_changed(), noting(kind, note, is_first=is_first))
        return went

    def _begin(self, kind: Kind, wanted: ListFilter, reached: Pass | None) -> tuple[Went, Iterator[Page]]:
        now = self._clock.wall()
        if reached is not None and reached.place is not None:
            pages = self._listing.pages(kind, wanted, reached.place)
            try:
                first = next(pages, Page())
            except (Unreachable, DeadlineExceeded):
                raise
            except RemoteError as error:
                log.info("the list of %s is begun anew, for it cannot be gone on with: %s", kind, error)
            else:
                # A clock that jumped says nothing.
                return Went(min(reached.began, now), was_resumed=True), chain([first], pages)
        return Went(now, was_resumed=False), self._listing.pages(kind, wanted)
