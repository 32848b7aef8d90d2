"""Twilio's lists, compared with what is known page by page: what is new, what changed, and what is missing."""

import threading
from collections.abc import Callable
from dataclasses import replace

from twfs.catalog import queries
from twfs.catalog.applying import Applying
from twfs.catalog.listed import Listed
from twfs.catalog.options import CatalogSettings
from twfs.catalog.ports import Listing
from twfs.catalog.records import Records
from twfs.catalog.side_by_side import side_by_side
from twfs.catalog.store import Store
from twfs.clock import Clock
from twfs.errors import CredentialsRefused, RemoteError
from twfs.resources import Kind, ListFilter, Page

OVERLAP = 900
"""Seconds that an incremental listing reaches back before the newest medium known: `date_created` has whole seconds,
lists are eventually consistent, and a quarter of an hour of media seldom fills more than the one page asked anyway."""
_AT_ONCE = 1000
"""Numbers of media looked up in one go."""

TROUBLE = (RemoteError, CredentialsRefused)
Outcome = Listed | RemoteError | CredentialsRefused | None
"""A complete listing, the error that kept it from being so, or None if it was given up."""


class Lists:
    """Goes through lists. One round at a time; `count` may be asked from any thread."""

    def __init__(  # noqa: PLR0917 - what it is made of
        self,
        listing: Listing,
        store: Store,
        settings: CatalogSettings,
        clock: Clock,
        records: Records,
        applying: Applying,
        *,
        doubt: Callable[[str], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        """`doubt(sid)` hears of a medium that must be looked at singly."""
        self.listing = listing
        self.store = store
        self.settings = settings
        self.clock = clock
        self.applying = applying
        self.is_stopping = is_stopping
        self._records = records
        self._doubt = doubt
        self._coming: dict[Kind, Listed] = {}

    @property
    def count(self) -> int:
        """Media that the lists under way have shown so far."""
        return sum(each.count for each in list(self._coming.values()))

    def gather(self, *, full: bool, give_up: threading.Event | None = None) -> dict[Kind, Outcome]:
        """The lists of all kinds at once; with `give_up`, the failure of one ends the others."""
        kinds = self.settings.kinds
        outcomes = side_by_side("list", lambda kind: self._list(kind, give_up, full=full), kinds, len(kinds))
        self.ended()
        return dict(zip(kinds, outcomes, strict=True))

    def begin(self, kind: Kind) -> Listed:
        """A list is gone through from now on."""
        listed = self._coming[kind] = Listed(self.store.known(queries.last_number))
        return listed

    def ended(self) -> None:
        """None is under way any more."""
        self._coming.clear()

    def take_page(self, kind: Kind, page: Page, listed: Listed) -> None:
        """Keeps only what is new or changed: of most listings, nothing."""
        records = [(self._records.parse(kind, record), record) for record in page]
        media = [medium for medium, _ in records if medium is not None]
        known = self.store.known(queries.find_all, [medium.sid for medium in media])
        for medium, record in records:
            if medium is None:
                listed.is_understood = False
                continue
            entry = known.get(medium.sid)
            listed.saw(medium.sid, None if entry is None else entry.number)
            if entry is not None and entry.medium == medium:
                continue
            self._records.tell_cut(medium, record)
            if entry is not None and self.applying.would_hide(entry, medium):
                # Lists are eventually consistent: the single look decides.
                self._doubt(medium.sid)
            else:
                listed.changed.append(medium)

    def doubt_missing(self, kind: Kind, listed: Listed) -> None:
        """What was known before a complete list, and it did not name."""
        for shown in (1, 0):
            last = 0
            while numbers := self.store.known(queries.numbers_of, kind, shown, last, _AT_ONCE):
                last = numbers[-1]
                for number in listed.missing(numbers):
                    sid = self.store.known(queries.sid_of, number)
                    if sid is not None:
                        self._doubt(sid)

    def _list(self, kind: Kind, give_up: threading.Event | None, *, full: bool) -> Outcome:
        listed = self.begin(kind)
        try:
            for page in self.listing.pages(kind, self.settings.wanted if full else self._new(kind)):
                if self.is_stopping() or (give_up is not None and give_up.is_set()):
                    return None
                self.take_page(kind, page, listed)
        except TROUBLE as error:
            if give_up is not None:
                give_up.set()
            return None if self.is_stopping() else error
        return listed

    def _new(self, kind: Kind) -> ListFilter:
        """What may be new, `OVERLAP` included; dates in the future must not hide what comes before them."""
        newest = self.store.known(queries.newest, kind, int(self.clock.wall()))
        return self.settings.wanted if newest is None else self.since(newest - OVERLAP)

    def since(self, moment: int) -> ListFilter:
        """What was created from that moment on (seconds since 1970 UTC)."""
        wanted = self.settings.wanted
        return replace(wanted, created_after=max(moment, wanted.created_after or 0, 0))
