"""Keeping the list of media true: listings that come whole or not at all, and single looks at what is in doubt.

A listing only ever adds and updates. A medium goes only when Twilio, asked for that one, says that it is gone or not
finished: so neither a failing page, nor a list that is behind or shifts while it is paged through, can make any vanish.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from math import inf
from sqlite3 import Connection

from twfs.catalog import queries
from twfs.catalog.first_listing import LONG_SECONDS, FirstListing, Went
from twfs.catalog.listed import Listed
from twfs.catalog.loop import Loop
from twfs.catalog.options import CatalogSettings
from twfs.catalog.ports import Listing
from twfs.catalog.records import Records
from twfs.catalog.rows import Entry
from twfs.catalog.side_by_side import side_by_side
from twfs.catalog.single_looks import SingleLooks
from twfs.catalog.store import LOST, Store
from twfs.catalog.trouble import Troubles
from twfs.clock import Clock
from twfs.errors import CredentialsRefused, RemoteError, Unreachable
from twfs.resources import Kind, Medium, Page

OVERLAP = 900
"""Seconds that an incremental listing reaches back before the newest medium known: `date_created` has whole seconds,
lists are eventually consistent, and a quarter of an hour of media seldom fills more than the one page asked anyway."""
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
_AT_ONCE = 1000
"""Numbers of media looked up in one go."""

_Trouble = (RemoteError, CredentialsRefused)
_Outcome = Listed | RemoteError | CredentialsRefused | None
"""A complete listing, the error that kept it from being so, or None if it was given up."""


class Refresher:
    """Brings the store up to date. One round at a time; no thread before `start`."""

    def __init__(
        self,
        listing: Listing,
        store: Store,
        settings: CatalogSettings,
        clock: Clock,
        *,
        on_change: Callable[[Collection[str], Collection[Entry]], None],
        on_confirmed: Callable[[str], None],
    ) -> None:
        """`on_change(gone, contradicted)` follows every change; the latter are readable media of another size.

        `on_confirmed(sid)` is called when a suspect of a reader's turned out to be there still.
        """
        self._listing = listing
        self._store = store
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        self._on_confirmed = on_confirmed
        self._troubles = Troubles()
        self._records = Records(self._troubles)
        self._loop = Loop("refresh", self.step)
        self._looks = SingleLooks(
            listing, store, clock, self._troubles, self._records.parse, lambda: self._loop.is_stopping
        )
        self._round = threading.Lock()
        self._applying = threading.Lock()
        self._deleted: set[str] = set()
        self._full_asked = threading.Event()
        self._next_listing = self._next_full = self._next_single = clock.monotonic()
        self._next_check = inf
        self._coming: dict[Kind, Listed] = {}
        self.listed_before = 0
        """Media that an earlier attempt at the first listing has left."""
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
        return sum(each.count for each in list(self._coming.values()))

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

    def _list_or_raise(self, *, full: bool) -> "dict[Kind, _Outcome]":
        """Apply the lists if all came. Must be called with `_round` held."""
        outcomes = self._gather(full=full, give_up=threading.Event())
        for outcome in outcomes.values():
            if isinstance(outcome, Exception):
                raise outcome
        self._apply_listings(outcomes, full=full)
        self._schedule(complete=True, full=full)
        return outcomes

    def _list_first(self) -> None:
        """List what was not listed before. Must be called with `_round` held."""
        give_up = threading.Event()
        self.listed_before = self._store.known(queries.count)
        first = FirstListing(
            self._listing,
            self._store,
            self._clock,
            take_page=self._take_page,
            write=self._write,
            is_given_up=lambda: self._loop.is_stopping or give_up.is_set(),
        )

        def run(kind: Kind) -> "Went | RemoteError | CredentialsRefused | None":
            listed = self._coming[kind] = self._listed()
            try:
                return first.run(kind, self._settings.wanted, listed)
            except _Trouble as error:
                give_up.set()
                return error

        kinds = self._settings.kinds
        outcomes = dict(zip(kinds, side_by_side("list", run, kinds, len(kinds)), strict=True))
        for outcome in outcomes.values():
            if isinstance(outcome, Exception):
                raise outcome
        if all(isinstance(outcome, Went) for outcome in outcomes.values()):
            self._end_first({kind: went for kind, went in outcomes.items() if isinstance(went, Went)})

    def _end_first(self, lists: dict[Kind, Went]) -> None:
        """All kinds were listed to their end."""
        began = min(went.began for went in lists.values())
        if any(went.was_resumed for went in lists.values()) or self._clock.wall() - began > LONG_SECONDS:
            self._look_for_new(list(lists), max(0, int(began) - OVERLAP))
        for kind, went in lists.items():
            if not went.was_resumed:
                self._doubt_missing(kind, self._coming[kind])
        self._coming.clear()
        self.listed_before = 0
        # Of what was deleted meanwhile the next full pass knows more: it is due as if this one had ended as it began.
        self._store.finish(began, self._settings.kinds)
        if not self._store.is_whole:
            raise Unreachable(LOST)
        self.last_success = self._clock.wall()
        self._schedule(complete=True, full=True)
        self._next_full = self._clock.monotonic() + max(0.0, FULL_PASS_SECONDS - (self._clock.wall() - began))
        self._on_change((), ())

    def _look_for_new(self, kinds: list[Kind], since: int) -> None:
        wanted = self._settings.wanted
        since = max(since, wanted.created_after or 0)
        for kind in kinds:
            listed = self._listed()
            for page in self._listing.pages(kind, replace(wanted, created_after=since)):
                self._take_page(kind, page, listed)
            self._write(listed.take_changed(), None)

    def round(self, *, full: bool) -> None:
        """One look at Twilio: the lists (all, or what is new), then single looks. Failures are recorded, not raised."""
        if self._store.is_whole and (full or self._clock.monotonic() >= self._next_check):
            self._store.check()
            self._next_check = inf
        if not self._store.is_whole:
            self._begin_anew()
            return
        with self._round:
            outcomes = self._gather(full=full)
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
        except _Trouble as error:
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
        with self._applying:
            self._deleted.add(sid)
        self._apply([], {sid})

    def drop(self, sid: str) -> None:
        """Twilio was asked for `sid` just now, and has none: it goes, and comes back if a listing has it, completed."""
        self._apply([], {sid})

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

    def _gather(self, *, full: bool, give_up: threading.Event | None = None) -> "dict[Kind, _Outcome]":
        """The lists of all kinds at once; with `give_up`, the failure of one ends the others."""
        kinds = self._settings.kinds
        outcomes = side_by_side("list", lambda kind: self._list(kind, give_up, full=full), kinds, len(kinds))
        self._coming.clear()
        return dict(zip(kinds, outcomes, strict=True))

    def _list(self, kind: Kind, give_up: threading.Event | None, *, full: bool) -> "_Outcome":
        wanted = self._settings.wanted
        if not full:
            wanted = replace(wanted, created_after=self._newest(kind, wanted.created_after))
        listed = self._coming[kind] = self._listed()
        try:
            for page in self._listing.pages(kind, wanted):
                if self._loop.is_stopping or (give_up is not None and give_up.is_set()):
                    return None
                self._take_page(kind, page, listed)
        except _Trouble as error:
            if give_up is not None:
                give_up.set()
            return None if self._loop.is_stopping else error
        return listed

    def _listed(self) -> Listed:
        return Listed(self._store.known(queries.last_number))

    def _newest(self, kind: Kind, since: int | None) -> int | None:
        """From when on media are new, `OVERLAP` included; dates in the future must not hide what comes before them."""
        newest = self._store.known(queries.newest, kind, int(self._clock.wall()))
        if newest is None:
            return since
        return max(newest - OVERLAP, since if since is not None else 0, 0)

    def _take_page(self, kind: Kind, page: Page, listed: Listed) -> None:
        """Keeps only what is new or changed: of most listings, nothing."""
        records = [(self._records.parse(kind, record), record) for record in page]
        media = [medium for medium, _ in records if medium is not None]
        known = self._store.known(queries.find_all, [medium.sid for medium in media])
        for medium, record in records:
            if medium is None:
                listed.is_understood = False
                continue
            entry = known.get(medium.sid)
            listed.saw(medium.sid, None if entry is None else entry.number)
            if entry is not None and entry.medium == medium:
                continue
            self._records.tell_cut(medium, record)
            if entry is not None and self._would_hide(entry, medium):
                # Lists are eventually consistent: the single look decides.
                self._looks.doubt(medium.sid)
            else:
                listed.changed.append(medium)

    def _would_hide(self, entry: Entry, medium: Medium) -> bool:
        """Whether a file would vanish if that were taken over, though it does not say that it was deleted."""
        return entry.is_shown and not self._shows(medium) and not self._is_deleted(medium)

    def _shows(self, medium: Medium) -> bool:
        return medium.is_completed and self._settings.includes(medium)

    def _apply_listings(self, outcomes: "dict[Kind, _Outcome]", *, full: bool) -> None:
        """Apply those that are complete."""
        complete = {kind: outcome for kind, outcome in outcomes.items() if isinstance(outcome, Listed)}
        for kind, listed in complete.items():
            if full:
                self._doubt_missing(kind, listed)
            # A list of what is new says nothing of a record that is older.
            if full and listed.is_understood:
                self._troubles.ended(("record", kind), f"no record of the list of {kind} is skipped any more")
        self._apply([medium for listed in complete.values() for medium in listed.changed], ())
        if complete:
            self.last_success = self._clock.wall()
        if full and len(complete) == len(outcomes):
            self._store.finish(self._clock.wall())

    def _doubt_missing(self, kind: Kind, listed: Listed) -> None:
        for shown in (1, 0):
            last = 0
            while numbers := self._store.known(queries.numbers_of, kind, shown, last, _AT_ONCE):
                last = numbers[-1]
                for number in listed.missing(numbers):
                    sid = self._store.known(queries.sid_of, number)
                    if sid is not None:
                        self._looks.doubt(sid)

    def _apply(self, changed: list[Medium], gone: Collection[str]) -> None:
        self._write(changed, None, gone)

    def _write(
        self, changed: list[Medium], then: Callable[[Connection], None] | None, gone: Collection[str] = ()
    ) -> None:
        """Deleted resources that a listing or a look names are gone, too. `then` is done in the same transaction."""
        with self._applying:
            kept = [medium for medium in changed if not self._is_deleted(medium)]
            dropped = {medium.sid for medium in changed if self._is_deleted(medium)}.union(gone)
            if not (kept or dropped or then):
                return
            applied = self._store.apply(kept, dropped, shows=self._shows, then=then)
        if self._store.is_whole and (kept or dropped):
            self._on_change(dropped, applied.contradicted)

    def _is_deleted(self, medium: Medium) -> bool:
        return medium.status == "deleted" or medium.sid in self._deleted

    def _schedule(self, *, complete: bool, full: bool) -> None:
        now = self._clock.monotonic()
        self._next_listing = now + self._settings.refresh
        if full:
            self._next_full = now + (FULL_PASS_SECONDS if complete else FULL_RETRY_SECONDS)

    def _look_singly(self, outcomes: "dict[Kind, _Outcome]") -> None:
        """Ask for suspects, and for unsettled media that the lists did not just name."""
        lists = {kind: listed for kind, listed in outcomes.items() if isinstance(listed, Listed)}

        def is_fresh(entry: Entry) -> bool:
            listed = lists.get(entry.medium.kind)
            return listed is not None and listed.has(entry.medium.sid, entry.number)

        self._look(is_fresh)

    def _look(self, is_fresh: Callable[[Entry], bool] | None, at_once: int = 1) -> None:
        """As `SingleLooks.look`; what it finds is applied. Must be called with `_round` held."""
        found, suspects = self._looks.look(is_fresh, at_once)
        if found.changed or found.gone:
            self._apply(found.changed, found.gone)
        pause = BACKLOG_SECONDS if found.came_through else self._settings.refresh
        self._next_single = self._clock.monotonic() + pause
        for sid in self._looks.clear(suspects, found.confirmed):
            self._on_confirmed(sid)

    def _note(self, kind: Kind, outcome: "_Outcome") -> None:
        if isinstance(outcome, Listed):
            self._troubles.ended(kind, f"the list of {kind} comes again")
        elif outcome is not None:
            self._troubles.arose(kind, outcome, f"the list of {kind} does not come; the last known one is kept")
