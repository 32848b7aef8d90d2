import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.fakes import START, facts_of, room_of, sid_of
from tests.catalog.test_catalog import House
from twfs.catalog.catalog import Catalog
from twfs.catalog.lists import OVERLAP
from twfs.catalog.options import CatalogSettings
from twfs.catalog.refresh import (
    BACKLOG_SECONDS,
    FULL_PASS_SECONDS,
    FULL_RETRY_SECONDS,
    LOOKS_AT_ONCE,
    Refresher,
)
from twfs.catalog.single_looks import DOUBT_SECONDS, FETCH_LIMIT
from twfs.clock import Deadline, SystemClock
from twfs.errors import CredentialsRefused, TwfsError, Unreachable
from twfs.resources import Kind, ListFilter


def refresher_of(catalog: Catalog) -> Refresher:
    return catalog._refresher


def let_pass(house: House, seconds: float) -> None:
    """Background refreshing as its thread would do it for `seconds`."""
    end = house.clock.now + seconds
    while house.clock.now <= end:
        pause = refresher_of(house.catalog).step()
        if pause > end - house.clock.now:
            house.clock.advance(end - house.clock.now)
            return
        house.clock.advance(max(pause, 0.01))


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    for number in range(7):
        house.twilio.add(Kind.RECORDING, number, created=START - 100_000 + number)
    house.twilio.add(Kind.COMPOSITION, 1, created=START - 100_000)
    house.catalog.first_listing()
    house.twilio.requests.clear()
    house.twilio.filters.clear()
    yield house
    house.catalog.stop()


def test_a_quiet_round_costs_one_request_per_kind(house: House) -> None:
    version = house.catalog.version
    house.twilio.page_size = 100
    let_pass(house, 59)
    assert not house.twilio.requests
    let_pass(house, 1.5)
    assert house.twilio.requests == {"recordings": 1, "compositions": 1}
    newest = START - 100_000 + 6
    assert (Kind.RECORDING, ListFilter(created_after=newest - OVERLAP)) in house.twilio.filters
    assert house.catalog.version == version
    shown = dict(house.catalog.media())
    refresher_of(house.catalog).round(full=True)
    assert house.catalog.version == version
    assert house.catalog.media() == shown


def test_new_media_appear_within_refresh_seconds(house: House) -> None:
    sid = house.twilio.add(Kind.RECORDING, 50, created=house.clock.wall())
    version = house.catalog.version
    let_pass(house, 61)
    assert sid in house.catalog.media()
    assert house.catalog.version == version + 1


def test_unsettled_media_are_asked_for_one_by_one_until_they_are_settled(house: House) -> None:
    old = house.twilio.add(Kind.RECORDING, 50, "processing", created=house.clock.wall())
    let_pass(house, 61)
    newer = house.twilio.add(Kind.RECORDING, 51, created=house.clock.wall() + OVERLAP)
    house.clock.advance(2 * OVERLAP)
    let_pass(house, 61)
    house.twilio.add(Kind.RECORDING, 52, created=house.clock.wall() + OVERLAP)
    assert {old, newer} & set(house.catalog.media()) == {newer}
    house.twilio.requests.clear()
    let_pass(house, 61)
    assert house.twilio.requests["fetch"] == 1
    house.twilio.complete(old)
    let_pass(house, 61)
    assert old in house.catalog.media()
    house.twilio.requests.clear()
    let_pass(house, 61)
    assert house.twilio.requests["fetch"] == 0


def test_what_the_listing_just_told_is_not_asked_for_again(house: House) -> None:
    house.twilio.add(Kind.RECORDING, 50, "processing", created=house.clock.wall())
    let_pass(house, 61)
    assert house.twilio.requests["fetch"] == 0
    assert house.catalog.status()["unsettled"] == 1


def test_many_unsettled_media_take_turns() -> None:
    house = House()
    house.twilio.page_size = 1000
    count = 2 * FETCH_LIMIT + 50
    for number in range(count):
        house.twilio.add(Kind.RECORDING, number, "processing", created=START - 1_000_000)
    house.twilio.add(Kind.RECORDING, count, created=START)
    house.catalog.first_listing()
    for sid in house.twilio.records:
        house.twilio.complete(sid)
    shown = []
    for _ in range(3):
        let_pass(house, 61)
        shown.append(len(house.catalog.media()))
    assert shown == [FETCH_LIMIT + 1, 2 * FETCH_LIMIT + 1, count + 1]
    assert house.twilio.requests["fetch"] == count
    house.catalog.stop()


def test_turns_are_fair_while_nothing_settles() -> None:
    house = House()
    house.twilio.page_size = 1000
    for number in range(FETCH_LIMIT + 20):
        house.twilio.add(Kind.COMPOSITION, number, "enqueued", created=START - 1_000_000)
    house.twilio.add(Kind.COMPOSITION, 9999, created=START)
    house.catalog.first_listing()
    let_pass(house, 60 * 60)
    turns = refresher_of(house.catalog)._looks.turns.values()
    assert max(turns) - min(turns) <= 1
    house.catalog.stop()


def test_deletions_are_found_by_the_full_pass(house: House) -> None:
    gone = sid_of(Kind.RECORDING, 3)
    house.catalog.info(gone, house.deadline())
    house.twilio.delete(gone)
    let_pass(house, FULL_PASS_SECONDS - 100)
    assert gone in house.catalog.media()
    let_pass(house, 200)
    assert gone not in house.catalog.media()
    assert len(house.catalog.media()) == 7
    assert house.catalog.known_info(gone) is None


def test_who_lists_again_asks_for_what_is_new_and_what_was_not_finished(house: House) -> None:
    house.twilio.page_size = 1
    old = house.twilio.add(Kind.RECORDING, 50, "processing", created=START - 100_000 - 3 * OVERLAP)
    house.catalog.first_listing()
    house.twilio.requests.clear()
    new = house.twilio.add(Kind.RECORDING, 51, created=house.clock.wall())
    house.twilio.complete(old)
    house.clock.advance(3600)
    house.catalog.list_again()
    assert {old, new} <= set(house.catalog.media())
    # Of the recordings those of the last quarter of an hour before the newest one known.
    assert house.twilio.requests == {"recordings": 8, "compositions": 1, "fetch": 1}


def test_who_lists_again_finds_deletions_when_a_full_pass_is_due(house: House) -> None:
    gone = sid_of(Kind.RECORDING, 2)
    house.twilio.delete(gone)
    house.clock.advance(FULL_PASS_SECONDS - 1)
    house.catalog.list_again()
    assert gone in house.catalog.media()
    house.clock.advance(1)
    house.catalog.list_again()
    assert gone not in house.catalog.media()


def test_who_lists_again_in_vain_is_told_and_knows_what_was_known(house: House) -> None:
    before = dict(house.catalog.media())
    house.twilio.fail_page[Kind.COMPOSITION] = (0, Unreachable("down"))
    with pytest.raises(Unreachable):
        house.catalog.list_again()
    assert house.catalog.media() == before


def remounted(house: House) -> Catalog:
    """What another process makes of the same state file and account."""
    house.catalog.stop()
    house.twilio.requests.clear()
    catalog = house.remount()
    assert catalog.load()
    return catalog


def test_what_was_deleted_elsewhere_is_not_listed_again_by_who_lists_anew(tmp_path: Path) -> None:
    house = House(tmp_path / "state.sqlite3")
    sids = [house.twilio.add(Kind.RECORDING, number) for number in range(3 * FETCH_LIMIT)]
    hidden = house.twilio.add(Kind.COMPOSITION, 1)
    house.catalog.first_listing()
    deleted = sids[: FETCH_LIMIT + 20]
    for number, sid in enumerate(deleted):
        (house.twilio.delete if number % 2 else house.twilio.forget)(sid)
    house.twilio.hidden = {hidden}

    catalog = remounted(house)
    assert set(deleted) < set(catalog.media())
    catalog.first_listing()
    # What no list names and Twilio has nevertheless stays.
    assert set(catalog.media()) == house.twilio.completed() == {hidden, *sids[len(deleted) :]}
    assert house.twilio.requests["fetch"] == len(deleted) + 1
    assert set(remounted(house).media()) == house.twilio.completed()
    house.catalog.stop()


def test_who_lists_anew_while_single_looks_fail_is_shown_what_was_known(tmp_path: Path) -> None:
    house = House(tmp_path / "state.sqlite3")
    sids = [house.twilio.add(Kind.RECORDING, number) for number in range(3 * FETCH_LIMIT)]
    house.catalog.first_listing()
    for sid in sids[:-1]:
        house.twilio.delete(sid)
    catalog = remounted(house)
    house.twilio.fail_fetch = Unreachable("down")
    catalog.first_listing()
    assert set(catalog.media()) == set(sids)
    assert 1 <= house.twilio.requests["fetch"] <= LOOKS_AT_ONCE
    assert catalog.status()["refresh_error"] == "down"
    catalog.stop()


def test_a_list_that_shifts_while_it_is_paged_makes_nothing_vanish(house: House) -> None:
    """Twilio still has what one listing lacked: it stays, at the cost of one request."""
    house.catalog.info(sid_of(Kind.RECORDING, 2), house.deadline())
    shifted = house.twilio.records.pop(sid_of(Kind.RECORDING, 2))
    refresher = refresher_of(house.catalog)
    outcomes = refresher._lists.gather(full=True)
    house.twilio.records[str(shifted["sid"])] = shifted
    refresher._apply_listings(outcomes, full=True)
    assert house.catalog.status()["in_doubt"] == 1
    refresher._look_singly({})
    assert house.twilio.requests["fetch"] == 1
    assert len(house.catalog.media()) == 8
    assert house.catalog.status()["in_doubt"] == 0
    assert not house.catalog._prober.order.doubted, "its object is in no doubt"


def behind(house: House, number: int, status: str | None) -> str:
    """A recording of which the list says something else than the single look."""
    sid = sid_of(Kind.RECORDING, number)
    house.twilio.hidden = {sid}
    house.twilio.extra[Kind.RECORDING] = [{**house.twilio.records[sid], "status": status}]
    return sid


@pytest.mark.parametrize("status", ["processing", "failed", None])
@pytest.mark.parametrize("full", [True, False])
def test_a_list_that_is_behind_hides_nothing(house: House, status: str | None, *, full: bool) -> None:
    sid = behind(house, 2, status)
    before = dict(house.catalog.media())
    house.twilio.fail_fetch = Unreachable("down")
    refresher_of(house.catalog).round(full=full)
    assert house.catalog.media() == before
    assert house.catalog.status()["in_doubt"] == 1
    house.twilio.fail_fetch = None
    refresher_of(house.catalog).round(full=full)
    assert house.catalog.media() == before
    assert house.catalog.status()["in_doubt"] == 0
    house.twilio.records[sid]["status"] = status
    refresher_of(house.catalog).round(full=full)
    assert sid not in house.catalog.media(), "the single look says so, too"


def test_a_list_that_names_a_medium_as_deleted_is_believed(house: House) -> None:
    sid = behind(house, 2, "deleted")
    refresher_of(house.catalog).round(full=True)
    assert sid not in house.catalog.media()
    assert house.twilio.requests["fetch"] == 0


def test_an_account_that_seems_empty_vanishes_only_by_name(house: House) -> None:
    """An empty 200 answer to a listing is no proof of anything."""
    kept, house.twilio.records = house.twilio.records, {}
    refresher = refresher_of(house.catalog)
    outcomes = refresher._lists.gather(full=True)
    house.twilio.records = kept
    refresher._apply_listings(outcomes, full=True)
    refresher._look_singly({})
    assert len(house.catalog.media()) == 8


def test_thousands_of_deletions_are_worked_off_within_the_quota() -> None:
    house = House()
    house.twilio.page_size = 100
    sids = [house.twilio.add(Kind.RECORDING, number) for number in range(5 * FETCH_LIMIT)]
    house.catalog.first_listing()
    for sid in sids:
        house.twilio.forget(sid)
    house.catalog.refresh_now()
    let_pass(house, 4 * BACKLOG_SECONDS + 1)
    assert house.catalog.media() == {}
    assert house.twilio.requests["fetch"] == 5 * FETCH_LIMIT
    house.catalog.stop()


@pytest.mark.parametrize("trouble", [Unreachable("down"), CredentialsRefused("refused")])
@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("full", [True, False])
def test_a_failing_page_leaves_the_last_truth(
    house: House, caplog: pytest.LogCaptureFixture, trouble: TwfsError, page: int, *, full: bool
) -> None:
    before = dict(house.catalog.media())
    success = house.catalog.status()["last_refresh"]
    fresh = [house.twilio.add(Kind.RECORDING, number, created=house.clock.wall()) for number in range(100, 105)]
    house.twilio.fail_page = {kind: (page if kind is Kind.RECORDING else 0, trouble) for kind in Kind}
    for _ in range(3):
        house.clock.advance(60)
        refresher_of(house.catalog).round(full=full)
    assert house.catalog.media() == before
    assert house.catalog.status()["refresh_error"] == str(trouble)
    assert house.catalog.status()["last_refresh"] == success
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 2, "once per list"
    house.twilio.fail_page.clear()
    refresher_of(house.catalog).round(full=full)
    assert set(house.catalog.media()) == {*before, *fresh}
    assert house.catalog.status()["refresh_error"] is None


def test_one_list_failing_does_not_hold_up_the_other(house: House) -> None:
    house.twilio.fail_page[Kind.RECORDING] = (0, Unreachable("down"))
    sid = house.twilio.add(Kind.COMPOSITION, 50, created=house.clock.wall())
    let_pass(house, 61)
    assert sid in house.catalog.media()
    assert len(house.catalog.media()) == 9


def test_an_outage_during_single_looks_costs_one_request_a_round(house: House) -> None:
    for number in range(4):
        house.twilio.delete(sid_of(Kind.RECORDING, number))
    house.twilio.fail_fetch = Unreachable("down")
    house.catalog.refresh_now()
    let_pass(house, 600)
    assert house.twilio.requests["fetch"] <= 600 / 60 + 1
    assert len(house.catalog.media()) == 8
    house.twilio.fail_fetch = None
    let_pass(house, 61)
    assert len(house.catalog.media()) == 4


def test_one_medium_that_cannot_be_asked_for_keeps_no_other_waiting(house: House) -> None:
    long_in_the_making = house.twilio.add(Kind.RECORDING, 50, "processing", created=START - 1_000_000)
    refresher_of(house.catalog).round(full=True)
    house.twilio.complete(long_in_the_making)
    stuck, *gone = (sid_of(Kind.RECORDING, number) for number in range(4))
    house.twilio.fail_fetch_of[stuck] = Unreachable("HTTP 500")
    for sid in (stuck, *gone):
        house.twilio.delete(sid)
        house.catalog.suspect(sid)
    let_pass(house, 200)
    assert house.catalog.media().keys().isdisjoint(gone)
    assert {stuck, long_in_the_making} <= house.catalog.media().keys()


def test_an_outage_of_single_looks_is_over_once_a_list_has_settled_what_they_were_for(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    old = house.twilio.add(Kind.RECORDING, 50, "processing", created=START - 1_000_000)
    refresher_of(house.catalog).round(full=True)
    house.twilio.fail_fetch = Unreachable("down")
    refresher_of(house.catalog).round(full=False)
    assert house.catalog.status()["refresh_error"] == "down"
    house.twilio.complete(old)
    refresher_of(house.catalog).round(full=True)
    assert house.catalog.status()["refresh_error"] is None
    assert "media in doubt could be looked at again" in caplog.messages


def test_a_failed_full_pass_is_tried_again_before_six_hours(house: House) -> None:
    house.twilio.fail_page[Kind.RECORDING] = (2, Unreachable("down"))
    let_pass(house, FULL_PASS_SECONDS + 60)
    house.twilio.fail_page.clear()
    gone = sid_of(Kind.RECORDING, 3)
    house.twilio.delete(gone)
    let_pass(house, FULL_RETRY_SECONDS + 60)
    assert gone not in house.catalog.media()


def test_records_that_are_no_media_are_skipped_with_one_line(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.twilio.extra[Kind.RECORDING] = [None, 7, [], {"sid": "../../x"}, {"status": "completed"}]
    for _ in range(2):
        refresher_of(house.catalog).round(full=True)
    assert len(house.catalog.media()) == 8
    assert len([r for r in caplog.records if "skipped" in r.getMessage()]) == 1


def test_names_beyond_measure_are_cut_with_one_line(house: House, caplog: pytest.LogCaptureFixture) -> None:
    sids = [house.twilio.add(Kind.RECORDING, number) for number in (50, 51)]
    for sid in sids:
        house.twilio.records[sid]["track_name"] = "n" * 3_000_000
    for _ in range(2):
        refresher_of(house.catalog).round(full=True)
    assert [len(house.catalog.media()[sid].track_name or "") for sid in sids] == [1024, 1024]
    assert len(house.catalog.media()) == 10
    assert len([r for r in caplog.records if "its track_name is longer than" in r.getMessage()]) == 1


def test_a_record_is_skipped_until_a_full_list_has_none_such(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.twilio.extra[Kind.RECORDING] = [None]
    refresher_of(house.catalog).round(full=True)
    house.twilio.extra[Kind.RECORDING] = []
    refresher_of(house.catalog).round(full=False)
    assert house.catalog.status()["refresh_error"] is not None
    refresher_of(house.catalog).round(full=True)
    assert house.catalog.status()["refresh_error"] is None
    assert "no record of the list of recordings is skipped any more" in caplog.messages


def test_the_same_medium_on_two_pages_is_one(house: House) -> None:
    again = [house.twilio.records[sid_of(Kind.RECORDING, number)] for number in range(5)]
    house.twilio.extra[Kind.RECORDING] = [*again]
    refresher_of(house.catalog).round(full=True)
    assert len(house.catalog.media()) == 8


def test_a_date_in_the_future_does_not_hide_new_media(house: House) -> None:
    house.twilio.add(Kind.RECORDING, 50, created=START + 1_000_000_000)
    let_pass(house, 61)
    sid = house.twilio.add(Kind.RECORDING, 51, created=house.clock.wall())
    let_pass(house, 61)
    assert sid in house.catalog.media()


def test_the_selection_bounds_incremental_listings() -> None:
    house = House(settings=CatalogSettings(kind="recordings", since=START - 10, until=START + 10, room=room_of(1)))
    house.twilio.add(Kind.RECORDING, 1, created=START)
    house.catalog.first_listing()
    let_pass(house, 61)
    wanted = ListFilter(created_after=START - 10, created_before=START + 10, room_sid=room_of(1))
    assert house.twilio.filters == [(Kind.RECORDING, wanted)] * 2
    house.catalog.stop()


def test_a_suspect_that_is_gone_vanishes_at_once(house: House) -> None:
    gone = sid_of(Kind.RECORDING, 3)
    house.twilio.forget(gone)
    let_pass(house, 1)
    house.catalog.suspect(gone)
    let_pass(house, 1)
    assert gone not in house.catalog.media()
    assert house.twilio.requests == {"fetch": 1}


def test_a_suspect_that_is_there_is_examined_again(house: House) -> None:
    sid = sid_of(Kind.RECORDING, 3)
    house.catalog.info(sid, house.deadline())
    house.twilio.objects[sid] = facts_of(sid_of(Kind.RECORDING, 999), 5000)
    version = house.catalog.version
    house.catalog.suspect(sid)
    let_pass(house, 1)
    assert sid in house.catalog.media()
    house.catalog._probing.step()
    info = house.catalog.known_info(sid)
    assert info is not None
    assert info.plain_size == 4993
    assert house.catalog.version == version + 1


def test_a_look_that_is_answered_with_another_medium_changes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid, other = sid_of(Kind.RECORDING, 3), sid_of(Kind.RECORDING, 4)
    known = dict(house.catalog.media())
    answer = {**house.twilio.records[other], "track_name": "odd"}
    monkeypatch.setattr(house.twilio, "fetch", lambda _kind, _sid: answer)
    house.catalog.suspect(sid)
    let_pass(house, 1)
    assert dict(house.catalog.media()) == known
    assert house.catalog.status()["in_doubt"] == 1


def test_the_last_success_is_the_last_list_that_came(house: House) -> None:
    house.clock.advance(100)
    refresher_of(house.catalog).round(full=False)
    came_at = house.clock.wall()
    assert refresher_of(house.catalog).last_success == came_at
    house.twilio.fail_page = {kind: (0, Unreachable("down")) for kind in Kind}
    house.clock.advance(100)
    refresher_of(house.catalog).round(full=False)
    assert refresher_of(house.catalog).last_success == came_at


def test_a_reader_that_complains_all_the_time_costs_little(house: House) -> None:
    sid = sid_of(Kind.RECORDING, 3)
    for _ in range(300):
        house.catalog.suspect(sid)
        let_pass(house, 0.1)
    assert house.twilio.requests["fetch"] <= 30 / DOUBT_SECONDS + 1
    in_doubt = house.catalog.status()["in_doubt"]
    house.catalog.suspect("RTunknown")
    assert house.catalog.status()["in_doubt"] == in_doubt


def test_a_deleted_medium_that_was_never_probed_does_not_stay_as_an_empty_file(house: House) -> None:
    gone = sid_of(Kind.RECORDING, 3)
    house.twilio.delete(gone)
    house.catalog.info(gone, house.deadline())
    let_pass(house, 1)
    assert gone not in house.catalog.media()


def test_a_remount_asks_for_what_is_new_at_once_and_lists_all_after_six_hours(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    for number in range(7):
        house.twilio.add(Kind.RECORDING, number, created=START - 100_000 + OVERLAP * number)
    house.catalog.first_listing()
    house.catalog.stop()
    house.twilio.requests.clear()
    house.clock.advance(3600)
    assert house.remount().load()
    let_pass(house, 1)
    assert house.twilio.requests == {"recordings": 1, "compositions": 1}
    house.catalog.stop()
    house.clock.advance(5 * 3600)
    house.twilio.requests.clear()
    assert house.remount().load()
    let_pass(house, 1)
    assert house.twilio.requests == {"recordings": 3, "compositions": 1}
    house.catalog.stop()


def test_a_clock_that_jumped_back_leads_to_a_full_pass(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    house.twilio.add(Kind.RECORDING, 1)
    house.catalog.first_listing()
    house.catalog.stop()
    house.clock.wall_now -= 86400
    assert house.remount().load()
    let_pass(house, 1)
    assert house.twilio.filters[-1][1] == ListFilter()
    house.catalog.stop()


def test_what_a_refresh_learns_survives_a_remount(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    house.twilio.add(Kind.RECORDING, 1)
    gone = house.twilio.add(Kind.RECORDING, 2)
    house.catalog.first_listing()
    house.twilio.add(Kind.RECORDING, 3)
    house.twilio.delete(gone)
    refresher_of(house.catalog).round(full=True)
    media = dict(house.catalog.media())
    assert len(media) == 2
    house.catalog.stop()
    assert house.remount().load()
    assert house.catalog.media() == media
    house.catalog.stop()


def test_refresh_now_wakes_the_thread(house: House) -> None:
    house.catalog.start()
    sid = house.twilio.add(Kind.RECORDING, 50, created=START - 90_000_000)
    house.catalog.refresh_now()
    deadline = Deadline(SystemClock(), 30)
    while sid not in house.catalog.media():
        deadline.remaining()
        threading.Event().wait(0.002)
    house.catalog.stop()


def test_stop_ends_a_listing_after_its_page(house: House) -> None:
    refresher_of(house.catalog).stop()
    house.twilio.requests.clear()
    refresher_of(house.catalog).round(full=True)
    assert house.twilio.requests == {"recordings": 1, "compositions": 1}
    assert len(house.catalog.media()) == 8
