"""Any order of events around a deletion: what goes was proven as it is, or was absent long enough."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.catalog.fakes import START, FakeClock, FakeInterpreter, FakeTwilio, facts_of
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.probes import YOUNG_SECONDS
from twfs.catalog.proving import BackgroundProofs
from twfs.catalog.removal import ABSENCE_SECONDS, Remover
from twfs.catalog.store import Store
from twfs.clock import Deadline
from twfs.errors import MediaAbsent, MediaDamaged, TwfsError
from twfs.probe import MediaInfo, ObjectFacts
from twfs.resources import Kind, Medium

OBJECTS = ("one", "another", "flipped")
"""They take turns; reading the last whole shows that it is damaged."""


class Account(FakeTwilio):
    """One recording whose record claims no size; may answer 404 by mistake. Notes what looks have found."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.misses = False
        self.was_seen = False
        self.absent_since: float | None = None
        """When the first of the looks was that found none, since one found some."""

    def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
        facts = None if self.misses else self.objects.get(medium.sid)
        if facts is None:
            if self.absent_since is None:
                self.absent_since = self.clock.monotonic()
            raise MediaAbsent("Twilio has no media")
        self.was_seen, self.absent_since = True, None
        return facts


class Removals(RuleBasedStateMachine):
    """A mount with `allow_delete`, and the twfs commands beside it, of an account that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.twilio = Account(self.clock)
        self.sid = self.twilio.add(Kind.RECORDING, 1, created=START - 2 * YOUNG_SECONDS)
        self.twilio.records[self.sid]["size"] = None
        self.catalog = Catalog(self.twilio, self.twilio, FakeInterpreter(), Store(None), CatalogSettings(), self.clock)
        self.catalog.first_listing()
        self.medium = self.catalog.media()[self.sid]
        self.proofs = BackgroundProofs(self, self.catalog)
        self.remover = Remover(self.catalog, self, ["twilio:"], self.proofs)
        self.proven: set[str] = set()
        self.read_etag: str | None = None
        self.replace_with: str | None = None
        """What takes the object's place while it is read whole next."""
        self.is_deleted = False

    def teardown(self) -> None:
        self.proofs.stop()
        self.catalog.stop()

    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30)

    # What the remover is given

    def fetch(self, kind: Kind, sid: str, _deadline: Deadline) -> object:
        return self.twilio.fetch(kind, sid)

    def delete(self, _kind: Kind, sid: str, _deadline: Deadline) -> None:
        facts = self.twilio.objects.get(sid)
        if facts is None or self.twilio.misses:
            since = self.twilio.absent_since
            assert not self.twilio.was_seen, "it had media"
            assert self.read_etag in (None, "")
            assert since is not None
            assert self.clock.monotonic() - since >= ABSENCE_SECONDS
        else:
            assert facts.fingerprint in self.proven, "nobody has proven it"
            assert self.read_etag in (None, facts.etag), "nobody has read it"
        self.is_deleted = True

    def prove(self, _medium: Medium, info: MediaInfo) -> None:
        assert info.facts is not None
        if info.facts == facts_of("flipped"):
            raise MediaDamaged("its MD5 is not the ETag")
        self.proven.add(info.facts.fingerprint)
        if self.replace_with is not None:
            self.twilio.objects[self.sid] = facts_of(self.replace_with)
            self.replace_with = None

    # Events

    @rule(name=st.sampled_from(OBJECTS))
    def replace(self, name: str) -> None:
        self.twilio.objects[self.sid] = facts_of(name)

    @rule(name=st.sampled_from(OBJECTS))
    def replace_while_it_is_read(self, name: str) -> None:
        self.replace_with = name

    @rule()
    def lose(self) -> None:
        self.twilio.objects.pop(self.sid, None)

    @rule(misses=st.booleans())
    def miss(self, misses: bool) -> None:
        self.twilio.misses = misses

    @rule(seconds=st.sampled_from([1.0, ABSENCE_SECONDS / 2, ABSENCE_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: not self.is_deleted)
    @rule()
    def read(self) -> None:
        with suppress(TwfsError):
            self.read_etag = self.catalog.info(self.sid, self.deadline()).etag

    @precondition(lambda self: not self.is_deleted)
    @rule()
    def verify(self) -> None:
        info = self.catalog.known_info(self.sid)
        if info is not None and info.facts is not None and info.facts == self.twilio.objects.get(self.sid):
            if info.facts == facts_of("flipped"):
                self.catalog.record_damage(self.sid, info.facts, "its MD5 is not the ETag")
            else:
                self.proven.add(info.facts.fingerprint)
                self.catalog.record_verified(self.sid, info.facts)

    @precondition(lambda self: not self.is_deleted)
    @rule(attempts=st.integers(1, 3), pause=st.sampled_from([0.0, ABSENCE_SECONDS]))
    def remove(self, attempts: int, pause: float) -> None:
        for _ in range(attempts):
            self.clock.advance(pause)
            was_read = None if self.read_etag is None else self.read_etag.__eq__
            with suppress(TwfsError):
                self.remover.remove(self.medium, self.deadline(), "the model", was_read)
                assert self.is_deleted
                return
            assert not self.is_deleted


TestRemovals = Removals.TestCase
TestRemovals.settings = settings(deadline=None, max_examples=200, stateful_step_count=25)
