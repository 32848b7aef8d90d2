"""The catalogue as file system and commands see it."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from twfs.catalog import queries
from twfs.catalog.absences import Absences
from twfs.catalog.background import BackgroundProbing
from twfs.catalog.evidence import WholeReading
from twfs.catalog.index import Index
from twfs.catalog.known import ProbeBook
from twfs.catalog.looking import Looking
from twfs.catalog.options import CatalogSettings
from twfs.catalog.ports import Inspector, Interpreter, Listing
from twfs.catalog.probes import Prober
from twfs.catalog.refresh import Refresher
from twfs.catalog.rows import Entry
from twfs.catalog.store import Store
from twfs.catalog.trouble import Troubles
from twfs.catalog.trust import SizeTrust
from twfs.clock import Clock, Deadline
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium


class Catalog(Index):
    """What media there are and what is known of each.

    First `load`, and `first_listing` if that knew nothing; after the daemonising fork, if any, `start`.
    Neither of the first two leaves a thread or an open state file behind.
    """

    def __init__(  # noqa: PLR0917 - a composition root: the six things it is made of
        self,
        listing: Listing,
        inspector: Inspector,
        interpreter: Interpreter,
        store: Store,
        settings: CatalogSettings,
        clock: Clock,
    ) -> None:
        """No I/O, no thread."""
        self._store = store
        self._trust = SizeTrust(self._medium, store)
        self._book = ProbeBook(store, interpreter, self._trust, clock)
        self._absences = Absences(store.evidence, clock)
        self._troubles = Troubles()
        looking = Looking(inspector, interpreter, store, clock, self._troubles)
        self._prober = Prober(
            store,
            looking,
            self._book,
            self._trust,
            clock,
            self._troubles,
            absences=self._absences,
            timeout=settings.timeout,
            on_doubtful=self.suspect,
        )
        self._probing = BackgroundProbing(self._prober, looking, store, self._book, self._trust, clock)
        self._has_background = False
        self._refresher = Refresher(
            listing, store, settings, clock, on_change=self._changed, on_confirmed=self._prober.doubt
        )
        store.on_lost = self._refresher.list_anew

    def load(self) -> bool:
        """Take over what an earlier mount knew, without a request; whether that is a complete listing."""
        try:
            listed_at = self._store.load()
            self._book.load()
            if listed_at is not None:
                self._refresher.loaded(listed_at)
                self._probing.changed()
            return listed_at is not None
        finally:
            self._store.release()

    def first_listing(self) -> None:
        """List the account, in the caller's thread.

        Raises:
            RemoteError, CredentialsRefused: it did not come whole; nothing is known then.
        """
        try:
            self._refresher.first_listing()
        finally:
            self._store.release()

    @property
    def listed(self) -> int:
        """Media that a listing under way has shown so far; may be asked from another thread."""
        return self._refresher.listed

    @property
    def listed_before(self) -> int:
        """Media that an earlier attempt at the first listing has left, which is gone on from."""
        return self._refresher.listed_before

    def list_again(self) -> None:
        """See what is new at Twilio, in the caller's thread: for who keeps a catalogue long and does not `start` it.

        One request for each kind, and one for each medium that was not finished; every six hours as `first_listing`.

        Raises:
            RemoteError, CredentialsRefused: it did not come whole; what was known stays.
        """
        try:
            self._refresher.list_again()
        finally:
            self._store.release()

    def start(self) -> None:
        """Refresh and probe in the background from now on."""
        self._has_background = True
        self._refresher.start()
        self._probing.start()

    def stop(self) -> None:
        """End the background work and close the state file."""
        self._refresher.stop()
        self._probing.stop()
        self._store.close()

    @property
    def version(self) -> int:
        """Grows whenever what is shown changes, a medium turns out to be another object, or sizes told prove wrong."""
        return self._store.version + self.size_version

    @property
    def size_version(self) -> int:
        """Grows whenever a size that was told may be wrong by now."""
        return self._prober.contradictions + self._trust.revocations

    def info(self, sid: str, deadline: Deadline) -> MediaInfo:
        """What `sid` is to a reader; asks Twilio and S3 only if that is not known yet.

        Raises:
            NoSuchName: no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: it could not be found out this time.
        """
        info = self._prober.info(sid, deadline)
        # Whoever opens one that was locked may have brought the key: its facts are at hand.
        return (self._book.prove(sid) or info) if info.state is MediaState.LOCKED else info

    def size(self, sid: str, deadline: Deadline) -> tuple[int, bool]:
        """The plain size (bytes) of `sid`, and whether it is proven: else it is Twilio's word, which held so far.

        Raises:
            As `info`, which is asked if neither is at hand.
        """
        return self._prober.size(sid, deadline)

    def known_size(self, sid: str) -> tuple[int, bool] | None:
        """The same as far as it is known, from memory alone."""
        return self._prober.known_size(sid)

    def known_info(self, sid: str) -> MediaInfo | None:
        """What `info` gives as far as it is known, without a request."""
        entry = self._store.shown(sid)
        return None if entry is None else self._prober.known(entry.medium)

    def examine(self, sid: str, deadline: Deadline) -> MediaInfo:
        """The same as it is now, asked anew: for what cannot be undone.

        Raises:
            MediaAbsent: Twilio has no media for it yet, and may still get some.
            NoSuchName: no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: it could not be found out.
        """
        return self._prober.examine(sid, deadline)

    def look(self, sid: str, deadline: Deadline) -> MediaInfo:
        """The same, asked anew, and nothing in its place if there are no media now, whatever was known before.

        Raises:
            NotFound: there are none (`MediaAbsent`: as Twilio says).
            NoSuchName: no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: it could not be found out.
        """
        return self._prober.look(sid, deadline)

    def seconds_absent(self, sid: str) -> float | None:
        """How long ago the first look was that found no media of `sid`, if no later one found some.

        None: only looks count that were made when media could not still come, and there was none.
        """
        return self._absences.seconds(sid)

    def record_verified(self, sid: str, facts: ObjectFacts) -> None:
        """Remember, across mounts, that all bytes of this very object were read and proven.

        Of one without a strong ETag that cannot be said: nothing tells which object the bytes of each range are of.
        """
        if facts.has_strong_etag:
            self._store.evidence.save_whole_reading(sid, WholeReading(facts.fingerprint))

    def record_damage(self, sid: str, facts: ObjectFacts, reason: str) -> None:
        """Remember, across mounts, that reading this very object whole showed that it is damaged."""
        self._store.evidence.save_whole_reading(sid, WholeReading(facts.fingerprint, reason))

    def is_verified(self, sid: str, facts: ObjectFacts) -> bool:
        """Whether the last reading of a whole object was of this very one, and proved it."""
        return facts.has_strong_etag and self._store.evidence.whole_reading(sid) == WholeReading(facts.fingerprint)

    def damage(self, sid: str, facts: ObjectFacts) -> str:
        """What reading this very object whole showed to be wrong with it; empty if it did not."""
        reading = self._store.evidence.whole_reading(sid)
        return reading.damage if reading is not None and reading.fingerprint == facts.fingerprint else ""

    def forget(self, sid: str) -> None:
        """`sid` was deleted at Twilio just now: nothing of it is shown or kept any more."""
        self._refresher.forget(sid)

    def drop(self, sid: str) -> None:
        """Twilio says that there is no `sid`: it is not shown any more, unless a later listing has it."""
        self._refresher.drop(sid)

    def plain_bytes(self) -> int:
        """Sum of all plain sizes known, for statfs."""
        return sum(each.size for each in self._store.ask(queries.sums) if each.state is not None)

    def suspect(self, sid: str) -> None:
        """Somebody met 404 or another object: ask Twilio for this one soon, in the background."""
        self._refresher.suspect(sid)

    def has_changed(self, sid: str) -> None:
        """A reader met another object: `suspect`; without a background it is examined now, for who opens it next."""
        self.suspect(sid)
        if not self._has_background:
            self._prober.check(sid)

    def refresh_now(self) -> None:
        """Have the background make a full pass now; returns at once."""
        self._refresher.refresh_now()

    def keys_added(self) -> None:
        """There are more private keys: what none opened is looked at again, without a request."""
        self._probing.keys_added()

    def try_again(self) -> None:
        """What was refused may be granted now: list and examine in the background without delay."""
        self._probing.go_on()
        self.refresh_now()

    def status(self) -> dict[str, Any]:
        """What is known, for people and scripts; JSON-able. Times are seconds since 1970 UTC."""
        sums = self._store.ask(queries.sums) if self._store.is_whole else []
        by_kind: Counter[Kind] = Counter()
        for each in sums:
            by_kind[each.kind] += each.media
        states = self._book.states(sums)
        return {
            "media": {kind.value: by_kind[kind] for kind in Kind},
            "unsettled": self._store.known(queries.count_unsettled),
            "states": states,
            "plain_bytes": sum(each.size for each in sums if each.state is not None),
            "probes_pending": states["unknown"],
            "in_doubt": self._refresher.suspects,
            "last_refresh": self._refresher.last_success,
            "refresh_error": self._refresher.last_error,
            "probe_error": self._troubles.last_text(),
            "state_file": "lasting" if self._store.is_lasting else "in memory",
            "version": self.version,
        }

    def _medium(self, sid: str) -> Medium | None:
        entry = self._store.entry(sid)
        return None if entry is None else entry.medium

    def _changed(self, gone: Collection[str], contradicted: Collection[Entry]) -> None:
        for entry in contradicted:
            if entry.size is not None:
                self._trust.witness(entry.medium.sid, entry.size.plain_size, encrypted=entry.size.encrypted)
        self._probing.changed(gone)
