import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.fakes import START, FakeClock, FakeInterpreter, FakeTwilio, facts_of, sid_of
from twfs.catalog.all_media import AllMedia
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.probes import YOUNG_SECONDS
from twfs.catalog.proving import LARGE_SIZE, BackgroundProofs
from twfs.catalog.removal import ABSENCE_SECONDS, Remover
from twfs.catalog.store import Store
from twfs.clock import Deadline
from twfs.errors import (
    CredentialsRefused,
    DeadlineExceeded,
    MediaDamaged,
    NoKey,
    NoSuchName,
    NotFound,
    NotVerified,
    ObjectChanged,
    ProofPending,
    RemoteError,
    TwfsError,
    Unreachable,
)
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, ListFilter, Medium, Page

BY = "uid 7, pid 8"


class FakeRecords:
    """Deletes in a fake account; `failure` is raised instead."""

    def __init__(self, twilio: FakeTwilio) -> None:
        self.twilio = twilio
        self.failure: TwfsError | None = None
        self.deleted: list[str] = []

    def fetch(self, kind: Kind, sid: str, deadline: Deadline) -> object:
        deadline.remaining()
        return self.twilio.fetch(kind, sid)

    def delete(self, kind: Kind, sid: str, deadline: Deadline) -> None:
        deadline.remaining()
        assert sid.startswith(kind.sid_prefix)
        if self.failure is not None:
            raise self.failure
        self.deleted.append(sid)
        if sid in self.twilio.records:
            self.twilio.delete(sid)


class SlowTwilio(FakeTwilio):
    """A page of its lists is on its way until `arrive` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.arrive = threading.Event(), threading.Event()
        self.arrive.set()

    def pages(self, kind: Kind, wanted: ListFilter, place: str | None = None) -> Iterator[Page]:
        for page in super().pages(kind, wanted, place):
            self.sent.set()
            assert self.arrive.wait(10)
            yield page


class FakeProver:
    """Reads media whole: each but `short` takes until `arrive` is set, and `failure` is what comes of it."""

    def __init__(self) -> None:
        self.arrive = threading.Event()
        self.arrive.set()
        self.failure: BaseException | None = None
        self.short = ""
        self.proven: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def prove(self, medium: Medium, info: MediaInfo) -> None:
        assert info.state is MediaState.READABLE
        assert medium.sid == self.short or self.arrive.wait(10)
        self.meanwhile()
        if self.failure is not None:
            raise self.failure
        self.proven.append(medium.sid)


class House:
    """A catalogue over a fake account, and what deletes from it; its media are old enough to be settled."""

    def __init__(self, path: Path | None = None, *, proves: bool = True, clock: FakeClock | None = None) -> None:
        self.twilio = SlowTwilio()
        self.clock = clock or FakeClock()
        self.interpreter = FakeInterpreter()
        self.sids = [self.twilio.add(Kind.RECORDING, number, created=START - 2 * YOUNG_SECONDS) for number in range(4)]
        store = Store(path)
        self.catalog = Catalog(self.twilio, self.twilio, self.interpreter, store, CatalogSettings(), self.clock)
        self.catalog.first_listing()
        self.records = FakeRecords(self.twilio)
        self.prover = FakeProver()
        self.proofs = BackgroundProofs(self.prover, self.catalog) if proves else None
        self.remover = Remover(self.catalog, self.records, ["twilio:main"], self.proofs)

    @property
    def sid(self) -> str:
        return self.sids[1]

    @property
    def medium(self) -> Medium:
        return self.catalog.media()[self.sid]

    @property
    def deleted(self) -> list[str]:
        return self.records.deleted

    def deadline(self, seconds: float = 30) -> Deadline:
        return Deadline(self.clock, seconds)

    def info(self) -> MediaInfo:
        return self.catalog.info(self.sid, self.deadline())

    def facts(self) -> ObjectFacts:
        facts = self.info().facts
        assert facts is not None
        return facts

    def mute(self, claimed_size: int | None) -> None:
        """Twilio has no media of the track, and its record has this size."""
        self.twilio.records[self.sid]["size"] = claimed_size
        self.twilio.objects.pop(self.sid, None)

    def remove(self, *, seconds: float = 30) -> None:
        self.remover.remove(self.medium, self.deadline(seconds), BY)

    def close(self) -> None:
        self.prover.arrive.set()
        if self.proofs is not None:
            self.proofs.stop()
        self.catalog.stop()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "a.sqlite3")
    yield house
    house.close()


@pytest.fixture
def unproving(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "a.sqlite3", proves=False)
    yield house
    house.close()


def test_what_is_not_proven_stays_where_nothing_can_prove_it(unproving: House) -> None:
    house = unproving
    with pytest.raises(NotVerified, match=rf"{house.sid} is not deleted.*twfs verify twilio:main {house.sid}`"):
        house.remove()
    assert house.deleted == []
    assert house.sid in house.catalog.media()


def test_what_is_proven_now_is_deleted_and_vanishes_at_once_and_for_good(house: House, tmp_path: Path) -> None:
    house.info()
    version = house.catalog.version
    house.remove()
    assert (house.deleted, house.prover.proven) == ([house.sid], [house.sid])
    assert house.sid not in house.catalog.media()
    assert house.catalog.version > version
    assert house.catalog.known_info(house.sid) is None
    with pytest.raises(NoSuchName):
        house.info()
    house.catalog.stop()
    store = Store(tmp_path / "a.sqlite3")
    assert store.load() is not None
    assert set(AllMedia(store)) == {*house.sids} - {house.sid}
    assert store.probe(house.sid) is None
    store.close()


def test_what_was_verified_is_deleted_by_a_later_process_too(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    first = House(path)
    first.catalog.record_verified(first.sid, first.facts())
    first.close()
    second = House(path, proves=False)
    second.remove()
    assert second.deleted == [second.sid]
    second.close()


@pytest.mark.parametrize(
    "change",
    [
        {"etag": '"another"'},
        {"stored_size": 1016},
        {"metadata": {"x-amz-key": "another", "x-amz-iv": "AAECAwQFBgcICQoLDA0ODw=="}},
        {"tail": b"#" * 32},
    ],
)
def test_the_proof_of_what_is_not_the_object_of_now_is_none(unproving: House, change: dict[str, Any]) -> None:
    house = unproving
    house.catalog.record_verified(house.sid, house.facts())
    house.twilio.objects[house.sid] = replace(facts_of(house.sid), **change)
    for reason in ("replaced since", "twfs verify"):
        with pytest.raises(NotVerified, match=reason):
            house.remove()
    assert house.info().facts == house.twilio.objects[house.sid]
    assert house.deleted == []


@pytest.mark.parametrize("etag", ["", '""', 'W/"weak"'])
def test_an_object_that_no_etag_names_cannot_be_proven(house: House, etag: str) -> None:
    house.twilio.objects[house.sid] = facts = replace(facts_of(house.sid), etag=etag)
    house.catalog.record_verified(house.sid, facts)
    assert not house.catalog.is_verified(house.sid, facts)
    with pytest.raises(NotVerified, match=rf"no ETag.*twfs rm twilio:main {house.sid} --unverified`"):
        house.remove()
    assert (house.deleted, house.prover.proven) == ([], [])


def test_the_last_look_is_the_request_before_delete(house: House) -> None:
    house.catalog.record_verified(house.sid, house.facts())
    house.twilio.requests.clear()
    house.remove()
    assert house.twilio.requests == {"probe": 1}
    assert house.prover.proven == []


def test_what_is_replaced_while_it_is_proven_stays(house: House) -> None:
    def replace_it() -> None:
        house.twilio.objects[house.sid] = facts_of("another object")

    house.prover.meanwhile = replace_it
    with pytest.raises(ProofPending, match="was replaced since it was last"):
        house.remove()
    assert house.deleted == []
    house.prover.meanwhile = lambda: None
    house.remove()
    assert (house.deleted, house.prover.proven) == ([house.sid], [house.sid] * 2)


def test_what_was_replaced_since_it_was_shown_is_not_deleted_at_once(house: House) -> None:
    house.info()
    house.twilio.objects[house.sid] = facts_of("another object")
    with pytest.raises(ProofPending, match="was replaced since it was last looked at; copy it anew"):
        house.remove()
    assert (house.deleted, house.prover.proven) == ([], [])
    house.remove()
    assert house.deleted == [house.sid]


def test_what_was_replaced_since_it_was_read_is_not_deleted_until_it_is_read(house: House) -> None:
    another = facts_of("another object")
    for read_identity in (house.facts().fingerprint, ""):
        house.twilio.objects[house.sid] = another
        for _ in range(2):
            with pytest.raises(ProofPending, match="was replaced since it was last read here; copy it anew"):
                house.remover.remove(house.medium, house.deadline(), BY, read_identity.__eq__)
    assert house.deleted == []
    house.remover.remove(house.medium, house.deadline(), BY, another.fingerprint.__eq__)
    assert house.deleted == [house.sid]


@pytest.mark.parametrize("failure", [Unreachable("down"), CredentialsRefused("no"), RemoteError("HTTP 400")])
def test_nothing_vanishes_unless_twilio_confirms_it(house: House, failure: TwfsError) -> None:
    info = house.info()
    house.records.failure = failure
    with pytest.raises(type(failure)):
        house.remove()
    with pytest.raises(type(failure)):
        house.remover.remove_unverified(house.medium, house.deadline(), BY)
    assert house.info() == info
    house.records.failure = None
    house.remove()
    assert (house.deleted, house.prover.proven) == ([house.sid], [house.sid])


@pytest.mark.parametrize("failure", [Unreachable("down"), CredentialsRefused("no"), MediaDamaged("nonsense")])
def test_nothing_is_deleted_while_the_object_cannot_be_looked_at(house: House, failure: TwfsError) -> None:
    house.catalog.record_verified(house.sid, house.facts())
    house.twilio.fail_probe[house.sid] = failure
    with pytest.raises(type(failure)):
        house.remove()
    assert house.deleted == []
    assert house.sid in house.catalog.media()


def test_a_deletion_keeps_its_deadline(house: House) -> None:
    deadline = house.deadline()
    house.clock.advance(31)
    with pytest.raises(DeadlineExceeded):
        house.remover.remove(house.medium, deadline, BY)
    assert house.sid in house.catalog.media()


# Proofs that take long, or fail


def test_a_proof_that_takes_longer_goes_on_and_is_found_by_a_later_call(house: House) -> None:
    house.prover.arrive.clear()
    for _ in range(2):
        with pytest.raises(ProofPending, match=f"{house.sid} is not deleted yet: it is being read whole"):
            house.remove(seconds=0.02)
    assert house.deleted == []
    house.prover.arrive.set()
    house.remove()
    assert (house.deleted, house.prover.proven) == ([house.sid], [house.sid])


def test_a_large_proof_holds_up_no_small_one(house: House) -> None:
    small, *large = house.sids
    for sid in large:
        house.twilio.objects[sid] = facts_of(sid, LARGE_SIZE)
    house.prover.arrive.clear()
    media = house.catalog.media()
    for sid in large:
        with pytest.raises(ProofPending):
            house.remover.remove(media[sid], house.deadline(0.02), BY)
    house.prover.short = small
    house.remover.remove(media[small], house.deadline(), BY)
    assert house.deleted == [small]
    house.prover.arrive.set()
    for sid in large:
        house.remover.remove(media[sid], house.deadline(), BY)
    assert house.deleted == [small, *large]


def test_damage_is_told_remembered_and_ended_by_a_later_proof(house: House, tmp_path: Path) -> None:
    house.prover.failure = MediaDamaged("its MD5 is not the ETag")
    with pytest.raises(MediaDamaged, match=rf"{house.sid} is not deleted: .*its MD5 is not the ETag.*may be, too"):
        house.remove()
    house.prover.failure = None
    with pytest.raises(MediaDamaged, match=rf"twfs verify twilio:main {house.sid}` reads it anew"):
        house.remove()
    assert (house.deleted, house.prover.proven) == ([], [])
    later = House(tmp_path / "a.sqlite3")
    with pytest.raises(MediaDamaged):
        later.remove()
    later.catalog.record_verified(later.sid, later.facts())
    later.close()
    house.remove()
    assert house.deleted == [house.sid]


def test_no_proof_meets_another_object(house: House) -> None:
    house.prover.failure = ObjectChanged("another ETag")
    with pytest.raises(ProofPending, match="was replaced while it was read whole"):
        house.remove()
    assert house.deleted == []


def test_damage_of_an_object_that_was_replaced_is_history(house: House) -> None:
    house.catalog.record_damage(house.sid, house.facts(), "its MD5 is not the ETag")
    house.twilio.objects[house.sid] = facts_of("another object")
    with pytest.raises(ProofPending):
        house.remove()
    house.remove()
    assert (house.deleted, house.prover.proven) == ([house.sid], [house.sid])


def test_damage_found_later_ends_a_proof(house: House) -> None:
    house.catalog.record_verified(house.sid, house.facts())
    house.catalog.record_damage(house.sid, house.facts(), "its MD5 is not the ETag")
    with pytest.raises(MediaDamaged):
        house.remove()
    assert house.deleted == []


@pytest.mark.parametrize("failure", [Unreachable("down"), NoKey("none fits"), ZeroDivisionError()])
def test_a_proof_that_fails_is_begun_anew_the_next_time(house: House, failure: Exception) -> None:
    house.prover.failure = failure
    with pytest.raises(type(failure)):
        house.remove()
    assert house.deleted == []
    house.prover.failure = None
    house.remove()
    assert house.deleted == [house.sid]


def test_a_failure_that_nobody_waited_for_is_one_line(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.prover.arrive.clear()
    house.prover.failure = Unreachable("the line is down")
    with pytest.raises(ProofPending):
        house.remove(seconds=0.02)
    (proof,) = (thread for thread in threading.enumerate() if thread.name == "proof")
    house.prover.arrive.set()
    proof.join(10)
    assert caplog.messages == [f"{house.sid} stays at Twilio, for it could not be proven: the line is down"]


def test_nothing_is_proven_once_the_mount_ends(house: House) -> None:
    assert house.proofs is not None
    house.prover.arrive.clear()
    for sid in house.sids[:2]:
        house.twilio.objects[sid] = facts_of(sid, LARGE_SIZE)
        with pytest.raises(ProofPending):
            house.remover.remove(house.catalog.media()[sid], house.deadline(0.02), BY)
    house.proofs.stop()
    with pytest.raises(Unreachable, match="going down"):
        house.remover.remove(house.catalog.media()[house.sids[2]], house.deadline(), BY)
    assert house.deleted == []


# Media that are not there


def look_at_absence(house: House, seconds: float) -> None:
    """The mount's own look, and then time."""
    with pytest.raises(ProofPending):
        house.remove()
    house.clock.advance(seconds)


@pytest.mark.parametrize("claimed_size", [None, 0])
def test_a_track_without_media_is_deleted_once_a_look_long_after_the_first_confirms_it(
    house: House, claimed_size: int | None
) -> None:
    house.mute(claimed_size)
    assert house.info().state is MediaState.ABSENT
    with pytest.raises(ProofPending, match=r"delete it again in 600 s.*--unverified"):
        house.remove()
    house.clock.advance(ABSENCE_SECONDS - 1)
    with pytest.raises(ProofPending, match="delete it again in 1 s"):
        house.remove()
    house.clock.advance(1)
    house.remove()
    assert house.deleted == [house.sid]


def test_a_background_look_is_a_look(house: House) -> None:
    house.mute(None)
    assert house.info().state is MediaState.ABSENT
    house.clock.advance(ABSENCE_SECONDS)
    house.remove()
    assert house.deleted == [house.sid]


@pytest.mark.parametrize("claimed_size", [None, 0])
def test_one_404_that_passes_deletes_nothing_whatever_the_record_says(house: House, claimed_size: int | None) -> None:
    facts = house.twilio.objects[house.sid]
    house.mute(claimed_size)
    look_at_absence(house, ABSENCE_SECONDS)
    house.twilio.objects[house.sid] = facts
    house.prover.failure = Unreachable("down")
    with pytest.raises(Unreachable):
        house.remove()
    assert house.deleted == []
    house.mute(claimed_size)
    with pytest.raises(NotVerified, match="it had some before"):
        house.remove()
    assert house.deleted == []


def test_the_first_look_may_be_an_earlier_process_and_clocks_that_jump_prove_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    clock = FakeClock()
    first = House(path, clock=clock)
    first.mute(None)
    look_at_absence(first, 0)
    clock.wall_now += 10 * ABSENCE_SECONDS
    with pytest.raises(ProofPending, match="in 600 s"):
        first.remove()
    first.close()
    clock.wall_now -= 10 * ABSENCE_SECONDS
    clock.advance(ABSENCE_SECONDS)
    second = House(path, clock=clock)
    second.mute(None)
    second.remove()
    assert second.deleted == [second.sid]
    second.close()


def test_what_is_missing_and_has_a_size_goes_only_without_proof(house: House) -> None:
    house.mute(1)
    for _ in range(2):
        with pytest.raises(NotVerified, match=rf"claims 1 bytes; .*twfs rm twilio:main {house.sid} --unverified`"):
            house.remove()
        house.clock.advance(2 * ABSENCE_SECONDS)
    assert house.deleted == []
    assert house.sid in house.catalog.media()
    house.remover.remove_unverified(house.medium, house.deadline(), BY)
    assert house.deleted == [house.sid]


def test_the_size_of_now_counts_not_that_of_the_listing(house: House) -> None:
    house.mute(0)
    house.catalog.first_listing()
    house.twilio.records[house.sid]["size"] = 5
    with pytest.raises(NotVerified, match="claims 5 bytes"):
        house.remove()


def test_what_may_still_get_its_media_is_not_deleted(house: House) -> None:
    house.clock.wall_now = START - 2 * YOUNG_SECONDS + 10
    house.mute(None)
    assert house.info().state is MediaState.ABSENT
    for _ in range(2):
        with pytest.raises(NotVerified, match="may still come"):
            house.remove()
        house.clock.advance(YOUNG_SECONDS / 3)
    house.clock.advance(YOUNG_SECONDS)
    look_at_absence(house, ABSENCE_SECONDS)
    house.remove()
    assert house.deleted == [house.sid]


def test_media_that_came_late_are_noticed_and_proven_before_they_are_deleted(house: House) -> None:
    facts = house.twilio.objects.pop(house.sid)
    assert house.info().state is MediaState.ABSENT
    house.clock.advance(ABSENCE_SECONDS)
    house.twilio.objects[house.sid] = facts
    house.prover.failure = Unreachable("down")
    with pytest.raises(ProofPending, match="replaced"):
        house.remove()
    with pytest.raises(Unreachable):
        house.remove()
    assert house.info().state is MediaState.READABLE
    assert house.deleted == []


@pytest.mark.parametrize("go", [FakeTwilio.delete, FakeTwilio.forget])
@pytest.mark.parametrize("is_proven", [True, False])
def test_what_is_gone_elsewhere_goes_here_too_and_nothing_is_deleted(
    house: House, go: Callable[[FakeTwilio, str], None], *, is_proven: bool
) -> None:
    if is_proven:
        house.catalog.record_verified(house.sid, house.facts())
    go(house.twilio, house.sid)
    house.remove()
    assert house.sid not in house.catalog.media()
    assert house.deleted == []


def test_what_seemed_to_be_gone_comes_back_with_the_next_listing(house: House) -> None:
    facts = house.twilio.objects.pop(house.sid)
    house.twilio.fail_fetch_of[house.sid] = NotFound("by mistake")
    house.remove()
    house.twilio.objects[house.sid] = facts
    house.twilio.fail_fetch_of.clear()
    house.catalog._refresher.round(full=True)
    assert house.sid in house.catalog.media()
    assert house.deleted == []


def test_a_404_of_what_was_proven_deletes_nothing(house: House) -> None:
    house.mute(None)
    house.twilio.objects[house.sid] = facts_of(house.sid)
    house.catalog.record_verified(house.sid, house.facts())
    house.mute(None)
    for _ in range(2):
        with pytest.raises(NotVerified, match="it had some before"):
            house.remove()
        house.clock.advance(2 * ABSENCE_SECONDS)
    assert house.deleted == []


@pytest.mark.parametrize("failure", [Unreachable("down"), CredentialsRefused("no")])
def test_without_the_record_no_absence_is_proven(house: House, failure: TwfsError) -> None:
    house.mute(None)
    look_at_absence(house, ABSENCE_SECONDS)
    house.twilio.fail_fetch = failure
    with pytest.raises(type(failure)):
        house.remove()
    assert house.deleted == []


def test_a_record_that_cannot_be_read_proves_nothing(house: House) -> None:
    house.mute(None)
    house.twilio.records[house.sid]["sid"] = "nonsense"
    with pytest.raises(NotVerified, match="cannot be read"):
        house.remove()
    assert house.deleted == []


def test_an_object_that_is_missing_without_twilio_saying_so_is_no_absence(house: House) -> None:
    house.twilio.fail_probe[house.sid] = NotFound("S3 has no such object")
    with pytest.raises(NotFound, match="S3 has no such object"):
        house.remove()
    assert house.deleted == []


# Media that nobody can read here


def test_a_locked_medium_goes_only_without_proof(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.interpreter.fits_all = False
    with pytest.raises(NotVerified, match="no private key fits"):
        house.remove()
    assert house.deleted == []
    house.twilio.requests.clear()
    house.remover.remove_unverified(house.medium, house.deadline(), BY)
    assert house.deleted == [house.sid]
    assert house.sid not in house.catalog.media()
    assert not house.twilio.requests
    assert "without proof" in caplog.messages[-1]


def test_each_deletion_is_one_line_that_says_what_and_who(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "twfs")
    house.remove()
    assert caplog.messages == [f"{house.sid}: deleted at Twilio, asked for by {BY}"]


# Beside the refresh


def test_a_listing_that_began_before_brings_nothing_back(house: House) -> None:
    house.info()
    house.twilio.sent.clear()
    house.twilio.arrive.clear()
    # Twilio has renamed a track since: the old page says something new of what is deleted meanwhile.
    house.twilio.records[house.sid]["track_name"] = "renamed"
    listing = threading.Thread(target=lambda: house.catalog._refresher.round(full=True))
    listing.start()
    assert house.twilio.sent.wait(10)
    house.remove()
    assert house.sid not in house.catalog.media()
    house.twilio.arrive.set()
    listing.join()
    assert set(house.catalog.media()) == {*house.sids} - {house.sid}


def test_later_listings_show_the_rest(house: House) -> None:
    house.remove()
    new = house.twilio.add(Kind.COMPOSITION, 9)
    house.catalog._refresher.round(full=True)
    assert set(house.catalog.media()) == {*house.sids, new} - {house.sid}
    assert sid_of(Kind.COMPOSITION, 9) == new
