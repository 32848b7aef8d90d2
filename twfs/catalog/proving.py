"""Proofs that a deletion asks for, which may take longer than one call may last: they go on in the background."""

import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from twfs.catalog.catalog import Catalog
from twfs.catalog.ports import Prover
from twfs.errors import MediaDamaged, TwfsError, Unreachable
from twfs.log import log
from twfs.probe import MediaInfo, ObjectFacts
from twfs.resources import Medium
from twfs.threads import start_thread

AT_ONCE = 4
"""Media that are proven at the same time: who deletes one after the other waits for one, and the others are large."""
LARGE_AT_ONCE = 2
LARGE_SIZE = 256 * 2**20
"""Bytes from which on a medium may take longer than its caller waits. Not all threads may be busy with such ones, or
every small medium would have to wait for them."""


@dataclass(slots=True)
class _Flight:
    """One proof, under way or waiting for its turn."""

    medium: Medium
    facts: ObjectFacts
    info: MediaInfo
    outcome: "Future[None]" = field(default_factory=Future)
    waiting: int = 0
    """Callers that will hear how it ends."""

    @property
    def key(self) -> tuple[str, str]:
        """Names the object."""
        return self.medium.sid, self.facts.fingerprint

    @property
    def is_large(self) -> bool:
        """Whether it takes long."""
        return self.facts.stored_size >= LARGE_SIZE


class BackgroundProofs:
    """Has media proven, each object once at a time, small ones first. Safe for use by several threads.

    The catalogue remembers what came of it. No thread runs while there is nothing to prove.
    """

    def __init__(self, prover: Prover, catalog: Catalog) -> None:
        """Nothing is proven before it is asked for."""
        self._prover = prover
        self._catalog = catalog
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._queue: list[_Flight] = []
        self._threads = 0
        self._large = 0
        self._stopping = False
        self._lock = threading.Lock()

    def proven_within(self, seconds: float, medium: Medium, facts: ObjectFacts, info: MediaInfo) -> bool:
        """Whether all bytes of that object are proven by then; if not, its proof goes on, and a later call may find it.

        Raises:
            MediaDamaged, ObjectChanged, NoKey, RemoteError, CredentialsRefused: why they cannot be.
            NoMoreThreads: the machine refuses one.
        """
        with self._lock:
            flight = self._flights.get((medium.sid, facts.fingerprint)) or self._begin(_Flight(medium, facts, info))
            flight.waiting += 1
        wait([flight.outcome], seconds)
        with self._lock:
            flight.waiting -= 1
            if not flight.outcome.done():
                return False
        flight.outcome.result()
        return True

    def stop(self) -> None:
        """Begin no other proof; those under way end with their next read, for nothing is read any more."""
        with self._lock:
            self._stopping = True
            queued, self._queue = self._queue, []
        for flight in queued:
            self._end(flight, Unreachable("twfs is going down"))

    def _begin(self, flight: _Flight) -> _Flight:
        """Must be called with the lock held."""
        if self._stopping:
            raise Unreachable("twfs is going down")
        if self._threads < AT_ONCE:
            start_thread(self._work, "proof")
            self._threads += 1
        self._queue.append(flight)
        self._flights[flight.key] = flight
        return flight

    def _work(self) -> None:
        while (flight := self._next()) is not None:
            failure = self._failure_of(flight)
            with self._lock:
                self._large -= flight.is_large
            self._end(flight, failure)

    def _next(self) -> _Flight | None:
        """The smallest that waits; None if this thread has nothing to do any more."""
        with self._lock:
            able = [flight for flight in self._queue if not flight.is_large or self._large < LARGE_AT_ONCE]
            flight = min(able, key=lambda each: each.facts.stored_size, default=None)
            if flight is None:
                self._threads -= 1
                return None
            self._queue.remove(flight)
            self._large += flight.is_large
            return flight

    def _failure_of(self, flight: _Flight) -> BaseException | None:
        """Prove it; what kept it from being proven."""
        sid, facts = flight.medium.sid, flight.facts
        try:
            self._prover.prove(flight.medium, flight.info)
            self._catalog.record_verified(sid, facts)
        except MediaDamaged as error:
            self._catalog.record_damage(sid, facts, str(error))
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is: somebody waits for the proof
            return error
        return None

    def _end(self, flight: _Flight, failure: BaseException | None) -> None:
        with self._lock:
            del self._flights[flight.key]
            is_unheard = not flight.waiting
            if failure is None:
                flight.outcome.set_result(None)
            else:
                flight.outcome.set_exception(failure)
        if failure is not None and is_unheard and not self._stopping:
            log.warning("%s stays at Twilio, for it could not be proven: %s", flight.medium.sid, _reason(failure))


def _reason(failure: BaseException) -> str:
    # The text of an error that twfs did not raise may hold a URL with its query.
    return str(failure) if isinstance(failure, TwfsError) else f"unexpected {type(failure).__name__}"
