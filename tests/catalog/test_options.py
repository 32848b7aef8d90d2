import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.fakes import ACCOUNT, START, record_of, room_of
from twfs.catalog.options import (
    DEFAULT_API_URL,
    OPTIONS,
    CatalogSettings,
    default_state_dir,
    parse_moment,
    parse_room,
    store_path,
)
from twfs.errors import ConfigError
from twfs.resources import Kind, ListFilter, parse_medium


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2017-11-23T16:47:17Z", START),
        ("2017-11-23T17:47:17+01:00", START),
        ("2017-11-23T16:47:17", START),
        (" 2017-11-23 ", START - START % 86400),
        ("1970-01-01", 0),
        ("2017-11-23T16:47:16.999Z", START),
        ("2017-11-23T16:47:17.000Z", START),
        ("1969-12-31T23:59:58.5Z", -1),
    ],
)
def test_moments(text: str, moment: int) -> None:
    assert parse_moment(text) == moment


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - zoneless on purpose
def test_moments_without_zone_are_utc(moment: datetime) -> None:
    assert parse_moment(moment.isoformat()) == -int(-moment.replace(tzinfo=UTC).timestamp() // 1)


@pytest.mark.parametrize("text", ["", "yesterday", "2017-13-01", "0001-01-01T00:00:00+23:59x"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ConfigError, match="no date"):
        parse_moment(text)


@pytest.mark.parametrize("until", [START - 1, START])
def test_what_can_select_nothing_is_refused(until: int) -> None:
    with pytest.raises(ConfigError, match="until is not after since"):
        CatalogSettings(since=START, until=until)
    assert CatalogSettings(since=START, until=START + 1).since == START


def test_rooms() -> None:
    assert parse_room(room_of(1)) == room_of(1)
    with pytest.raises(ConfigError, match="no room SID"):
        parse_room(ACCOUNT)


def test_the_option_table_parses_its_own_words() -> None:
    table = {option.name: option for option in OPTIONS}
    assert set(table) == {"refresh", "state_dir", "kind", "room", "since", "until"}
    assert table["kind"].parse("compositions") == "compositions"
    assert table["refresh"].parse("5") == 5
    assert table["state_dir"].parse("/x/y") == Path("/x/y")
    with pytest.raises(ConfigError):
        table["refresh"].parse("0")
    with pytest.raises(ConfigError):
        table["kind"].parse("rooms")
    with pytest.raises(ConfigError, match="home directory"):
        table["state_dir"].parse("~nobody-of-that-name/x")
    with pytest.raises(ConfigError, match="a path is needed"):
        table["state_dir"].parse("")


def test_the_state_folder() -> None:
    assert default_state_dir({"CACHE_DIRECTORY": "/var/cache/twfs:/var/cache/other", "HOME": "/h"}) == Path(
        "/var/cache/twfs"
    )
    assert default_state_dir({"HOME": "/h"}) == Path("/h/.cache/twfs")
    assert default_state_dir({"HOME": ""}).is_absolute()


def test_each_selection_has_its_own_file() -> None:
    plain = CatalogSettings()
    selections = [
        plain,
        CatalogSettings(kind="recordings"),
        CatalogSettings(room=room_of(1)),
        CatalogSettings(since=1),
        CatalogSettings(until=1),
    ]
    paths = {store_path(Path("/s"), ACCOUNT, url, s) for s in selections for url in (DEFAULT_API_URL, "http://[::1]:1")}
    assert len(paths) == 10
    assert store_path(Path("/s"), ACCOUNT, DEFAULT_API_URL + "/", plain) == Path(f"/s/{ACCOUNT}.sqlite3")
    assert store_path(Path("/s"), ACCOUNT, DEFAULT_API_URL, dataclasses.replace(plain, refresh=5)) in paths


@pytest.mark.parametrize("account", ["", "../../etc/passwd", "AC123", ACCOUNT + "/x"])
def test_an_account_that_is_none_names_no_file(account: str) -> None:
    with pytest.raises(ConfigError, match="account SID"):
        store_path(Path("/s"), account, DEFAULT_API_URL, CatalogSettings())


def test_the_selection_is_half_open() -> None:
    medium = parse_medium(Kind.RECORDING, record_of(Kind.RECORDING, 1))
    assert CatalogSettings(since=START, until=START + 1).includes(medium)
    assert not CatalogSettings(until=START).includes(medium)
    assert not CatalogSettings(since=START + 1).includes(medium)
    assert not CatalogSettings(kind="compositions").includes(medium)
    assert not CatalogSettings(room=room_of(2)).includes(medium)
    assert CatalogSettings(since=5, until=9, room="RM").wanted == ListFilter(5, 9, "RM")


def test_a_medium_without_date_is_not_hidden_by_dates() -> None:
    medium = parse_medium(Kind.RECORDING, {**record_of(Kind.RECORDING, 1), "date_created": None})
    assert CatalogSettings(since=1, until=2).includes(medium)


def test_a_medium_without_room_is_of_the_room_only_where_twilio_chose_it() -> None:
    medium = parse_medium(Kind.RECORDING, {**record_of(Kind.RECORDING, 1), "grouping_sids": None})
    assert medium.room_sid is None
    assert CatalogSettings(room=room_of(1)).includes(medium)
    assert not CatalogSettings(room=room_of(1)).chooses(medium)
    assert CatalogSettings().chooses(medium)
    assert not CatalogSettings(kind="compositions").chooses(medium)
