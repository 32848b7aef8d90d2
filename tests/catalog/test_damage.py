"""A state file that is damaged while it is in use: what is asked is an error until all is listed anew, never less."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.catalog.fakes import sid_of
from tests.catalog.test_catalog import House, assert_nothing_is_told
from twfs.catalog import store
from twfs.catalog.catalog import Catalog
from twfs.catalog.refresh import CHECK_SECONDS
from twfs.clock import Deadline
from twfs.errors import Unreachable
from twfs.resources import Kind, Medium

COUNT = 12
ONE = sid_of(Kind.RECORDING, 3)

DAMAGE = [
    f"UPDATE media SET fields = replace(fields, 'completed', 'failed') WHERE sid = '{ONE}'",
    f"UPDATE media SET shown = 0 WHERE sid = '{ONE}'",
    f"UPDATE media SET kind = 1 WHERE sid = '{ONE}'",
    f"UPDATE media SET day = 1 WHERE sid = '{ONE}'",
    f"DELETE FROM media WHERE sid = '{ONE}'",
    "UPDATE folders SET below = 0 WHERE path LIKE '/by-date/%'",
    "UPDATE folders SET media = 0, newest = 0 WHERE path = '/recordings'",
    "UPDATE totals SET media = media - 1",
    "UPDATE listing SET resources = 1",
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "a.sqlite3")
    for number in range(COUNT):
        house.twilio.add(Kind.RECORDING, number)
    house.catalog.first_listing()
    yield house
    house.catalog.stop()


def damage(house: House, statement: str) -> None:
    assert house.path is not None
    with closing(sqlite3.connect(house.path, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("statement", DAMAGE)
def test_nothing_vanishes_whatever_is_damaged(house: House, statement: str) -> None:
    """The full pass looks over the file before it compares; whoever meets the damage earlier is told of it."""
    damage(house, statement)
    house.catalog.refresh_now()
    for _ in range(2):
        house.catalog._refresher.step()
    assert set(house.catalog.media()) == house.twilio.completed()
    assert len(house.catalog.page("/recordings", 0, 99)) == house.catalog.totals().media == COUNT
    assert [folder.path for folder in house.catalog.subfolders("/by-date", 0, 9)] == ["/by-date/2017"]


def test_until_all_is_listed_anew_everything_is_an_error_and_then_it_is_as_before(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    version = house.catalog.version
    damage(house, DAMAGE[0])
    with pytest.raises(Unreachable, match="not known yet"):
        house.catalog.page("/recordings", 0, 99)
    assert house.catalog.version > version
    assert_nothing_is_told(house.catalog)
    house.twilio.fail_page[Kind.RECORDING] = (2, Unreachable("down"))
    assert house.catalog._refresher.step() > 0
    assert_nothing_is_told(house.catalog)
    assert house.catalog.status()["refresh_error"] == "down"
    house.twilio.fail_page.clear()
    house.clock.advance(60)
    house.catalog._refresher.step()
    assert len(house.catalog.page("/recordings", 0, 99)) == COUNT
    assert house.catalog.status()["refresh_error"] is None
    (first, second) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "set aside as a.sqlite3.damaged, begun anew" in first
    assert "could not be listed anew" in second


def test_damage_wakes_the_thread_that_lists_anew(house: House) -> None:
    house.catalog.start()
    damage(house, DAMAGE[0])
    with pytest.raises(Unreachable):
        house.catalog.page("/recordings", 0, 99)
    deadline = Deadline(house.clock, 1e9)
    while house.catalog._store.listed_at is None:
        deadline.remaining()
        threading.Event().wait(0.002)
    assert house.catalog.find(ONE) is not None


def test_a_look_over_the_file_is_not_misled_by_who_writes_meanwhile(house: House) -> None:
    over = threading.Event()

    def write(catalog: Catalog) -> None:
        number = 1000
        while not over.is_set():
            number += 1
            catalog._store.apply([Medium(sid_of(Kind.RECORDING, number), Kind.RECORDING, status="completed")])
            catalog._store.apply([], [sid_of(Kind.RECORDING, number)])

    writer = threading.Thread(target=write, args=(house.catalog,))
    writer.start()
    try:
        for _ in range(100):
            house.catalog._store.check()
            assert house.catalog._store.is_whole
    finally:
        over.set()
        writer.join()
    assert len(house.catalog.page("/recordings", 0, 99)) == COUNT


@pytest.mark.parametrize("statement", DAMAGE)
def test_damage_of_a_large_file_is_found_a_minute_after_it_was_taken_over(
    house: House, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that no listing of what is damaged is short of a name: it is an error."""
    monkeypatch.setattr(store, "SMALL", 0)
    house.catalog.stop()
    damage(house, statement)
    assert house.remount().load()
    house.clock.advance(CHECK_SECONDS)
    for _ in range(2):
        house.catalog._refresher.step()
        house.clock.advance(CHECK_SECONDS)
    assert len(house.catalog.page("/recordings", 0, 99)) == COUNT
    assert [folder.path for folder in house.catalog.subfolders("/by-date", 0, 9)] == ["/by-date/2017"]


QUESTIONS: list[Callable[[Catalog], object]] = [
    lambda catalog: catalog.find(ONE),
    lambda catalog: len(catalog.page("/recordings", 0, 99)),
    lambda catalog: catalog.folder("/recordings"),
    lambda catalog: [folder.path for folder in catalog.subfolders("/by-date", 0, 9)],
    lambda catalog: catalog.totals(),
    lambda catalog: catalog.known_sizes([ONE]),
    lambda catalog: list(catalog.media()),
]


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_reader_does_not_wait_for_a_writer(house: House, ask: Callable[[Catalog], object]) -> None:
    """Not even for one that is in the middle of a transaction."""
    expected = ask(house.catalog)
    in_the_middle, may_end = threading.Event(), threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM media")
        connection.execute("DELETE FROM folders")
        in_the_middle.set()
        assert may_end.wait(10)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")

    writer = threading.Thread(target=house.catalog._store.database.write, args=(work,))
    writer.start()
    try:
        assert in_the_middle.wait(10)
        house.catalog._store._recent.clear()
        assert ask(house.catalog) == expected
    finally:
        may_end.set()
        writer.join()


def test_a_number_never_means_another_medium_while_a_mount_stands(house: House) -> None:
    """What was told of sizes and objects is remembered by number, also over a file that is begun anew."""
    before = {found.medium.sid: found.cookie for found in house.catalog.page("/recordings", 0, 99)}
    damage(house, DAMAGE[0])
    house.catalog.refresh_now()
    for _ in range(2):
        house.catalog._refresher.step()
    after = {found.medium.sid: found.cookie for found in house.catalog.page("/recordings", 0, 99)}
    assert after.keys() == before.keys()
    assert min(after.values()) > max(before.values())
