import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.fakes import FakeClock, FakeInterpreter, FakeTwilio, record_of, room_of, sid_of
from twfs.catalog.catalog import Catalog
from twfs.catalog.changes import Applied
from twfs.catalog.options import CatalogSettings
from twfs.catalog.store import Store
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, NoSuchName, Unreachable
from twfs.probe import MediaState
from twfs.resources import Kind


class House:
    """A catalogue over a fake account."""

    def __init__(self, path: Path | None = None, settings: CatalogSettings | None = None) -> None:
        self.twilio = FakeTwilio()
        self.clock = FakeClock()
        self.interpreter = FakeInterpreter()
        self.path = path
        self.settings = settings or CatalogSettings()
        self.catalog = self.remount()

    def remount(self) -> Catalog:
        store = Store(self.path)
        self.catalog = Catalog(self.twilio, self.twilio, self.interpreter, store, self.settings, self.clock)
        return self.catalog

    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30)


def assert_nothing_is_told(catalog: Catalog) -> None:
    """Neither an empty folder nor a missing name: it is not known what there is."""
    sid = sid_of(Kind.RECORDING, 1)
    questions: list[Callable[[], object]] = [
        lambda: list(catalog.media()),
        lambda: len(catalog.media()),
        lambda: catalog.find(sid),
        lambda: catalog.folder("/recordings"),
        lambda: catalog.subfolders("", 0, 9),
        lambda: catalog.page("/recordings", 0, 9),
        lambda: catalog.known_sizes([sid]),
        catalog.totals,
        lambda: catalog.info(sid, Deadline(FakeClock(), 30)),
    ]
    for ask in questions:
        with pytest.raises(Unreachable, match="not known yet"):
            ask()


def test_nothing_is_known_and_nothing_asked_at_first(tmp_path: Path) -> None:
    house = House(tmp_path / "state" / "a.sqlite3")
    assert house.catalog.load() is False
    assert not house.twilio.requests
    assert_nothing_is_told(house.catalog)
    house.catalog.stop()


def test_a_remount_knows_everything_without_a_request(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    sids = [house.twilio.add(kind, number) for kind in Kind for number in range(5)]
    house.catalog.first_listing()
    infos = {sid: house.catalog.info(sid, house.deadline()) for sid in sids}
    media = dict(house.catalog.media())
    house.catalog.stop()
    house.twilio.requests.clear()
    house.interpreter.calls = 0

    catalog = house.remount()
    assert catalog.load() is True
    assert catalog.media() == media
    assert {sid: catalog.known_info(sid) for sid in sids} == infos
    assert {sid: catalog.info(sid, house.deadline()) for sid in sids} == infos
    assert not house.twilio.requests
    assert house.interpreter.calls == 0
    catalog.stop()


class SlowStore(Store):
    """What is done as soon as the state file was written, and nobody was told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.meanwhile: Callable[[], object] = lambda: None

    def apply(self, *what: Any, **more: Any) -> Applied:
        applied = super().apply(*what, **more)
        self.meanwhile()
        return applied


def test_what_is_shown_can_be_asked_for_at_once() -> None:
    house = House()
    store = SlowStore()
    catalog = Catalog(house.twilio, house.twilio, house.interpreter, store, house.settings, house.clock)
    house.twilio.add(Kind.RECORDING, 1)
    catalog.first_listing()
    new = house.twilio.add(Kind.RECORDING, 2)
    seen: list[object] = []

    def look() -> None:
        assert new in catalog.media()
        seen.append(catalog.size(new, house.deadline()))
        seen.append(catalog.info(new, house.deadline()).state)

    store.meanwhile = look
    catalog.list_again()
    assert seen == [catalog.known_size(new), MediaState.READABLE]
    catalog.stop()
    house.catalog.stop()


@pytest.mark.parametrize("trouble", [Unreachable("down"), CredentialsRefused("refused")])
@pytest.mark.parametrize("page", [0, 1])
def test_a_first_listing_comes_whole_or_raises(trouble: Exception, page: int) -> None:
    house = House()
    for number in range(6):
        house.twilio.add(Kind.RECORDING, number)
        house.twilio.add(Kind.COMPOSITION, number)
    assert isinstance(trouble, Unreachable | CredentialsRefused)
    house.twilio.fail_page[Kind.COMPOSITION] = (page, trouble)
    with pytest.raises(type(trouble)):
        house.catalog.first_listing()
    assert_nothing_is_told(house.catalog)
    assert house.catalog.load() is False
    assert_nothing_is_told(house.catalog)
    house.catalog.stop()


def test_first_listing_asks_each_page_once() -> None:
    house = House()
    for number in range(7):
        house.twilio.add(Kind.RECORDING, number)
    house.catalog.first_listing()
    assert house.twilio.requests == {"recordings": 3, "compositions": 1}
    assert len(house.catalog.media()) == 7
    house.catalog.stop()


def test_only_completed_media_are_shown() -> None:
    house = House()
    shown = house.twilio.add(Kind.RECORDING, 1)
    for number, status in enumerate(["processing", "failed", "deleted", "enqueued"], 2):
        house.twilio.add(Kind.RECORDING, number, status)
    house.catalog.first_listing()
    assert list(house.catalog.media()) == [shown]
    house.catalog.stop()


def test_info_of_an_unknown_sid() -> None:
    house = House()
    house.catalog.first_listing()
    with pytest.raises(NoSuchName):
        house.catalog.info(sid_of(Kind.RECORDING, 1), house.deadline())
    assert house.catalog.known_info(sid_of(Kind.RECORDING, 1)) is None
    house.catalog.stop()


def test_a_selection_restricts_what_is_asked_and_shown() -> None:
    house = House(settings=CatalogSettings(kind="recordings", room=room_of(2)))
    house.twilio.add(Kind.RECORDING, 1, room=1)
    chosen = house.twilio.add(Kind.RECORDING, 2, room=2)
    house.twilio.add(Kind.COMPOSITION, 3, room=2)
    house.catalog.first_listing()
    assert list(house.catalog.media()) == [chosen]
    assert house.twilio.requests == {"recordings": 1}
    house.catalog.stop()


@pytest.mark.parametrize("grouping", [None, {}, {"participant_sid": f"PA{1:032x}"}])
def test_what_twilio_lists_of_a_room_is_shown_though_it_names_none(grouping: object) -> None:
    house = House(settings=CatalogSettings(kind="recordings", room=room_of(2)))
    sid = sid_of(Kind.RECORDING, 1)
    house.twilio.extra[Kind.RECORDING] = [{**record_of(Kind.RECORDING, 1), "grouping_sids": grouping}]
    house.catalog.first_listing()
    assert list(house.catalog.media()) == [sid]
    house.catalog.stop()


def test_what_moves_out_of_the_selection_is_not_shown() -> None:
    """The listing's filter is Twilio's; a record that contradicts it is not shown all the same."""
    house = House(settings=CatalogSettings(room=room_of(2)))
    moved = house.twilio.add(Kind.COMPOSITION, 1, room=2)
    house.catalog.first_listing()
    house.twilio.records[moved]["room_sid"] = room_of(3)
    house.catalog.suspect(moved)
    house.catalog._refresher._look_singly({})
    assert house.catalog.media() == {}
    house.catalog.stop()


def test_object_that_changed_is_examined_at_once_where_there_is_no_background(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    sid = house.twilio.add(Kind.RECORDING, 1)
    house.catalog.first_listing()
    before = house.catalog.info(sid, house.deadline())
    house.twilio.objects[sid] = replace(house.twilio.objects[sid], etag='"another"')
    house.twilio.probe_down = Unreachable("down")
    house.catalog.has_changed(sid)
    assert house.catalog.info(sid, house.deadline()) == before
    house.twilio.probe_down = None
    house.catalog.has_changed(sid)
    now = house.catalog.info(sid, house.deadline())
    assert now.etag == '"another"'
    house.catalog.stop()
    assert house.remount().load()
    assert house.catalog.known_info(sid) == now
    house.catalog.stop()


def test_reader_that_met_another_object_does_not_wait_where_there_is_a_background() -> None:
    house = House()
    sid = house.twilio.add(Kind.RECORDING, 1)
    house.catalog.first_listing()
    house.catalog.info(sid, house.deadline())
    house.catalog.start()
    # So that the background does not come to it either.
    house.twilio.fail_fetch = Unreachable("down")
    house.catalog.has_changed(sid)
    house.catalog.stop()
    assert house.twilio.requests["probe"] == 1


def test_listing_again_what_is_known_keeps_it(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    house.twilio.add(Kind.RECORDING, 1)
    house.catalog.first_listing()
    house.twilio.add(Kind.RECORDING, 2)
    house.catalog.first_listing()
    house.catalog.stop()
    assert house.remount().load()
    assert len(house.catalog.media()) == 2
    house.catalog.stop()


def test_before_start_no_state_file_is_left_open(tmp_path: Path) -> None:
    """A connection must not cross the daemonising fork."""
    house = House(tmp_path / "a.sqlite3")
    house.twilio.add(Kind.RECORDING, 1)
    house.catalog.first_listing()
    assert [file.name for file in tmp_path.iterdir()] == ["a.sqlite3"]
    house.remount().load()
    assert [file.name for file in tmp_path.iterdir()] == ["a.sqlite3"]
    house.catalog.stop()


def test_status_counts() -> None:
    house = House()
    readable = house.twilio.add(Kind.RECORDING, 1)
    absent = house.twilio.add(Kind.RECORDING, 2)
    del house.twilio.objects[absent]
    house.twilio.add(Kind.COMPOSITION, 3)
    house.twilio.add(Kind.COMPOSITION, 4, "processing")
    house.catalog.first_listing()
    assert house.catalog.info(readable, house.deadline()).state is MediaState.READABLE
    assert house.catalog.info(absent, house.deadline()).state is MediaState.ABSENT
    status = house.catalog.status()
    assert status["media"] == {"recordings": 2, "compositions": 1}
    assert status["states"] == {"readable": 1, "absent": 1, "locked": 0, "damaged": 0, "unknown": 1}
    assert (status["probes_pending"], status["unsettled"], status["plain_bytes"]) == (1, 1, 993)
    assert status["last_refresh"] == house.clock.wall()
    assert status["refresh_error"] is None
    house.catalog.stop()


def test_start_probes_all_in_the_background_and_stop_leaves_no_thread(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    sids = [house.twilio.add(Kind.RECORDING, number) for number in range(20)]
    before = set(threading.enumerate())
    house.catalog.first_listing()
    assert set(threading.enumerate()) == before
    house.catalog.start()
    infos = [house.catalog.info(sid, Deadline(house.clock, 30)) for sid in reversed(sids)]
    house.catalog.stop()
    assert set(threading.enumerate()) == before
    assert all(info.state is MediaState.READABLE for info in infos)
    assert sorted(house.twilio.inspected) == sorted(sids)


def locked_house(tmp_path: Path) -> tuple[House, list[str]]:
    """Three media that no key opens, all probed."""
    house = House(tmp_path / "a.sqlite3")
    house.interpreter.fits_all = False
    house.catalog.stop()
    house.remount()
    sids = [house.twilio.add(Kind.RECORDING, number) for number in range(3)]
    house.catalog.first_listing()
    assert {house.catalog.info(sid, house.deadline()).state for sid in sids} == {MediaState.LOCKED}
    house.twilio.requests.clear()
    return house, sids


def test_who_opens_a_locked_medium_gets_it_once_a_key_fits(tmp_path: Path) -> None:
    house, (first, second, _) = locked_house(tmp_path)
    house.interpreter.fits_all = True
    assert house.catalog.info(first, house.deadline()).state is MediaState.READABLE
    known = house.catalog.known_info(second)
    assert known is not None
    assert known.state is MediaState.LOCKED
    assert house.catalog.status()["states"] == {"readable": 1, "absent": 0, "locked": 2, "damaged": 0, "unknown": 0}
    assert not house.twilio.requests
    house.catalog.stop()


def test_when_keys_are_added_all_that_was_locked_is_looked_at_again_without_a_request(tmp_path: Path) -> None:
    house, sids = locked_house(tmp_path)
    sizes = {house.catalog.known_size(sid) for sid in sids}
    version = house.catalog.version
    house.interpreter.fits_all = True
    house.catalog.keys_added()
    # Sizes that were told may be wrong now, and none is told from memory before it is known again.
    assert house.catalog.version > version
    assert [house.catalog.known_size(sid) for sid in sids] == [None] * 3
    assert {house.catalog.size(sid, house.deadline()) for sid in sids} != sizes
    assert house.catalog.status()["states"]["readable"] == 3
    assert not house.twilio.requests
    house.catalog.stop()


def test_keys_that_open_nothing_new_change_nothing(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite3")
    sid = house.twilio.add(Kind.RECORDING, 1)
    house.catalog.first_listing()
    known, version = house.catalog.info(sid, house.deadline()), house.catalog.version
    house.catalog.keys_added()
    assert (house.catalog.known_info(sid), house.catalog.version) == (known, version)
    house.catalog.stop()
