"""Keeping the list of media true: listings that come whole or not at all, and single looks at what is in doubt.

A listing only ever adds and updates. A medium goes only when Twilio, asked for that one, says that it is gone or not
finished: so neither a failing page, nor a list that is behind or shifts while it is paged through, can make any vanish.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from twfs.catalog.loop import Loop
from twfs.catalog.options import CatalogSettings
from twfs.catalog.ports import Listing
from twfs.catalog.side_by_side import side_by_side
from twfs.catalog.store import Store
from twfs.catalog.trouble import Troubles
from twfs.catalog.truth import Truth
from twfs.clock import Clock
from twfs.errors import BadResource, CredentialsRefused, NotFound, RemoteError
from twfs.log import log
from twfs.resources import Kind, Medium, oversized, parse_medium

OVERLAP = 900
"""Seconds that an incremental listing reaches back before the newest medium known: `date_created` has whole seconds,
lists are eventually consistent, and a quarter of an hour of media seldom fills more than the one page asked anyway."""
FULL_PASS_SECONDS = 6 * 3600.0
"""Between full listings, which find what was deleted elsewhere: the 1,000 pages of 100,000 media are 3 a minute."""
FULL_RETRY_SECONDS = 600.0
"""Until a failed full listing is tried again; incremental ones go on meanwhile."""
FETCH_LIMIT = 100
"""Single looks per round: 100 in 60 s are 2% of the account's quota of 80 requests/s."""
BACKLOG_SECONDS = 5.0
"""Between bursts of single looks while media in doubt are left over: 20 requests/s, half of the default `api_rate`."""
LOOKS_AT_ONCE = 8
"""Single looks at once where somebody waits for them: at 100 ms each 80/s, so that `api_rate` is the limit."""
DOUBT_SECONDS = 10.0
"""A medium is looked at again for a reader's complaint no more often than this."""


@dataclass
class _Listed:
    """A complete listing of one kind."""

    changed: list[Medium] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    is_understood: bool = True
    """Whether no record had to be skipped."""


_Outcome = _Listed | RemoteError | CredentialsRefused | None
"""A complete listing, the error that kept it from being so, or None if it was given up."""


@dataclass
class _Looks:
    """What single looks found."""

    changed: list[Medium] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    """Those that Twilio still has."""
    came_through: bool = True
    """Whether no outage ended them early."""


class Refresher:
    """Brings `truth` and `store` up to date. One round at a time; no thread before `start`."""

    def __init__(
        self,
        listing: Listing,
        truth: Truth,
        store: Store,
        settings: CatalogSettings,
        clock: Clock,
        *,
        on_change: Callable[[Collection[str]], None],
        on_confirmed: Callable[[str], None],
    ) -> None:
        """`on_change(gone)` follows every change; `on_confirmed(sid)` when a suspect turned out to be there still."""
        self._listing = listing
        self._truth = truth
        self._store = store
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        self._on_confirmed = on_confirmed
        self._troubles = Troubles()
        self._cut: set[str] = set()
        """Fields that some record had too long."""
        self._loop = Loop("refresh", self.step)
        self._round = threading.Lock()
        self._applying = threading.Lock()
        self._deleted: set[str] = set()
        self._full_asked = threading.Event()
        # True: a reader complained, so its object must be examined again if it is still there.
        self._suspects: dict[str, bool] = {}
        self._doubted_at: dict[str, float] = {}
        self._suspects_lock = threading.Lock()
        self._next_listing = self._next_full = self._next_single = clock.monotonic()
        self._turns: dict[str, int] = {}
        self._coming: dict[Kind, _Listed] = {}
        self.last_success: float | None = None
        """When a listing last came whole, seconds since 1970 UTC."""

    def loaded(self, listed_at: float) -> None:
        """The truth comes from the store, whose last full pass ended at `listed_at` by the wall clock."""
        age = self._clock.wall() - listed_at
        # A clock that jumped says nothing of the age.
        left = FULL_PASS_SECONDS - age if 0 <= age < FULL_PASS_SECONDS else 0.0
        self._next_full = self._clock.monotonic() + left
        self.last_success = listed_at

    @property
    def listed(self) -> int:
        """Media that the lists under way have shown so far."""
        return sum(len(each.seen) for each in list(self._coming.values()))

    def first_listing(self) -> None:
        """List all, or raise; nothing is applied unless all came. Known media that are not listed are looked at singly.

        Where such a look fails, they stay, and that is logged.

        Raises:
            RemoteError, CredentialsRefused: why a list did not come.
        """
        with self._round:
            self._list_or_raise(full=True)
            left = len(self._suspects) + 1
            while 0 < len(self._suspects) < left:
                left = len(self._suspects)
                self._look_singly(skip=(), suspects_only=True, at_once=LOOKS_AT_ONCE)

    def list_again(self) -> None:
        """List what is new, or all where that is due, and look singly at what may have changed; or raise.

        Raises:
            RemoteError, CredentialsRefused: why a list did not come; all stays as it was known then.
        """
        if self._clock.monotonic() >= self._next_full:
            self.first_listing()
            return
        with self._round:
            self._look_singly(self._list_or_raise(full=False))

    def _list_or_raise(self, *, full: bool) -> set[str]:
        """Apply the lists if all came; gives the SIDs whose status is fresh now. Must be called with `_round` held."""
        outcomes = self._gather(full=full, give_up=threading.Event())
        for outcome in outcomes.values():
            if isinstance(outcome, Exception):
                raise outcome
        fresh = self._apply_listings(outcomes, full=full)
        self._schedule(complete=True, full=full)
        return fresh

    def round(self, *, full: bool) -> None:
        """One look at Twilio: the lists (all, or what is new), then single looks. Failures are recorded, not raised."""
        with self._round:
            outcomes = self._gather(full=full)
            fresh = self._apply_listings(outcomes, full=full)
            for kind, outcome in outcomes.items():
                self._note(kind, outcome)
            self._schedule(complete=all(isinstance(outcome, _Listed) for outcome in outcomes.values()), full=full)
            self._look_singly(fresh)

    def step(self) -> float:
        """What is due now; seconds until the next thing is."""
        now = self._clock.monotonic()
        if self._full_asked.is_set():
            self._full_asked.clear()
            self.round(full=True)
        elif now >= self._next_listing:
            self.round(full=now >= self._next_full)
        elif self._suspects and now >= self._next_single:
            with self._round:
                self._look_singly(skip=(), suspects_only=True)
        due = min(self._next_listing, self._next_single) if self._suspects else self._next_listing
        return max(0.0, due - self._clock.monotonic())

    def suspect(self, sid: str) -> None:
        """A reader was told that `sid` is not there: ask for this one soon."""
        with self._suspects_lock:
            now = self._clock.monotonic()
            if self._truth.get(sid) is None or now - self._doubted_at.get(sid, -DOUBT_SECONDS) < DOUBT_SECONDS:
                return
            self._doubted_at[sid] = now
            self._suspects[sid] = True
        self._loop.wake()

    def forget(self, sid: str) -> None:
        """`sid` was deleted just now: it goes at once, and no listing that began before brings it back."""
        with self._applying:
            self._deleted.add(sid)
        self._apply([], {sid}, None)

    def drop(self, sid: str) -> None:
        """Twilio was asked for `sid` just now, and has none: it goes, and comes back if a listing has it, completed."""
        self._apply([], {sid}, None)

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
        return len(self._suspects)

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
        listed = self._coming[kind] = _Listed()
        try:
            for page in self._listing.pages(kind, wanted):
                if self._loop.is_stopping or (give_up is not None and give_up.is_set()):
                    return None
                self._take_page(kind, page, listed)
        except (RemoteError, CredentialsRefused) as error:
            if give_up is not None:
                give_up.set()
            return error
        return listed

    def _newest(self, kind: Kind, since: int | None) -> int | None:
        """From when on media are new, `OVERLAP` included; a date in the future must not hide what comes before it."""
        moments = [medium.created_at for medium in self._truth.of_kind(kind) if medium.created_at is not None]
        if not moments:
            return since
        newest = min(max(moments), int(self._clock.wall())) - OVERLAP
        return max(newest, since if since is not None else 0, 0)

    def _take_page(self, kind: Kind, page: list[object], listed: _Listed) -> None:
        """Keeps only what is new or changed: of most listings, nothing."""
        for record in page:
            medium = self._parse(kind, record)
            if medium is None:
                listed.is_understood = False
                continue
            listed.seen.add(medium.sid)
            if medium == self._truth.get(medium.sid):
                continue
            self._tell_cut(medium, record)
            if self._would_hide(medium):
                # Lists are eventually consistent: the single look decides.
                self._doubt(medium.sid)
            else:
                listed.changed.append(medium)

    def _tell_cut(self, medium: Medium, record: object) -> None:
        """One line for each field that is too long in some record."""
        for name in set(oversized(record)) - self._cut:
            self._cut.add(name)
            log.warning("%s: its %s is longer than Twilio allows, and is cut or left out", medium.sid, name)

    def _would_hide(self, medium: Medium) -> bool:
        """Whether a file would vanish if that were taken over, though it does not say that it was deleted."""
        is_shown = medium.is_completed and self._settings.includes(medium)
        return medium.sid in self._truth.media() and not is_shown and not self._is_deleted(medium)

    def _doubt(self, sid: str) -> None:
        with self._suspects_lock:
            self._suspects.setdefault(sid, False)

    def _parse(self, kind: Kind, record: object) -> Medium | None:
        try:
            return parse_medium(kind, record)
        except BadResource as error:
            self._troubles.arose(("record", kind), error, "a record of the listing is skipped")
            return None

    def _apply_listings(self, outcomes: "dict[Kind, _Outcome]", *, full: bool) -> set[str]:
        """Apply those that are complete; gives the SIDs whose status is fresh now."""
        complete = {kind: outcome for kind, outcome in outcomes.items() if isinstance(outcome, _Listed)}
        fresh: set[str] = set()
        for kind, listed in complete.items():
            fresh |= listed.seen
            if full:
                self._doubt_missing(kind, listed.seen)
            # A list of what is new says nothing of a record that is older.
            if full and listed.is_understood:
                self._troubles.ended(("record", kind), f"no record of the list of {kind} is skipped any more")
        changed = [medium for listed in complete.values() for medium in listed.changed]
        listed_at = self._clock.wall() if full and len(complete) == len(outcomes) else None
        if complete:
            self.last_success = self._clock.wall()
        self._apply(changed, (), listed_at)
        return fresh

    def _doubt_missing(self, kind: Kind, seen: set[str]) -> None:
        for medium in self._truth.of_kind(kind):
            if medium.sid not in seen:
                self._doubt(medium.sid)

    def _apply(self, changed: list[Medium], gone: Collection[str], listed_at: float | None) -> None:
        """Deleted resources that a listing or a look names are gone, too."""
        with self._applying:
            kept = [medium for medium in changed if not self._is_deleted(medium)]
            dropped = {medium.sid for medium in changed if self._is_deleted(medium)}.union(gone)
            if kept or dropped or listed_at is not None:
                is_first = self._truth.count == 0
                self._truth.apply(kept, dropped)
                if is_first and listed_at is not None:
                    self._store.replace_all(kept, listed_at)
                else:
                    self._store.save(kept, dropped, listed_at, self._truth.count)
                self._on_change(dropped)

    def _is_deleted(self, medium: Medium) -> bool:
        return medium.status == "deleted" or medium.sid in self._deleted

    def _schedule(self, *, complete: bool, full: bool) -> None:
        now = self._clock.monotonic()
        self._next_listing = now + self._settings.refresh
        if full:
            self._next_full = now + (FULL_PASS_SECONDS if complete else FULL_RETRY_SECONDS)

    def _look_singly(self, skip: Collection[str], *, suspects_only: bool = False, at_once: int = 1) -> None:
        """Ask for suspects and, but for `skip`, for unsettled media, at most `FETCH_LIMIT` in all."""
        with self._suspects_lock:
            suspects = dict(self._suspects)
        waiting = [medium for sid in suspects if (medium := self._truth.get(sid)) is not None]
        if not suspects_only:
            others = {*skip, *suspects}
            waiting += [medium for medium in self._truth.unsettled() if medium.sid not in others]
            self._turns = {medium.sid: self._turns.get(medium.sid, 0) for medium in waiting}
        looks = self._fetch_all(self._in_turn(waiting)[:FETCH_LIMIT], at_once)
        self._apply(looks.changed, looks.gone, None)
        pause = BACKLOG_SECONDS if looks.came_through else self._settings.refresh
        self._next_single = self._clock.monotonic() + pause
        self._clear(suspects, looks.confirmed)

    def _in_turn(self, waiting: list[Medium]) -> list[Medium]:
        """Those first that were asked for least: one for which no answer comes holds up no other."""
        return sorted(waiting, key=lambda medium: self._turns.get(medium.sid, 0))

    def _clear(self, suspects: dict[str, bool], confirmed: set[str]) -> None:
        """Those that are there or gone are in doubt no more."""
        with self._suspects_lock:
            for sid in suspects:
                if sid in confirmed or self._truth.get(sid) is None:
                    self._suspects.pop(sid, None)
        for sid, is_readers in suspects.items():
            if is_readers and sid in confirmed:
                self._on_confirmed(sid)

    def _fetch_all(self, asked: list[Medium], at_once: int) -> _Looks:
        """Ask for each; an outage ends it early."""
        looks = _Looks()
        side_by_side("look", lambda medium: self._look(medium, looks), asked, at_once)
        # Also when there was none to ask for: what could not be looked at was settled by a list, or is gone.
        if looks.came_through:
            self._troubles.ended("single", "media in doubt could be looked at again")
        return looks

    def _look(self, medium: Medium, looks: _Looks) -> None:
        """Ask for one, unless it is known by now that none can be asked for."""
        if self._loop.is_stopping or not looks.came_through:
            return
        self._turns[medium.sid] = self._turns.get(medium.sid, 0) + 1
        try:
            record = self._listing.fetch(medium.kind, medium.sid)
        except NotFound:
            looks.gone.add(medium.sid)
        except (RemoteError, CredentialsRefused) as error:
            looks.came_through = False
            self._troubles.arose("single", error, "media in doubt could not be looked at; they stay as they are")
        else:
            self._take_record(medium, record, looks)

    def _take_record(self, medium: Medium, record: object, looks: _Looks) -> None:
        now_it_is = self._parse(medium.kind, record)
        if now_it_is is None or now_it_is.sid != medium.sid:
            return
        looks.confirmed.add(medium.sid)
        if now_it_is != medium:
            looks.changed.append(now_it_is)

    def _note(self, kind: Kind, outcome: "_Outcome") -> None:
        if isinstance(outcome, _Listed):
            self._troubles.ended(kind, f"the list of {kind} comes again")
        elif outcome is not None:
            self._troubles.arose(kind, outcome, f"the list of {kind} does not come; the last known one is kept")
