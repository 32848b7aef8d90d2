"""Probing in the background: each medium once, in listing order, after a sample of the whole list.

The sample is taken until Twilio's sizes are proven (`trust`). Readers come first: while one waits, nothing is probed
but what it asked for and what it will likely ask for next (`ahead`), by more workers. What comes next: `probe_order`.

Trouble of the network or the account pauses all background probing, longer each time, so that an outage costs a few
requests and not one per medium. An answer that cannot be followed, such as one that names a media host that is not
allowed, pauses one kind of media: each has its own bucket.
"""

from collections.abc import Collection, Iterator

from twfs.catalog import queries
from twfs.catalog.known import ProbeBook
from twfs.catalog.looking import Looking
from twfs.catalog.loop import Loop
from twfs.catalog.probe_order import sample_points
from twfs.catalog.probes import Prober
from twfs.catalog.rows import Entry
from twfs.catalog.store import Store
from twfs.catalog.trust import WITNESSES, SizeTrust
from twfs.clock import Clock
from twfs.errors import Unreachable
from twfs.resources import Kind

BACKGROUND_WORKERS = 4
"""A probe is two round trips, about 150 ms: four at once keep to some 25 API requests/s of the default `api_rate` 40,
and leave the rest to readers."""
WORKERS = 8
"""For what readers will ask for next: at the same 150 ms some 50 requests/s, so that `api_rate` is the limit; and half
of the default `connections`, so that the other half is left to those who read."""
GRACE = 0.1
"""Seconds that the background still waits when no reader does any more: who has just learnt a size opens and reads."""
IDLE_SECONDS = 3600.0
"""Nothing to do: `changed` and doubts wake the workers."""


class BackgroundProbing:
    """Has a `Prober` probe what nobody asked for yet. No thread before `start`."""

    def __init__(  # noqa: PLR0917 - what it is made of
        self, prober: Prober, looking: Looking, store: Store, book: ProbeBook, trust: SizeTrust, clock: Clock
    ) -> None:
        """Nothing is probed before `changed` was called."""
        self._prober = prober
        self._looking = looking
        self._store = store
        self._book = book
        self._trust = trust
        self._clock = clock
        self._at_work = 0
        self._loop = Loop("probe", self.step, WORKERS)
        prober.wake = self._loop.wake

    def changed(self, gone: Collection[str] = ()) -> None:
        """The media changed, some are `gone`; look for what was never probed from the beginning of the list."""
        self._prober.forget(gone)
        sample = list(self._sample())
        with self._prober.lock:
            self._prober.order.restart(sample)
        self._loop.wake()

    def keys_added(self) -> None:
        """Have every medium that no key opened, or that seemed damaged, interpreted anew; no request."""
        if self._book.doubt_unreadable():
            with self._prober.lock:
                # Sizes that were told of locked media may turn out to be others.
                self._prober.contradictions += 1
        self._loop.wake()

    def go_on(self) -> None:
        """End the pauses that trouble of network or account made: it may be over."""
        self._looking.go_on()
        self._loop.wake()

    def start(self) -> None:
        """Begin background probing."""
        self._loop.start()

    def stop(self) -> None:
        """End background probing."""
        self._loop.stop()

    def step(self) -> float:
        """One piece of background work; seconds until the next is worthwhile (0: at once)."""
        try:
            return self._step() if self._store.is_whole else IDLE_SECONDS
        except Unreachable:
            if self._store.is_whole:
                raise
            # What is known was lost in the middle of this: all is listed anew first.
            return IDLE_SECONDS

    def _step(self) -> float:
        unproven = self._book.next_unproven()
        if unproven is not None:
            self._book.prove(unproven)
            return 0.0
        pause = self._looking.paused()
        if pause:
            return pause
        with self._prober.lock:
            now = self._clock.monotonic()
            doubted = self._prober.order.next_doubted(now, self._open_kinds(), self._is_open)
            ahead = self._prober.ahead.next(self._would_wait_for) if doubted is None else None
        if doubted is not None:
            self._prober.check(doubted)
        elif ahead is not None:
            self._prober.attempt(ahead)
        else:
            return self._next_in_order()
        return 0.0

    def _sample(self) -> Iterator[str]:
        """Of each kind that lacks witnesses some from all over the list."""
        if not self._store.is_whole:
            return
        sums = self._store.ask(queries.sums)
        for kind in filter(self._trust.lacks_witnesses, Kind):
            count = sum(each.media for each in sums if each.kind is kind and each.state is None)
            first, last = self._store.ask(queries.pending_span, kind)
            for number in sample_points(first, last, count, WITNESSES):
                yield from (sid for _, sid in self._store.ask(queries.pending, kind, number - 1, 1))

    def _next_in_order(self) -> float:
        prober = self._prober
        with prober.lock:
            if prober.readers or self._at_work >= BACKGROUND_WORKERS:
                # The last reader wakes all; and who is at work in the background goes on without being woken.
                return IDLE_SECONDS
            now = self._clock.monotonic()
            if now < prober.left_at + GRACE:
                return prober.left_at + GRACE - now
            sid = prober.order.next(now, self._open_kinds(), self._is_open)
            if sid is None:
                return self._until_next(now)
            self._at_work += 1
        try:
            prober.attempt(sid)
        finally:
            with prober.lock:
                self._at_work -= 1
        return 0.0

    def _until_next(self, now: float) -> float:
        pauses = [pause for kind in Kind if (pause := self._looking.paused(kind))]
        return min([self._prober.order.until_next(now, IDLE_SECONDS), *pauses])

    def _open_kinds(self) -> list[Kind]:
        """Kinds that are not paused."""
        return [kind for kind in Kind if not self._looking.paused(kind)]

    def _is_open(self, sid: str) -> bool:
        """Whether it is to be probed at all."""
        return self._store.shown(sid) is not None and not self._book.is_believed(sid)

    def _would_wait_for(self, entry: Entry) -> bool:
        """Whether a reader would have to wait for it. With the prober's lock held."""
        sid = entry.medium.sid
        is_new = sid not in self._prober.flights and sid not in self._prober.order.failures
        is_unknown = self._book.is_unheard_of(entry) and self._prober.size_of(entry) is None
        return is_new and is_unknown and not self._looking.paused(entry.medium.kind)
