import json
from dataclasses import replace
from typing import Any

import pytest

from tests.cli.running import Account
from twfs.catalog.options import CatalogSettings
from twfs.cli.ls import record_of, selection_of, table_of
from twfs.cli.main import main
from twfs.errors import ConfigError
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium
from twfs.simulator.faults import Fault
from twfs.simulator.samples import HOSTILE_TRACK_NAME

MEDIUM = Medium(
    sid="RT" + "1" * 32,
    kind=Kind.RECORDING,
    status="completed",
    created_at=1511455637,
    duration=8,
    codec="VP8",
    container="mkv",
    room_sid="RM" + "2" * 32,
    track_name="camera",
)
INFO = MediaInfo(MediaState.READABLE, 180899, encrypted=True, facts=ObjectFacts(180912, '"e"'))


def listed(account: Account, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["ls", account.source, "--json", *account.flags, *words]) == 0
    records: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return records


def test_every_completed_medium_once_in_the_order_of_time(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    simulated = account.simulated.simulator.account
    completed = {medium.sid for kind in Kind for medium in simulated.media(kind) if medium.status == "completed"}
    records = listed(account, capsys)
    assert {record["sid"] for record in records} == completed
    assert len(records) == len(completed)
    moments = [record["date_created"] for record in records]
    assert moments == sorted(moments)


def test_a_list_costs_one_request_per_page_and_no_media(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    listed(account, capsys)
    simulator = account.simulated.simulator
    assert (simulator.count("api.list"), simulator.count("api"), simulator.count("s3")) == (2, 2, 0)


def test_selection(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    everything = listed(account, capsys)
    room = everything[0]["room_sid"]
    moment = everything[5]["date_created"]
    assert {record["kind"] for record in listed(account, capsys, "--kind", "compositions")} == {"compositions"}
    of_room = [record for record in everything if record["room_sid"] == room]
    assert listed(account, capsys, "--room", room) == of_room
    assert listed(account, capsys, "--since", moment) == [r for r in everything if r["date_created"] >= moment]
    assert listed(account, capsys, "-o", f"until={moment}") == [r for r in everything if r["date_created"] < moment]


def test_table_cannot_be_broken_by_a_tracks_name(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", account.source, *account.flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["TIME", "KIND", "SECONDS"]
    assert len(lines) == 1 + 13
    assert all(line.isprintable() for line in lines)
    assert any(HOSTILE_TRACK_NAME[:16] in line for line in lines)


def test_known_size_and_state_are_shown() -> None:
    heading, row = table_of([(MEDIUM, INFO)]).splitlines()
    assert row.split() == [
        "2017-11-23T16:47:17Z",
        "recording",
        "8",
        "180899",
        "VP8",
        "readable,",
        "encrypted",
        MEDIUM.room_sid,
        MEDIUM.sid,
        "camera",
    ]
    assert heading.index("TRACK") == row.index("camera")


def test_what_is_unknown_is_a_dash_or_null() -> None:
    bare = Medium("CJ" + "1" * 32, Kind.COMPOSITION)
    row = table_of([(bare, None)]).splitlines()[1]
    assert row.split() == ["-", "composition", "-", "-", "-", "-", "-", bare.sid, "-"]
    record = record_of(bare, None)
    assert (record["size"], record["encrypted"], record["date_created"]) == (None, None, None)


def test_moment_beyond_the_calendar_is_unknown() -> None:
    assert record_of(replace(MEDIUM, created_at=2**62), INFO)["date_created"] is None


def test_selection_is_taken_out_of_the_overrides() -> None:
    overrides = {"kind": "recordings", "since": "1970-01-02", "timeout": "5"}
    assert selection_of(overrides) == CatalogSettings(kind="recordings", since=86400)
    assert overrides == {"timeout": "5"}
    with pytest.raises(ConfigError, match="option room"):
        selection_of({"room": "RM1"})


def test_outage_with_nothing_known_is_a_failure(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.simulated.simulator.inject(Fault("api.list", status=500, times=None))
    assert main(["ls", account.source, *account.flags, "--timeout", "1"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1


def test_outage_shows_what_was_known_and_says_so(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    before = listed(account, capsys)
    account.simulated.simulator.inject(Fault("api.list", status=500, times=None))
    assert main(["ls", account.source, "--json", *account.flags, "--timeout", "1"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out) == before
    assert "what was known before" in shown.err
