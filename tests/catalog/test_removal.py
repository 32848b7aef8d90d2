import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.fakes import START, FakeClock, FakeInterpreter, FakeTwilio, facts_of, sid_of
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.probes import YOUNG_SECONDS
from twfs.catalog.removal import Remover
from twfs.catalog.store import Store
from twfs.clock import Deadline
from twfs.errors import (
    CredentialsRefused,
    DeadlineExceeded,
    MediaDamaged,
    NoSuchName,
    NotFound,
    NotVerified,
    RemoteError,
    TwfsError,
    Unreachable,
)
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, ListFilter, Medium

BY = "uid 7, pid 8"


class FakeDeleter:
    """Deletes in a fake account; `failure` is raised instead."""

    def __init__(self, twilio: FakeTwilio) -> None:
        self.twilio = twilio
        self.failure: TwfsError | None = None
        self.deleted: list[str] = []

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

    def pages(self, kind: Kind, wanted: ListFilter) -> Iterator[list[object]]:
        for page in super().pages(kind, wanted):
            self.sent.set()
            assert self.arrive.wait(10)
            yield page


class House:
    """A catalogue over a fake account, and what deletes from it; its media are old enough to be settled."""

    def __init__(self, path: Path | None = None) -> None:
        self.twilio = SlowTwilio()
        self.clock = FakeClock()
        self.interpreter = FakeInterpreter()
        self.sids = [self.twilio.add(Kind.RECORDING, number, created=START - 2 * YOUNG_SECONDS) for number in range(4)]
        store = Store(path)
        self.catalog = Catalog(self.twilio, self.twilio, self.interpreter, store, CatalogSettings(), self.clock)
        self.catalog.first_listing()
        self.deleter = FakeDeleter(self.twilio)
        self.remover = Remover(self.catalog, self.deleter)

    @property
    def sid(self) -> str:
        return self.sids[1]

    @property
    def medium(self) -> Medium:
        return self.catalog.media()[self.sid]

    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30)

    def info(self) -> MediaInfo:
        return self.catalog.info(self.sid, self.deadline())

    def mute(self, claimed_size: int | None) -> None:
        """Twilio has no media of the track, and its record has this size."""
        self.twilio.records[self.sid]["size"] = claimed_size
        del self.twilio.objects[self.sid]
        self.catalog.first_listing()

    def remove(self, *, was_read: bool = False) -> None:
        self.remover.remove(self.medium, self.deadline(), BY, lambda _: was_read)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "a.sqlite3")
    yield house
    house.catalog.stop()


def test_what_was_neither_read_nor_verified_stays(house: House) -> None:
    with pytest.raises(NotVerified, match=rf"{house.sid} is not deleted.*twfs verify {house.sid}"):
        house.remove()
    assert house.deleter.deleted == []
    assert house.sid in house.catalog.media()


def test_what_was_read_is_deleted_and_vanishes_at_once_and_for_good(house: House, tmp_path: Path) -> None:
    house.info()
    version = house.catalog.version
    house.remove(was_read=True)
    assert house.deleter.deleted == [house.sid]
    assert house.sid not in house.catalog.media()
    assert house.catalog.version > version
    assert house.catalog.known_info(house.sid) is None
    with pytest.raises(NoSuchName):
        house.info()
    house.catalog.stop()
    store = Store(tmp_path / "a.sqlite3")
    remembered = store.load()
    assert remembered is not None
    assert {medium.sid for medium in remembered.media} == {*house.sids} - {house.sid}
    assert store.probe(house.sid) is None
    store.close()


def test_what_was_verified_is_deleted_by_a_later_process_too(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    first = House(path)
    first.catalog.record_verified(first.sid, first.info().etag)
    first.catalog.stop()
    second = House(path)
    second.remove()
    assert second.deleter.deleted == [second.sid]
    second.catalog.stop()


def test_the_proof_of_another_object_is_none(house: House) -> None:
    before = house.info().etag
    house.catalog.record_verified(house.sid, before)
    house.twilio.objects[house.sid] = facts_of("another object")
    asked: list[str] = []

    def was_read(info: MediaInfo) -> bool:
        asked.append(info.etag)
        return info.etag == before

    with pytest.raises(NotVerified):
        house.remover.remove(house.medium, house.deadline(), BY, was_read)
    assert asked == [facts_of("another object").etag]
    assert house.info().etag != before
    assert house.deleter.deleted == []


def test_an_object_without_an_etag_is_not_verified(house: House) -> None:
    house.catalog.record_verified(house.sid, "")
    assert not house.catalog.is_verified(house.sid, "")


def test_a_deletion_costs_one_look(house: House) -> None:
    house.info()
    house.twilio.requests.clear()
    house.remove(was_read=True)
    assert house.twilio.requests == {"probe": 1}


@pytest.mark.parametrize("failure", [Unreachable("down"), CredentialsRefused("no"), RemoteError("HTTP 400")])
def test_nothing_vanishes_unless_twilio_confirms_it(house: House, failure: TwfsError) -> None:
    info = house.info()
    house.catalog.record_verified(house.sid, info.etag)
    house.deleter.failure = failure
    with pytest.raises(type(failure)):
        house.remove()
    with pytest.raises(type(failure)):
        house.remover.remove_unverified(house.medium, house.deadline(), BY)
    assert house.info() == info
    house.deleter.failure = None
    house.remove()
    assert house.deleter.deleted == [house.sid]


@pytest.mark.parametrize("failure", [Unreachable("down"), CredentialsRefused("no"), MediaDamaged("nonsense")])
def test_nothing_is_deleted_while_the_object_cannot_be_looked_at(house: House, failure: TwfsError) -> None:
    house.info()
    house.twilio.fail_probe[house.sid] = failure
    with pytest.raises(type(failure)):
        house.remove(was_read=True)
    assert house.deleter.deleted == []
    assert house.sid in house.catalog.media()


def test_a_deletion_keeps_its_deadline(house: House) -> None:
    deadline = house.deadline()
    house.clock.advance(31)
    with pytest.raises(DeadlineExceeded):
        house.remover.remove(house.medium, deadline, BY, lambda _: True)
    assert house.sid in house.catalog.media()


# Media that are not there


@pytest.mark.parametrize("claimed_size", [None, 0])
def test_a_track_that_was_muted_long_ago_can_be_deleted(house: House, claimed_size: int | None) -> None:
    house.mute(claimed_size)
    house.remove()
    assert house.deleter.deleted == [house.sid]


def test_what_is_missing_and_has_a_size_goes_only_without_proof(house: House) -> None:
    house.mute(1)
    for was_read in (False, True):
        with pytest.raises(NotVerified, match=rf"claims 1 bytes; `twfs rm --unverified {house.sid}`"):
            house.remove(was_read=was_read)
    assert house.deleter.deleted == []
    assert house.sid in house.catalog.media()
    house.remover.remove_unverified(house.medium, house.deadline(), BY)
    assert house.deleter.deleted == [house.sid]


def test_what_may_still_get_its_media_is_not_deleted(house: House) -> None:
    house.clock.wall_now = START - 2 * YOUNG_SECONDS + 10
    del house.twilio.objects[house.sid]
    assert house.info().state is MediaState.ABSENT
    with pytest.raises(NotVerified, match="may still come"):
        house.remove(was_read=True)
    assert house.deleter.deleted == []


def test_media_that_came_late_are_noticed_before_they_are_deleted_unread(house: House) -> None:
    facts = house.twilio.objects.pop(house.sid)
    assert house.info().state is MediaState.ABSENT
    house.twilio.objects[house.sid] = facts
    with pytest.raises(NotVerified):
        house.remove()
    assert house.info().state is MediaState.READABLE
    assert house.deleter.deleted == []


def test_what_was_read_and_is_gone_elsewhere_goes_here_too(house: House) -> None:
    house.info()
    house.twilio.delete(house.sid)
    with pytest.raises(NotVerified):
        house.remove()
    house.remove(was_read=True)
    assert house.sid not in house.catalog.media()


def test_an_object_that_is_missing_without_twilio_saying_so_is_no_absence(house: House) -> None:
    house.twilio.fail_probe[house.sid] = NotFound("S3 has no such object")
    with pytest.raises(NotFound):
        house.remove()
    assert house.deleter.deleted == []


# Media that nobody can read here


def test_a_locked_medium_goes_only_without_proof(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.interpreter.fits_all = False
    with pytest.raises(NotVerified, match="no private key fits"):
        house.remove(was_read=True)
    assert house.deleter.deleted == []
    house.twilio.requests.clear()
    house.remover.remove_unverified(house.medium, house.deadline(), BY)
    assert house.deleter.deleted == [house.sid]
    assert house.sid not in house.catalog.media()
    assert not house.twilio.requests
    assert "without proof" in caplog.messages[-1]


def test_each_deletion_is_one_line_that_says_what_and_who(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "twfs")
    house.remove(was_read=True)
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
    house.remove(was_read=True)
    assert house.sid not in house.catalog.media()
    house.twilio.arrive.set()
    listing.join()
    assert set(house.catalog.media()) == {*house.sids} - {house.sid}


def test_later_listings_show_the_rest(house: House) -> None:
    house.remove(was_read=True)
    new = house.twilio.add(Kind.COMPOSITION, 9)
    house.catalog._refresher.round(full=True)
    assert set(house.catalog.media()) == {*house.sids, new} - {house.sid}
    assert sid_of(Kind.COMPOSITION, 9) == new
