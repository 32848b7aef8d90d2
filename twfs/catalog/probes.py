"""Probing on demand: each medium once, at once, in the thread of who asks; `background` does so in listing order.

One medium's trouble delays only that medium.
"""

import threading
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from math import inf

from twfs.catalog import queries
from twfs.catalog.absences import Absences
from twfs.catalog.ahead import Ahead
from twfs.catalog.flights import Flights
from twfs.catalog.known import ProbeBook
from twfs.catalog.looking import Looking, is_shared
from twfs.catalog.probe_order import ProbeOrder
from twfs.catalog.rows import Entry
from twfs.catalog.store import Store
from twfs.catalog.trouble import Troubles
from twfs.catalog.trust import SizeTrust
from twfs.clock import Clock, Deadline
from twfs.errors import DeadlineExceeded, MediaAbsent, NoSuchName, NotFound, TwfsError
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Medium

YOUNG_SECONDS = 3600.0
"""After its end a medium without media may still get some: Twilio's media follow the resource by seconds, with room for
a backlog. Until then a 404 is believed for a moment only; later it is a track that was muted, and asking again is left
to the background, so that `stat` needs no network and survives an outage."""


class Prober:
    """Gives a `MediaInfo` for each medium. Thread-safe; has no thread."""

    def __init__(  # noqa: PLR0917 - what it is made of
        self,
        store: Store,
        looking: Looking,
        book: ProbeBook,
        trust: SizeTrust,
        clock: Clock,
        troubles: Troubles,
        *,
        absences: Absences,
        timeout: float,
        on_doubtful: Callable[[str], None],
    ) -> None:
        """`timeout` (s) bounds a probe that nobody waits for.

        `on_doubtful(sid)` hears that a resource itself may be gone.
        """
        self._store, self._looking, self._book, self._trust = store, looking, book, trust
        self._clock, self._troubles, self._absences = clock, troubles, absences
        self._timeout, self._on_doubtful = timeout, on_doubtful
        self.wake: Callable[[], None] = lambda: None
        """Called when there may be something to do in the background."""
        self.flights: Flights[MediaInfo] = Flights()
        """Probes under way."""
        self.lock = threading.Lock()
        """Guards what follows; nobody waits for the network with it held."""
        self.order = ProbeOrder(lambda *place: store.ask(queries.pending, *place))
        self.ahead = Ahead(store)
        self.readers = 0
        self.left_at = -inf
        """When a reader was last waited for no more."""
        self.contradictions = 0
        """How often a medium was found to be another object than before."""

    def size(self, sid: str, deadline: Deadline) -> tuple[int, bool]:
        """The plain size (bytes) of `sid` for a stat, and whether it is proven rather than told on trust.

        Raises:
            As `info`, which is asked if the size is not known yet.
        """
        return self.known_size(sid) or (self.info(sid, deadline).plain_size, True)

    def known_size(self, sid: str) -> tuple[int, bool] | None:
        """The same as far as known: no request."""
        entry = self._store.shown(sid)
        return None if entry is None else self.size_of(entry)

    def size_of(self, entry: Entry) -> tuple[int, bool] | None:
        """The same of a medium that was looked up."""
        plain_size = self._book.plain_size(entry)
        if plain_size is not None:
            return plain_size, True
        claimed = self._trust.size_of(entry.medium)
        return (claimed, False) if claimed is not None and self._book.is_unheard_of(entry) else None

    def known(self, medium: Medium) -> MediaInfo | None:
        """What is known of `medium`, without a request; of one that has had no media for long that it has none."""
        known = self._book.known(medium.sid)
        return MediaInfo(MediaState.ABSENT, 0) if known is None and self._is_muted(medium) else known

    def info(self, sid: str, deadline: Deadline) -> MediaInfo:
        """What is known of `sid`, else a probe at once, in the caller's thread; callers of one SID share it.

        Raises:
            NoSuchName: there is no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: the probe failed; the next call tries anew.
        """
        while True:
            entry = self._store.shown(sid)
            if entry is None:
                raise NoSuchName(f"there is no medium {sid}")
            known = self.known(entry.medium)
            if known is not None:
                return known
            flight, leads = self.flights.board(sid)
            with self._reading(entry):
                if leads:
                    return self.flights.fly(sid, flight, lambda: self._probe(sid, deadline))
                try:
                    return flight.result(deadline.remaining())
                except (TimeoutError, DeadlineExceeded):
                    # Either our own time is up, and remaining() says so, or only that of the thread that probed.
                    deadline.remaining()

    def examine(self, sid: str, deadline: Deadline) -> MediaInfo:
        """What `sid` is now, asked anew whatever is known of it.

        One that had media and has none now is what it was: whether the resource is gone, too, others find out.

        Raises:
            MediaAbsent: it has no media, and may still get some.
            NoSuchName: there is no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: it could not be found out.
        """
        before = self._book.known(sid)
        try:
            return self.look(sid, deadline)
        except NotFound as error:
            if before is not None and before.state is not MediaState.ABSENT:
                self._on_doubtful(sid)
                return before
            entry = self._store.shown(sid)
            if entry is None or self._is_young(entry.medium) or not isinstance(error, MediaAbsent):
                raise
            return MediaInfo(MediaState.ABSENT, 0)

    def look(self, sid: str, deadline: Deadline) -> MediaInfo:
        """What `sid` is now, asked anew: nothing stands in for media that are not there.

        Raises:
            NotFound: there are none now (`MediaAbsent`: as Twilio says).
            NoSuchName: there is no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: it could not be found out.
        """
        before = self._book.known(sid)
        try:
            info = self._looking.look(sid, deadline)
        except MediaAbsent:
            self._note_absence(sid)
            raise
        self._absences.ended(sid)
        self._replace(sid, before, info)
        return info

    def doubt(self, sid: str) -> None:
        """Have `sid` probed once more if it is known; only another answer with facts replaces what is known."""
        entry = self._store.shown(sid)
        is_believed = self._book.is_believed(sid)
        with self.lock:
            if is_believed:
                self.order.doubted[sid] = self._clock.monotonic()
        if entry is not None and self._is_muted(entry.medium):
            # Twilio has the resource, and no media: it was not deleted but is a muted track.
            self._trust.found_absent(sid)
        self.wake()

    def check(self, sid: str) -> None:
        """Probe a known medium once more, in the caller's thread; a failure leaves what is known, and is logged."""
        before = self._book.known(sid)
        try:
            info = self._looking.look(sid, Deadline(self._clock, self._timeout))
        except NoSuchName:
            return
        except TwfsError as error:
            with self.lock:
                self.order.doubted[sid] = self.order.retry_at(sid, self._clock.monotonic())
            if not is_shared(error):
                self._complain(sid, error, "could not be examined again, what is known of it is kept")
            return
        self._succeeded(sid)
        self._replace(sid, before, info)

    def attempt(self, sid: str) -> None:
        """Probe `sid`; what brings no facts is tried again later: media may follow its resource by some seconds."""
        flight, leads = self.flights.board(sid)
        if not leads:
            self._delay(sid)
            return
        try:
            deadline = Deadline(self._clock, self._timeout)
            if self.flights.fly(sid, flight, lambda: self._probe(sid, deadline)).state is MediaState.ABSENT:
                self._delay(sid)
        except NoSuchName:
            return
        except TwfsError as error:
            self._delay(sid)
            if not is_shared(error):
                self._complain(sid, error, "could not be examined, it is tried again later")

    def forget(self, gone: Collection[str]) -> None:
        """These media are gone."""
        self._book.drop(gone)
        with self.lock:
            self.order.forget(gone)
        self._troubles.forget(self._is_gone)

    def _is_young(self, medium: Medium) -> bool:
        return self._clock.wall() - (medium.changed_at + (medium.duration or 0)) < YOUNG_SECONDS

    def _is_muted(self, medium: Medium) -> bool:
        return self._book.was_absent(medium.sid) and not self._is_young(medium)

    def _note_absence(self, sid: str) -> bool:
        """Twilio said just now that `sid` has no media; whether that speaks against trust in sizes.

        It counts once media cannot still come.
        """
        entry = self._store.shown(sid)
        if entry is None or self._is_young(entry.medium):
            return False
        self._absences.found(sid)
        return not self._trust.has_ended(entry.medium.kind)

    @contextmanager
    def _reading(self, entry: Entry) -> Iterator[None]:
        """While a reader waits for a medium."""
        with self.lock:
            self.readers += 1
            self.ahead.asked(entry)
        self.wake()
        try:
            yield
        finally:
            with self.lock:
                self.readers -= 1
                self.left_at = self._clock.monotonic()
            self.wake()

    def _probe(self, sid: str, deadline: Deadline) -> MediaInfo:
        known = self._book.known(sid)
        if known is not None:
            return known
        try:
            info = self._looking.look(sid, deadline)
        except MediaAbsent:
            speaks_against_trust = self._note_absence(sid)
            if self._book.record_absent(sid) or speaks_against_trust:
                self._on_doubtful(sid)
            self._troubles.ended(sid, f"{sid} has no media now")
            return MediaInfo(MediaState.ABSENT, 0)
        self._book.record(sid, info)
        self._succeeded(sid)
        return info

    def _succeeded(self, sid: str) -> None:
        with self.lock:
            self.order.failures.pop(sid, None)
        self._troubles.ended(sid, f"{sid} could be examined now")

    def _delay(self, sid: str) -> None:
        with self.lock:
            self.order.delay(sid, self._clock.monotonic())

    def _complain(self, sid: str, error: TwfsError, meaning: str) -> None:
        """Tell of one medium's own trouble; not of one that went meanwhile, for nothing would end it."""
        self._troubles.arose(sid, error, f"{sid} {meaning}")
        self._troubles.forget(self._is_gone)

    def _is_gone(self, subject: Hashable) -> bool:
        """Whether it is a medium's SID, and of one that is not shown any more."""
        return isinstance(subject, str) and self._store.shown(subject) is None

    def _replace(self, sid: str, before: MediaInfo | None, info: MediaInfo) -> None:
        if info != before:
            self._book.record(sid, info)
            with self.lock:
                self.contradictions += 1
