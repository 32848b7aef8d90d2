"""A first listing that is broken off goes on where it was, and nothing of it is shown before it is whole."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.fakes import ACCOUNT, START, FakeTwilio, record_of, sid_of
from tests.catalog.test_catalog import House, assert_nothing_is_told
from twfs.catalog.first_listing import LONG_SECONDS, STALE_SECONDS
from twfs.catalog.lists import OVERLAP
from twfs.catalog.refresh import FULL_PASS_SECONDS
from twfs.catalog.state_file import SIDE_FILES
from twfs.errors import CredentialsRefused, RemoteError, TwfsError, Unreachable
from twfs.resources import Kind, ListFilter, Page

COUNT = 30
"""Recordings, on ten pages."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "a.sqlite3")
    for number in range(COUNT):
        house.twilio.add(Kind.RECORDING, number, created=START - 100_000 + number)
    house.twilio.add(Kind.COMPOSITION, 1, created=START - 100_000)
    yield house
    house.catalog.stop()


def break_off(house: House, page: int, trouble: TwfsError | None = None) -> None:
    """List until that page of the recordings, and let the process end there."""
    trouble = trouble or Unreachable("down")
    house.twilio.fail_page[Kind.RECORDING] = (page, trouble)
    with pytest.raises(type(trouble)):
        house.catalog.first_listing()
    assert_nothing_is_told(house.catalog)
    house.twilio.fail_page.clear()
    house.catalog.stop()
    house.remount()


def shown(house: House) -> set[str]:
    return set(house.catalog.media())


@pytest.mark.parametrize("trouble", [Unreachable("down"), CredentialsRefused("401")])
def test_it_goes_on_in_another_process_where_it_was_broken_off(house: House, trouble: TwfsError) -> None:
    break_off(house, 7, trouble)
    assert house.catalog.load() is False
    assert_nothing_is_told(house.catalog)
    house.twilio.requests.clear()
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()
    # The other three pages, and what came since the beginning: nothing. The other kind was whole.
    assert house.twilio.requests["recordings"] <= 3 + 1
    assert house.twilio.requests["compositions"] <= 1 + 1
    assert house.catalog.load() is True


def test_any_number_of_attempts_costs_no_page_twice(house: House) -> None:
    for page in range(1, 10):
        break_off(house, page)
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()
    # Each page, each failure, and the last look.
    assert house.twilio.requests["recordings"] == 10 + 9 + 1


def test_what_came_meanwhile_is_there(house: House) -> None:
    break_off(house, 5)
    house.clock.advance(3600)
    late = house.twilio.add(Kind.RECORDING, 99, created=START + 10)
    house.twilio.records = {late: house.twilio.records.pop(late), **house.twilio.records}
    house.twilio.filters.clear()
    house.catalog.first_listing()
    assert late in shown(house)
    assert (Kind.RECORDING, ListFilter(created_after=START - OVERLAP)) in house.twilio.filters


def test_a_long_one_is_followed_by_a_look_at_what_came_meanwhile(house: House) -> None:
    class Slow(FakeTwilio):
        def pages(self, kind: Kind, wanted: ListFilter, place: str | None = None) -> Iterator[Page]:
            for page in super().pages(kind, wanted, place):
                yield page
                house.clock.advance(LONG_SECONDS)
                if wanted == ListFilter() and kind is Kind.RECORDING and page.following is None:
                    self.add(Kind.RECORDING, 99, created=house.clock.wall())

    slow = Slow()
    slow.records, slow.objects = house.twilio.records, house.twilio.objects
    house.twilio = slow
    house.catalog.stop()
    house.remount()
    house.catalog.first_listing()
    assert sid_of(Kind.RECORDING, 99) in shown(house)


@pytest.mark.parametrize("gone", [False, True])
def test_a_place_that_is_refused_begins_anew_and_what_it_had_is_looked_at(house: House, *, gone: bool) -> None:
    break_off(house, 5)
    if gone:
        house.twilio.forget(sid_of(Kind.RECORDING, 2))
    house.twilio.hidden = {sid_of(Kind.RECORDING, 3)}
    house.twilio.refused_places = {"15"}
    house.twilio.requests.clear()
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()
    assert house.twilio.requests["recordings"] in (10, 11)
    assert house.twilio.requests["fetch"] == 1 + gone


def test_what_is_deleted_before_it_goes_on_is_found_by_the_next_full_pass_which_is_due_earlier(house: House) -> None:
    break_off(house, 5)
    gone = sid_of(Kind.RECORDING, 2)
    house.twilio.forget(gone)
    house.clock.advance(FULL_PASS_SECONDS - 100)
    house.catalog.first_listing()
    house.clock.advance(200)
    house.catalog.list_again()
    assert gone not in shown(house)


@pytest.mark.parametrize("seconds", [STALE_SECONDS, -60.0])
def test_an_old_place_or_one_from_the_future_is_not_gone_on_from(house: House, seconds: float) -> None:
    break_off(house, 5)
    house.clock.advance(seconds)
    house.twilio.requests.clear()
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()
    assert house.twilio.requests["recordings"] >= 10


def test_an_outage_at_the_place_keeps_the_place(house: House) -> None:
    break_off(house, 5)
    break_off(house, 5)
    house.twilio.requests.clear()
    house.catalog.first_listing()
    assert house.twilio.requests["recordings"] == 5 + 1


@pytest.mark.parametrize("change", ["place = '27'", "is_done = 1", "began = 1e12", "checksum = 1"])
def test_a_damaged_place_is_none(house: House, change: str) -> None:
    break_off(house, 5)
    house.catalog._store.database.write(lambda connection: connection.execute(f"UPDATE passes SET {change}"))
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()


def test_two_processes_list_at_once(house: House) -> None:
    """Each writes what it sees; whichever ends first, nothing is missing."""
    other = House(house.path)
    other.twilio = house.twilio
    other.catalog.stop()
    other.remount()
    house.twilio.fail_page[Kind.RECORDING] = (6, Unreachable("down"))
    with pytest.raises(Unreachable):
        other.catalog.first_listing()
    house.twilio.fail_page.clear()
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()
    assert other.catalog.load() is True
    assert shown(other) == house.twilio.completed()
    other.catalog.stop()


def test_records_that_are_listed_twice_or_shift_between_pages_are_one_each(house: House) -> None:
    again = [record_of(Kind.RECORDING, number, created=START - 100_000 + number) for number in range(7)]
    house.twilio.extra[Kind.RECORDING] = list(again)
    house.catalog.first_listing()
    assert shown(house) == house.twilio.completed()
    assert house.catalog.totals().media == COUNT + 1
    assert again[0]["account_sid"] == ACCOUNT


@pytest.mark.parametrize("lost_at", [1, 4, 9])
def test_a_file_that_is_lost_meanwhile_is_no_whole_one(house: House, tmp_path: Path, lost_at: int) -> None:
    lost = threading.Event()

    class Losing(FakeTwilio):
        def pages(self, kind: Kind, wanted: ListFilter, place: str | None = None) -> Iterator[Page]:
            for number, page in enumerate(super().pages(kind, wanted, place)):
                if number == lost_at and kind is Kind.RECORDING:
                    path = tmp_path / "a.sqlite3"
                    path.with_name("b").write_bytes(b"something else" * 1000)
                    path.with_name("b").replace(path)
                    for side_file in SIDE_FILES:
                        path.with_name(path.name + side_file).unlink(missing_ok=True)
                    lost.set()
                if kind is Kind.COMPOSITION:
                    # Its only page is written to the new file, where it is whole.
                    assert lost.wait(10)
                yield page

    losing = Losing()
    losing.records, losing.objects = house.twilio.records, house.twilio.objects
    house.twilio = losing
    house.catalog.stop()
    house.remount()
    with pytest.raises(RemoteError, match="must be listed again"):
        house.catalog.first_listing()
    assert_nothing_is_told(house.catalog)
    house.twilio = FakeTwilio()
    house.twilio.records, house.twilio.objects = losing.records, losing.objects
    house.catalog.stop()
    house.remount().first_listing()
    assert shown(house) == house.twilio.completed()
