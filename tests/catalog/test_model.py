"""Any order of events at Twilio and of refreshes: the catalogue shows what a reference model says it must."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.catalog.fakes import FakeClock, FakeInterpreter, FakeTwilio
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.store import Store
from twfs.errors import CredentialsRefused, Unreachable
from twfs.resources import Kind

KINDS = st.sampled_from(list(Kind))
TROUBLES = st.sampled_from([Unreachable("down"), CredentialsRefused("refused")])


class CatalogMachine(RuleBasedStateMachine):
    """`expected` is what must be shown; media created and changed become visible by the rules of refreshing."""

    def __init__(self) -> None:
        super().__init__()
        self.twilio = FakeTwilio(page_size=2)
        self.clock = FakeClock()
        self.count = 0
        self.known: set[str] = set()
        self.expected: set[str] = set()
        self.store = Store(None)
        self.mount()
        self.catalog.first_listing()

    def mount(self) -> None:
        self.catalog = Catalog(self.twilio, self.twilio, FakeInterpreter(), self.store, CatalogSettings(), self.clock)

    def teardown(self) -> None:
        self.catalog.stop()

    @rule(kind=KINDS, status=st.sampled_from(["processing", "completed", "failed"]), later=st.integers(0, 2000))
    def create(self, kind: Kind, status: str, later: int) -> None:
        self.count += 1
        self.clock.advance(later)
        self.twilio.add(kind, self.count, status, created=self.clock.wall())

    @precondition(lambda self: any(r["status"] == "processing" for r in self.twilio.records.values()))
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        waiting = [sid for sid, record in self.twilio.records.items() if record["status"] == "processing"]
        self.twilio.complete(data.draw(st.sampled_from(waiting)))

    @precondition(lambda self: self.twilio.records)
    @rule(data=st.data(), forget=st.booleans())
    def delete(self, data: st.DataObject, forget: bool) -> None:
        sid = data.draw(st.sampled_from(list(self.twilio.records)))
        if forget:
            self.twilio.forget(sid)
        else:
            self.twilio.delete(sid)

    @rule(kind=KINDS, page=st.integers(0, 3), trouble=TROUBLES)
    def fail_list(self, kind: Kind, page: int, trouble: Unreachable) -> None:
        self.twilio.fail_page[kind] = (page, trouble)

    @rule(trouble=TROUBLES)
    def fail_single(self, trouble: Unreachable) -> None:
        self.twilio.fail_fetch = trouble

    @rule()
    def recover(self) -> None:
        self.twilio.fail_page.clear()
        self.twilio.fail_fetch = None

    @rule(full=st.booleans())
    def refresh(self, full: bool) -> None:
        """Failures may leave the truth old, never wrong."""
        before = set(self.catalog.media())
        self.catalog._refresher.round(full=full)
        after = set(self.catalog.media())
        there = self.twilio.completed()
        assert after - before <= there, "nothing appears that Twilio does not have"
        assert before & there <= after, "nothing vanishes that Twilio has"
        if not self.twilio.fail_page and self.twilio.fail_fetch is None:
            # All SIDs in doubt fit in one round here, and whatever was created was listed once it could be.
            assert after >= there
            if full:
                assert after == there
            assert self.catalog.status()["refresh_error"] is None
        elif set(self.twilio.fail_page) == set(Kind) and all(page == 0 for page, _ in self.twilio.fail_page.values()):
            assert self.catalog.status()["refresh_error"] is not None
            if self.twilio.fail_fetch is not None:
                assert after == before

    @rule(data=st.data())
    def complain(self, data: st.DataObject) -> None:
        """A reader's 404 makes what is gone vanish, and nothing else."""
        shown = sorted(self.catalog.media())
        if not shown or self.twilio.fail_fetch is not None:
            return
        sid = data.draw(st.sampled_from(shown))
        self.clock.advance(10)
        self.catalog.suspect(sid)
        self.catalog._refresher.look_at_suspects()
        assert (sid in self.catalog.media()) == (sid in self.twilio.completed())

    @rule()
    def remount(self) -> None:
        """The same store, another process: the same truth, without a request."""
        before = dict(self.catalog.media())
        self.twilio.requests.clear()
        self.mount()
        assert self.catalog.load()
        assert self.catalog.media() == before
        assert not self.twilio.requests

    @invariant()
    def all_shown_are_completed_media(self) -> None:
        assert all(medium.is_completed for medium in self.catalog.media().values())


TestCatalogModel = CatalogMachine.TestCase
TestCatalogModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
