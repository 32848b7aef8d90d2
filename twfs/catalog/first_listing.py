"""The first listing: written page by page, and gone on with where it was broken off, by whatever process.

Nothing of it is shown before all kinds are whole. A place that Twilio does not take any more is not gone on from: the
list is begun anew then, as it is after six hours, and what only the earlier attempt had seen is looked at singly.
"""

import threading
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from twfs.catalog import queries
from twfs.catalog.listed import Listed
from twfs.catalog.lists import OVERLAP, TROUBLE, Lists
from twfs.catalog.side_by_side import side_by_side
from twfs.catalog.store import LOST, Pass, noting
from twfs.errors import CredentialsRefused, DeadlineExceeded, RemoteError, Unreachable
from twfs.log import log
from twfs.resources import Kind, Page

LONG_SECONDS = 60.0
"""A list that took longer, or was gone on with, is followed by a look at what came meanwhile."""

STALE_SECONDS = 6 * 3600.0
"""An older place is not gone on from: nothing says how long Twilio takes it, or whether it leads anywhere."""


class Went(NamedTuple):
    """How a list came."""

    began: float
    """Seconds since 1970 UTC."""
    was_resumed: bool
    """Whether this process has not seen all of it."""
    listed: Listed
    """What this process has seen of it."""


_Outcome = Went | RemoteError | CredentialsRefused | None
"""None: it was given up."""


class FirstListing:
    """Lists all, and remembers each page and the place behind it in one transaction. One thread at a time."""

    def __init__(self, lists: Lists) -> None:
        """No request."""
        self._lists = lists
        self._store = lists.store
        self._give_up = threading.Event()
        self.before = 0
        """Media that an earlier attempt has left, which is gone on from."""

    def run(self) -> float | None:
        """List what was not listed before; when that began, in whatever process (seconds since 1970 UTC).

        None: it was given up, for the process ends.

        Raises:
            RemoteError, CredentialsRefused: why it did not come whole; the next attempt goes on behind the last pages.
        """
        self._give_up.clear()
        self.before = self._store.known(queries.count)
        kinds = self._lists.settings.kinds
        outcomes = side_by_side("list", self._list_or_tell, kinds, len(kinds))
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        lists = {kind: went for kind, went in zip(kinds, outcomes, strict=True) if isinstance(went, Went)}
        return self._end(lists) if len(lists) == len(kinds) else None

    def _list_or_tell(self, kind: Kind) -> _Outcome:
        try:
            return self._list(kind)
        except TROUBLE as error:
            self._give_up.set()
            return error

    def _list(self, kind: Kind) -> Went | None:
        listed = self._lists.begin(kind)
        reached = self._store.first_pass(kind)
        if reached is not None and reached.is_done:
            return Went(reached.began, was_resumed=True, listed=listed)
        went, pages = self._begin(kind, reached, listed)
        for number, page in enumerate(pages):
            if self._lists.is_stopping() or self._give_up.is_set():
                return None
            self._lists.take_page(kind, page, listed)
            note = Pass(went.began, page.following, page.following is None)
            is_first = number == 0 and not went.was_resumed
            self._lists.applying.write(listed.take_changed(), then=noting(kind, note, is_first=is_first))
        return went

    def _begin(self, kind: Kind, reached: Pass | None, listed: Listed) -> tuple[Went, Iterator[Page]]:
        now, wanted = self._lists.clock.wall(), self._lists.settings.wanted
        if reached is not None and reached.place is not None and 0 <= now - reached.began < STALE_SECONDS:
            pages = self._lists.listing.pages(kind, wanted, reached.place)
            try:
                first = next(pages, Page())
            except (Unreachable, DeadlineExceeded):
                raise
            except RemoteError as error:
                log.info("the list of %s is begun anew, for it cannot be gone on with: %s", kind, error)
            else:
                return Went(reached.began, was_resumed=True, listed=listed), chain([first], pages)
        return Went(now, was_resumed=False, listed=listed), self._lists.listing.pages(kind, wanted)

    def _end(self, lists: dict[Kind, Went]) -> float:
        """All kinds were listed to their end."""
        began = min(went.began for went in lists.values())
        if any(went.was_resumed for went in lists.values()) or self._lists.clock.wall() - began > LONG_SECONDS:
            self._look_for_new(list(lists), int(began) - OVERLAP)
        for kind, went in lists.items():
            if not went.was_resumed:
                self._lists.doubt_missing(kind, went.listed)
        self._lists.ended()
        self.before = 0
        self._store.finish(began, self._lists.settings.kinds)
        if not self._store.is_whole:
            raise Unreachable(LOST)
        self._lists.applying.became_whole()
        return began

    def _look_for_new(self, kinds: list[Kind], since: int) -> None:
        for kind in kinds:
            listed = self._lists.begin(kind)
            for page in self._lists.listing.pages(kind, self._lists.since(since)):
                self._lists.take_page(kind, page, listed)
            self._lists.applying.write(listed.take_changed())
