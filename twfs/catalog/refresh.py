"""Keeping the list of media true: listings that come whole or not at all, and single looks at what is in doubt.

A listing only ever adds and updates. A medium goes only when Twilio, asked for that one, says that it is gone or not
finished: so neither a failing page, nor a list that is behind or shifts while it is paged through, can make any vanish.
"""

import threading
from collections.abc import Callable
from math import inf

from twfs.catalog.applying import Applying, OnChange
from twfs.catalog.first_listing import FirstListing
from twfs.catalog.listed import Listed
from twfs.catalog.lists import TROUBLE, Lists, Outcome
from twfs.catalog.loop import Loop
from twfs.catalog.options import CatalogSettings
from twfs.catalog.ports import Listing
from twfs.catalog.records import Records
from twfs.catalog.rows import Entry
from twfs.catalog.single_looks import SingleLooks
from twfs.catalog.store import Store
from twfs.catalog.trouble import Troubles
from twfs.clock import Clock
from twfs.errors import Unreachable
from twfs.resources import Kind

FULL_PASS_SECONDS = 6 * 3600.0
"""Between full listings, which find what was deleted elsewhere: the 1,000 pages of 100,000 media are 3 a minute."""
FULL_RETRY_SECONDS = 600.0
"""Until a failed full listing is tried again; incremental ones go on meanwhile."""
BACKLOG_SECONDS = 5.0
"""Between bursts of single looks while media in doubt are left over: 20 requests/s, half of the default `api_rate`."""
LOOKS_AT_ONCE = 8
"""Single looks at once where somebody waits for them: at 100 ms each 80/s, so that `api_rate` is the limit."""
CHECK_SECONDS = 60.0
"""After which a file that was taken over is looked through for damage that no single row shows. That takes a processor
four seconds for a million media (measured); whoever has just mounted has better use for it. Then before full passes."""


class Refresher:
    """Brings the store up to date. One round at a time; no thread before `start`."""

    def __init__(
        self,
        listing: Listing,
        store: Store,
        settings: CatalogSettings,
        clock: Clock,
        *,
        on_change: OnChange,
        on_confirmed: Callable[[str], None],
    ) -> None:
        """`on_confirmed(sid)` is called when a suspect of a reader's turned out to be there still."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._on_confirmed = on_confirmed
        self._troubles = Troubles()
        self._loop = Loop("refresh", self.step)
        records, is_stopping = Records(self._troubles), lambda: self._loop.is_stopping
        self._applying = Applying(store, settings, on_change)
        self._looks = SingleLooks(listing, store, clock, self._troubles, records.parse, is_stopping)
        self._lists = Lists(
            listing, store, settings, clock, records, self._applying, doubt=self._looks.doubt, is_stopping=is_stopping
        )
        self._first = FirstListing(self._lists)
        self._round = threading.Lock()
        self._full_asked = threading.Event()
        self._next_listing = self._next_full = self._next_single = clock.monotonic()
        self._next_check = inf
        self.last_success: float | None = None
        """When a listing last came whole, seconds since 1970 UTC."""

    def loaded(self, listed_at: float) -> None:
        """What is known comes from the store, whose last full pass began at `listed_at` by the wall clock."""
        age = self._clock.wall() - listed_at
        # A clock that jumped says nothing of the age.
        left = FULL_PASS_SECONDS - age if 0 <= age < FULL_PASS_SECONDS else 0.0
        self._next_full = self._clock.monotonic() + left
        self._next_check = self._clock.monotonic() + CHECK_SECONDS
        self.last_success = listed_at

    @property
    def listed(self) -> int:
        """Media that the lists under way have shown so far."""
        return self._lists.count

    @property
    def listed_before(self) -> int:
        """Media that an earlier attempt at the first listing has left."""
        return self._first.before

    def first_listing(self) -> None:
        """List all, or raise. Nothing is shown unless all came; known media that are not listed are looked at singly.

        Where such a look fails, they stay, and that is logged.

        Raises:
            RemoteError, CredentialsRefused: why a list did not come.
        """
        with self._round:
            if self._store.is_whole:
                self._list_or_raise(full=True)
            else:
                self._list_first()
            left = len(self._looks) + 1
            while 0 < len(self._looks) < left:
                left = len(self._looks)
                self._look(None, at_once=LOOKS_AT_ONCE)

    def list_again(self) -> None:
        """List what is new, or all where that is due, and look singly at what may have changed; or raise.

        Raises:
            RemoteError, CredentialsRefused: why a list did not come; all stays as it was known then.
        """
        if self._clock.monotonic() >= self._next_full or not self._store.is_whole:
            self.first_listing()
            return
        with self._round:
            self._look_singly(self._list_or_raise(full=False))

    def _list_or_raise(self, *, full: bool) -> dict[Kind, Outcome]:
        """Apply the lists if all came. Must be called with `_round` held."""
        outcomes = self._lists.gather(full=full, give_up=threading.Event())
        for outcome in outcomes.values():
            if isinstance(outcome, Exception):
                raise outcome
        self._apply_listings(outcomes, full=full)
        self._schedule(complete=True, full=full)
        return outcomes

    def _list_first(self) -> None:
        """List what was not listed before. Must be called with `_round` held."""
        began = self._first.run()
        if began is not None:
            self._schedule(complete=True, full=True)
            # Of what was deleted meanwhile the next full pass knows more: it is due as if this one had ended at once.
            self.loaded(began)
            self._next_check = inf
            self.last_success = self._clock.wall()

    def round(self, *, full: bool) -> None:
        """One look at Twilio: the lists (all, or what is new), then single looks. Failures are recorded, not raised."""
        if self._store.is_whole and (full or self._clock.monotonic() >= self._next_check):
            self._store.check()
            self._next_check = inf
        if not self._store.is_whole:
            self._begin_anew()
            return
        with self._round:
            outcomes = self._lists.gather(full=full)
            self._apply_listings(outcomes, full=full)
            for kind, outcome in outcomes.items():
                self._note(kind, outcome)
            self._schedule(complete=all(isinstance(outcome, Listed) for outcome in outcomes.values()), full=full)
            self._look_singly(outcomes)

    def _begin_anew(self) -> None:
        """As nothing is known; failures are recorded, not raised."""
        self._schedule(complete=False, full=True)
        try:
            self.first_listing()
        except TROUBLE as error:
            self._troubles.arose("first", error, "the account could not be listed anew; it is tried again")
        else:
            self._troubles.ended("first", "the account was listed anew")

    def step(self) -> float:
        """What is due now; seconds until the next thing is."""
        try:
            self._do_what_is_due()
        except Unreachable:
            if self._store.is_whole:
                raise
            # What is known was lost in the middle of this: all is listed anew next.
            self._full_asked.set()
            return 0.0
        due = min(self._next_listing, self._next_single) if len(self._looks) else self._next_listing
        return max(0.0, due - self._clock.monotonic())

    def _do_what_is_due(self) -> None:
        self._store.look_again()
        now = self._clock.monotonic()
        if self._full_asked.is_set():
            self._full_asked.clear()
            self.round(full=True)
        elif now >= self._next_listing:
            self.round(full=now >= self._next_full)
        elif len(self._looks) and now >= self._next_single:
            self.look_at_suspects()

    def look_at_suspects(self) -> None:
        """Ask for what is in doubt now, and for nothing else."""
        with self._round:
            self._look(None)

    def suspect(self, sid: str) -> None:
        """A reader was told that `sid` is not there: ask for this one soon."""
        if self._looks.complaint(sid):
            self._loop.wake()

    def forget(self, sid: str) -> None:
        """`sid` was deleted just now: it goes at once, and no listing that began before brings it back."""
        self._applying.forget(sid)

    def drop(self, sid: str) -> None:
        """Twilio was asked for `sid` just now, and has none: it goes, and comes back if a listing has it, completed."""
        self._applying.write([], {sid})

    def list_anew(self) -> None:
        """What was known is lost: until all is listed again, every question is answered with an error."""
        self.refresh_now()

    def refresh_now(self) -> None:
        """Have the background make a full pass now; returns at once."""
        self._full_asked.set()
        self._loop.wake()

    def start(self) -> None:
        """Begin refreshing in the background."""
        self._loop.start()

    def stop(self) -> None:
        """End it; a listing under way ends after its present page."""
        self._loop.stop()

    @property
    def last_error(self) -> str | None:
        """Why the truth may be old; None if it is not."""
        return self._troubles.last_text()

    @property
    def suspects(self) -> int:
        """Media whose existence is in doubt."""
        return len(self._looks)

    def _apply_listings(self, outcomes: dict[Kind, Outcome], *, full: bool) -> None:
        """Apply those that are complete."""
        complete = {kind: outcome for kind, outcome in outcomes.items() if isinstance(outcome, Listed)}
        for kind, listed in complete.items():
            if full:
                self._lists.doubt_missing(kind, listed)
            # A list of what is new says nothing of a record that is older.
            if full and listed.is_understood:
                self._troubles.ended(("record", kind), f"no record of the list of {kind} is skipped any more")
        self._applying.write([medium for listed in complete.values() for medium in listed.changed])
        if complete:
            self.last_success = self._clock.wall()
        if full and len(complete) == len(outcomes):
            self._store.finish(self._clock.wall())

    def _schedule(self, *, complete: bool, full: bool) -> None:
        now = self._clock.monotonic()
        self._next_listing = now + self._settings.refresh
        if full:
            self._next_full = now + (FULL_PASS_SECONDS if complete else FULL_RETRY_SECONDS)

    def _look_singly(self, outcomes: dict[Kind, Outcome]) -> None:
        """Ask for suspects, and for unsettled media that the lists did not just name."""
        lists = {kind: listed for kind, listed in outcomes.items() if isinstance(listed, Listed)}

        def is_fresh(entry: Entry) -> bool:
            listed = lists.get(entry.medium.kind)
            return listed is not None and listed.has(entry.medium.sid, entry.number)

        self._look(is_fresh)

    def _look(self, is_fresh: Callable[[Entry], bool] | None, at_once: int = 1) -> None:
        """As `SingleLooks.look`; what it finds is applied. Must be called with `_round` held."""
        found = self._looks.look(is_fresh, at_once)
        self._applying.write(found.changed, found.gone)
        pause = BACKLOG_SECONDS if found.came_through else self._settings.refresh
        self._next_single = self._clock.monotonic() + pause
        for sid in self._looks.clear(found):
            self._on_confirmed(sid)

    def _note(self, kind: Kind, outcome: Outcome) -> None:
        if isinstance(outcome, Listed):
            self._troubles.ended(kind, f"the list of {kind} comes again")
        elif outcome is not None:
            self._troubles.arose(kind, outcome, f"the list of {kind} does not come; the last known one is kept")
