"""Probing: each medium once, on demand at once, otherwise in the background in listing order.

Before that order the background takes a sample of the whole list, until Twilio's sizes are proven (`trust`).
Readers come first: while one waits, nothing is probed but what it asked for and what it will likely ask for next, its
neighbours in the list, by more workers than otherwise.

One medium's trouble delays only that medium. Trouble of the network or the account pauses all background probing,
longer each time, so that an outage costs a few requests and not one per medium. An answer that cannot be followed, such
as one that names a media host that is not allowed, pauses one kind of media: each has its own bucket.
"""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from twfs.catalog.absences import Absences
from twfs.catalog.known import ProbeBook
from twfs.catalog.loop import Loop
from twfs.catalog.ports import Inspector, Interpreter
from twfs.catalog.trouble import Troubles
from twfs.catalog.trust import WITNESSES, SizeTrust
from twfs.clock import Clock, Deadline
from twfs.errors import (
    CredentialsRefused,
    DeadlineExceeded,
    MediaAbsent,
    MediaDamaged,
    NoSuchName,
    NotFound,
    RemoteError,
    TwfsError,
    Unreachable,
)
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

BACKGROUND_WORKERS = 4
"""A probe is two round trips, about 150 ms: four at once keep to some 25 API requests/s of the default `api_rate` 40,
and leave the rest to readers."""
WORKERS = 8
"""For what readers will ask for next: at the same 150 ms some 50 requests/s, so that `api_rate` is the limit; and half
of the default `connections`, so that the other half is left to those who read."""
AHEAD = 64
"""Media that are probed ahead of a reader: more than the workers do while one reader's request is under way, and few
enough that after the last `stat` the background is itself again in two seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds that background probing pauses after trouble of network or account; doubled as long as it lasts."""
FIRST_DELAY, LONGEST_DELAY = 30.0, 3600.0
"""Seconds until a medium whose probe failed is probed again in the background; doubled each time."""
GRACE = 0.1
"""Seconds that the background still waits when no reader does any more: who has just learnt a size opens and reads."""
YOUNG_SECONDS = 3600.0
"""After its end a medium without media may still get some: Twilio's media follow the resource by seconds, with room for
a backlog. Until then a 404 is believed for a moment only; later it is a track that was muted, and asking again is left
to the background, so that `stat` needs no network and survives an outage."""
IDLE_SECONDS = 3600.0
"""Nothing to do: `update` and `doubt` wake the workers."""
_SIZE_LIMIT = 2**63


@dataclass(slots=True)
class _Pause:
    """Of background probing, on the monotonic clock; begun and over."""

    seconds: float = 0.0
    begin: float = 0.0
    end: float = 0.0


class Prober:
    """Gives a `MediaInfo` for each medium. Thread-safe; no thread before `start`."""

    def __init__(
        self,
        inspector: Inspector,
        interpreter: Interpreter,
        book: ProbeBook,
        trust: SizeTrust,
        clock: Clock,
        *,
        absences: Absences,
        media: Callable[[], Mapping[str, Medium]],
        timeout: float,
        on_doubtful: Callable[[str], None],
    ) -> None:
        """`media` tells which there are at any moment, as a snapshot; `timeout` (s) bounds a background probe.

        `on_doubtful(sid)` hears that a resource itself may be gone.
        """
        self._inspector = inspector
        self._interpreter = interpreter
        self._book = book
        self._trust = trust
        self._absences = absences
        self._clock = clock
        self._timeout = timeout
        self._on_doubtful = on_doubtful
        self._troubles = Troubles()
        self._loop = Loop("probe", self.step, WORKERS)
        self._lock = threading.Lock()
        self._media = media
        self._flights: dict[str, Future[MediaInfo]] = {}
        self._queue: deque[str] = deque()
        self._ahead: deque[str] = deque()
        self._order: list[str] = []
        self._places: dict[str, int] | None = None
        self._last_place = -1
        self._readers = 0
        self._left_at = -inf
        """When a reader was last waited for no more."""
        self._background = 0
        self._doubted: dict[str, float] = {}
        """When each is to be looked at again."""
        self._later: list[tuple[float, str]] = []
        self._delayed: set[str] = set()
        """Those in `_later`, where each is once."""
        self._failures: dict[str, int] = {}
        now = clock.monotonic()
        self._pauses: dict[Kind | None, _Pause] = {kind: _Pause(0.0, now, now) for kind in (None, *Kind)}
        self.contradictions = 0
        """How often a medium was found to be another object than before."""

    def update(self) -> None:
        """The media changed; queue those that were never probed, in their order after a sample of all of them.

        Those that failed come last.
        """
        with self._lock:
            media = self._media()
            # With those that are being probed right now: nothing else brings back what a reader asks for in vain.
            waiting = [sid for sid in media if not self._book.is_believed(sid) and sid not in self._delayed]
            untried = [sid for sid in waiting if sid not in self._failures]
            self._queue = deque(self._sample(untried, media))
            self._queue.extend(untried)
            self._queue.extend(sid for sid in waiting if sid in self._failures)
            self._places = None
            for sid in self._failures.keys() - media.keys():
                del self._failures[sid]
        self._troubles.forget(self._is_gone)
        self._loop.wake()

    def size(self, sid: str, deadline: Deadline) -> tuple[int, bool]:
        """The plain size (bytes) of `sid` for a stat, and whether it is proven rather than told on trust.

        Raises:
            As `info`, which is asked if the size is not known yet.
        """
        return self.known_size(sid) or (self.info(sid, deadline).plain_size, True)

    def known_size(self, sid: str) -> tuple[int, bool] | None:
        """The same from memory: no request, no I/O."""
        medium = self._media().get(sid)
        if medium is None:
            return None
        plain_size = self._book.plain_size(sid)
        if plain_size is not None:
            return plain_size, True
        claimed = self._trust.size_of(medium)
        return (claimed, False) if claimed is not None and self._book.is_unheard_of(sid) else None

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
            medium = self._media().get(sid)
            if medium is None:
                raise NoSuchName(f"there is no medium {sid}")
            known = self.known(medium)
            if known is not None:
                return known
            flight, leads = self._board(sid)
            with self._reading(sid):
                if leads:
                    return self._fly(sid, flight, deadline)
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
            medium = self._media().get(sid)
            if medium is None or self._is_young(medium) or not isinstance(error, MediaAbsent):
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
            info = self._look(sid, deadline)
        except MediaAbsent:
            self._note_absence(sid)
            raise
        self._absences.ended(sid)
        self._replace(sid, before, info)
        return info

    def doubt(self, sid: str) -> None:
        """Have `sid` probed once more if it is known; only another answer with facts replaces what is known."""
        medium = self._media().get(sid)
        with self._lock:
            if self._book.is_believed(sid):
                self._doubted[sid] = self._clock.monotonic()
        if medium is not None and self._is_muted(medium):
            # Twilio has the resource, and no media: it was not deleted but is a muted track.
            self._trust.found_absent(sid)
        self._loop.wake()

    def check(self, sid: str) -> None:
        """Probe a known medium once more, in the caller's thread; a failure leaves what is known, and is logged."""
        before = self._book.known(sid)
        try:
            info = self._look(sid, Deadline(self._clock, self._timeout))
        except NoSuchName:
            return
        except TwfsError as error:
            with self._lock:
                self._doubted[sid] = self._retry_at(sid)
            if not _is_shared(error):
                self._complain(sid, error, "could not be examined again, what is known of it is kept")
            return
        self._succeeded(sid)
        self._replace(sid, before, info)

    def keys_added(self) -> None:
        """Have every medium that no key opened, or that seemed damaged, interpreted anew; no request."""
        if self._book.doubt_unreadable():
            with self._lock:
                # Sizes that were told of locked media may turn out to be others.
                self.contradictions += 1
        self._loop.wake()

    def go_on(self) -> None:
        """End the pauses that trouble of network or account made: it may be over."""
        with self._lock:
            for pause in self._pauses.values():
                pause.seconds, pause.end = 0.0, self._clock.monotonic()
        self._loop.wake()

    def step(self) -> float:
        """One piece of background work; seconds until the next is worthwhile (0: at once)."""
        unproven = self._book.first_unproven()
        if unproven is not None:
            self._book.prove(unproven)
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            if now < self._pauses[None].end:
                return self._pauses[None].end - now
            doubted = self._next_doubted(now)
            ahead = self._next_ahead() if doubted is None else None
        if doubted is not None:
            self.check(doubted)
        elif ahead is not None:
            self._attempt(ahead)
        else:
            return self._background_step()
        return 0.0

    def start(self) -> None:
        """Begin background probing."""
        self._loop.start()

    def stop(self) -> None:
        """End background probing."""
        self._loop.stop()

    @property
    def last_error(self) -> str | None:
        """What keeps background probing from going on, or went wrong with some medium last."""
        return self._troubles.last_text()

    def _is_young(self, medium: Medium) -> bool:
        return self._clock.wall() - (medium.changed_at + (medium.duration or 0)) < YOUNG_SECONDS

    def _is_muted(self, medium: Medium) -> bool:
        return self._book.was_absent(medium.sid) and not self._is_young(medium)

    def _note_absence(self, sid: str) -> None:
        """Twilio said just now that `sid` has no media; it counts once media cannot still come."""
        medium = self._media().get(sid)
        if medium is not None and not self._is_young(medium):
            self._absences.found(sid)

    def _speaks_against_trust(self, sid: str) -> bool:
        medium = self._media().get(sid)
        return medium is not None and not self._is_young(medium) and not self._trust.has_ended(medium.kind)

    def _sample(self, sids: list[str], media: Mapping[str, Medium]) -> list[str]:
        """Of each kind some from all over the list: what holds for one day's media may not for another's."""
        sample = []
        for kind in filter(self._trust.lacks_witnesses, Kind):
            of_kind = [sid for sid in sids if media[sid].kind is kind]
            sample += of_kind[:: max(1, len(of_kind) // WITNESSES)][:WITNESSES] if len(of_kind) > WITNESSES else []
        return sample

    @contextmanager
    def _reading(self, sid: str) -> Iterator[None]:
        """While a reader waits for `sid`."""
        with self._lock:
            self._readers += 1
            self._look_ahead(sid)
        self._loop.wake()
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                self._left_at = self._clock.monotonic()
            self._loop.wake()

    def _look_ahead(self, sid: str) -> None:
        """Expect a reader that goes on in the list to ask for the next, in its direction. With the lock held.

        One that asks for any other medium is a player, say: it would only be held up by what it never asks for.
        """
        if self._places is None:
            self._order = list(self._media())
            self._places = {each: place for place, each in enumerate(self._order)}
        place = self._places.get(sid)
        if place is None:
            return
        if abs(place - self._last_place) > AHEAD:
            self._ahead = deque()
        elif place >= self._last_place:
            self._ahead = deque(self._order[place + 1 : place + 1 + AHEAD])
        else:
            self._ahead = deque(reversed(self._order[max(place - AHEAD, 0) : place]))
        self._last_place = place

    def _next_ahead(self) -> str | None:
        """A medium that a reader is expected to ask for and would have to wait for. With the lock held."""
        while self._ahead:
            sid = self._ahead.popleft()
            medium = self._media().get(sid)
            is_new = sid not in self._flights and sid not in self._failures and self._book.is_unheard_of(sid)
            if is_new and medium and self.known_size(sid) is None and not self._paused_until(medium.kind):
                return sid
        return None

    def _background_step(self) -> float:
        with self._lock:
            if self._readers or self._background >= BACKGROUND_WORKERS:
                # The last reader wakes all; and who is at work in the background goes on without being woken.
                return IDLE_SECONDS
            now = self._clock.monotonic()
            if now < self._left_at + GRACE:
                return self._left_at + GRACE - now
            sid = self._next(now)
            if sid is None:
                return self._until_next(now)
            self._background += 1
        try:
            self._attempt(sid)
        finally:
            with self._lock:
                self._background -= 1
        return 0.0

    def _next(self, now: float) -> str | None:
        """The medium whose turn it is. Must be called with the lock held."""
        while self._later and self._later[0][0] <= now:
            sid = heapq.heappop(self._later)[1]
            self._delayed.discard(sid)
            # Else those that fail again and again, each with a pause for all, would be all that is ever asked for.
            (self._queue.append if sid in self._failures else self._queue.appendleft)(sid)
        while self._queue:
            sid = self._queue.popleft()
            medium = self._media().get(sid)
            if medium is None or self._book.is_believed(sid) or sid in self._delayed:
                continue
            paused_until = self._paused_until(medium.kind)
            if not paused_until:
                return sid
            self._put_off(sid, paused_until)
        return None

    def _next_doubted(self, now: float) -> str | None:
        """A known medium that is to be looked at again now; one that failed, when nothing else waits.

        Must be called with the lock held.
        """
        due = [sid for sid, moment in self._doubted.items() if moment <= now]
        sid = next((sid for sid in due if sid not in self._failures or not self._queue), None)
        if sid is not None:
            del self._doubted[sid]
        return sid

    def _until_next(self, now: float) -> float:
        """Seconds until the first of what waits is due. Must be called with the lock held."""
        moments = [due for due, _ in self._later[:1]] + list(self._doubted.values())
        return min(moments) - now if moments else IDLE_SECONDS

    def _paused_until(self, kind: Kind) -> float:
        """The end of the pause of this kind of media, 0 if there is none. Must be called with the lock held."""
        end = self._pauses[kind].end
        return end if self._clock.monotonic() < end else 0.0

    def _attempt(self, sid: str) -> None:
        """Probe `sid`; what brings no facts is tried again later: media may follow its resource by some seconds."""
        flight, leads = self._board(sid)
        if not leads:
            self._delay(sid)
            return
        try:
            if self._fly(sid, flight, Deadline(self._clock, self._timeout)).state is MediaState.ABSENT:
                self._delay(sid)
        except NoSuchName:
            return
        except TwfsError as error:
            self._delay(sid)
            if not _is_shared(error):
                self._complain(sid, error, "could not be examined, it is tried again later")

    def _board(self, sid: str) -> tuple[Future[MediaInfo], bool]:
        """The probe of `sid` that is under way, or a new one which the caller must fly."""
        with self._lock:
            flight = self._flights.get(sid)
            if flight is not None:
                return flight, False
            flight = self._flights[sid] = Future()
            return flight, True

    def _fly(self, sid: str, flight: "Future[MediaInfo]", deadline: Deadline) -> MediaInfo:
        """Probe and tell all who wait; what was learnt is recorded before the flight ends."""
        try:
            info = self._probe(sid, deadline)
        except BaseException as error:
            self._land(sid)
            flight.set_exception(error)
            raise
        self._land(sid)
        flight.set_result(info)
        return info

    def _land(self, sid: str) -> None:
        with self._lock:
            del self._flights[sid]

    def _probe(self, sid: str, deadline: Deadline) -> MediaInfo:
        known = self._book.known(sid)
        if known is not None:
            return known
        try:
            info = self._look(sid, deadline)
        except MediaAbsent:
            self._note_absence(sid)
            if self._book.record_absent(sid) or self._speaks_against_trust(sid):
                self._on_doubtful(sid)
            self._troubles.ended(sid, f"{sid} has no media now")
            return MediaInfo(MediaState.ABSENT, 0)
        self._book.record(sid, info)
        self._succeeded(sid)
        return info

    def _look(self, sid: str, deadline: Deadline) -> MediaInfo:
        """Ask and interpret; notices how network and account are.

        Raises:
            MediaAbsent, MediaDamaged, RemoteError, CredentialsRefused, NoSuchName: as in `Inspector`.
        """
        medium = self._media().get(sid)
        if medium is None:
            raise NoSuchName(f"there is no medium {sid}")
        began = self._clock.monotonic()
        try:
            facts = self._inspector.inspect(medium, deadline)
        except (RemoteError, CredentialsRefused) as error:
            if _is_outage(error):
                self._pause(None, began, error)
            else:
                self._resume(None)
                if _is_shared(error):
                    self._pause(medium.kind, began, error)
            raise
        self._resume(None)
        self._resume(medium.kind)
        if not 0 <= facts.stored_size < _SIZE_LIMIT:
            raise MediaDamaged(f"{sid}: S3 claims a size of {facts.stored_size} bytes")
        return self._interpreter.interpret(facts)

    def _succeeded(self, sid: str) -> None:
        with self._lock:
            self._failures.pop(sid, None)
        self._troubles.ended(sid, f"{sid} could be examined now")

    def _complain(self, sid: str, error: TwfsError, meaning: str) -> None:
        """Tell of one medium's own trouble; not of one that went meanwhile, for nothing would end it."""
        self._troubles.arose(sid, error, f"{sid} {meaning}")
        self._troubles.forget(self._is_gone)

    def _is_gone(self, subject: Hashable) -> bool:
        """Whether it is a medium's SID, and of one that is not shown any more."""
        return isinstance(subject, str) and subject not in self._media()

    def _replace(self, sid: str, before: MediaInfo | None, info: MediaInfo) -> None:
        if info != before:
            self._book.record(sid, info)
            with self._lock:
                self.contradictions += 1

    def _pause(self, kind: Kind | None, began: float, error: Exception) -> None:
        """Pause longer than last time, once per wave of failures: those under way when the pause began are no news."""
        with self._lock:
            pause = self._pauses[kind]
            if began >= pause.begin:
                pause.seconds = min(max(FIRST_PAUSE, 2 * pause.seconds), LONGEST_PAUSE)
                pause.begin = self._clock.monotonic()
                pause.end = pause.begin + pause.seconds
        self._troubles.arose(("probing", kind), error, f"examining {kind or 'media'} in the background is paused")

    def _resume(self, kind: Kind | None) -> None:
        with self._lock:
            pause = self._pauses[kind]
            pause.seconds, pause.end = 0.0, self._clock.monotonic()
        self._troubles.ended(("probing", kind), f"examining {kind or 'media'} in the background goes on")

    def _delay(self, sid: str) -> None:
        with self._lock:
            self._put_off(sid, self._retry_at(sid))

    def _put_off(self, sid: str, due: float) -> None:
        """Have `sid` wait until then, or as long as it waits already. Must be called with the lock held."""
        if sid not in self._delayed:
            self._delayed.add(sid)
            heapq.heappush(self._later, (due, sid))

    def _retry_at(self, sid: str) -> float:
        """When to probe `sid` again, which failed just now. Must be called with the lock held."""
        count = self._failures.get(sid, 0)
        self._failures[sid] = count + 1
        return self._clock.monotonic() + min(FIRST_DELAY * 2.0 ** min(count, 20), LONGEST_DELAY)


def _is_outage(error: Exception) -> bool:
    """Whether it is about network or account, and would meet every other medium too."""
    return isinstance(error, Unreachable | DeadlineExceeded | CredentialsRefused)


def _is_shared(error: Exception) -> bool:
    """Whether it would, or may, meet other media of its kind too: what is not about one medium alone.

    A `RemoteError` that is nothing more particular is an answer that cannot be followed: one that leads to a host that
    is not allowed, or refuses the request as such.
    """
    return isinstance(error, RemoteError | CredentialsRefused) and not isinstance(error, NotFound)
