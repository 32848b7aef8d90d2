import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Account
from tests.cli.test_get import of_track
from twfs.cli.ls import plain_lines, record_of, table_of
from twfs.cli.main import main
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
    assert lines[0].split()[:3] == ["TIME", "DURATION", "SIZE"]
    assert len(lines) == 1 + 13
    assert all(line.isprintable() for line in lines)
    assert any(HOSTILE_TRACK_NAME[:16] in line for line in lines)


def test_known_size_and_state_are_shown() -> None:
    heading, row = table_of([(MEDIUM, INFO)]).splitlines()
    room_and_track = [MEDIUM.room_sid, MEDIUM.sid, "camera", "-"]
    known = ["2017-11-23T16:47:17Z", "0:08", "176.7K", "recording", "VP8", "yes", "readable"]
    assert row.split() == known + room_and_track
    assert heading.index("TRACK") == row.index("camera")


def test_what_is_unknown_is_a_dash_or_null() -> None:
    bare = Medium("CJ" + "1" * 32, Kind.COMPOSITION)
    row = table_of([(bare, None)]).splitlines()[1]
    assert row.split() == ["-", "-", "-", "composition", "-", "-", "-", "-", bare.sid, "-", "-"]
    record = record_of(bare, None)
    assert (record["size"], record["encrypted"], record["date_created"]) == (None, None, None)


def test_moment_beyond_the_calendar_is_unknown() -> None:
    assert record_of(MEDIUM._replace(created_at=2**62), INFO)["date_created"] is None


@pytest.mark.parametrize(
    ("info", "shown"),
    [
        (INFO, ["176.7K", "yes", "readable"]),
        (replace(INFO, encrypted=False), ["176.7K", "no", "readable"]),
        (replace(INFO, state=MediaState.LOCKED), ["176.7K", "yes", "locked"]),
        (replace(INFO, state=MediaState.DAMAGED), ["176.7K", "yes", "damaged"]),
        (MediaInfo(MediaState.ABSENT, 0), ["0", "-", "absent"]),
        (None, ["-", "-", "-"]),
    ],
)
def test_key_status(info: MediaInfo | None, shown: list[str]) -> None:
    cells = table_of([(MEDIUM, info)]).splitlines()[1].split()
    assert [cells[2], *cells[5:7]] == shown


def test_plain_is_exact_and_one_line_each_whatever_a_track_is_called(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    records = listed(account, capsys)
    assert main(["ls", account.source, "--plain", *account.flags]) == 0
    names, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert names == list(records[0])
    assert [line[0] for line in lines] == [record["sid"] for record in records]
    assert {len(line) for line in lines} == {len(names)}
    assert plain_lines([(MEDIUM, INFO)]).splitlines()[1].split("\t")[4:6] == ["8", "180899"]
    tabs = MEDIUM._replace(track_name="a\tb\nc")
    assert plain_lines([(tabs, None)]).splitlines()[1].endswith("\ta\\tb\\nc")


def test_what_get_has_learnt_is_shown(account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sid = of_track(account, "erin-screen")
    assert main(["get", account.source, sid, "-o", str(tmp_path / "a"), *account.flags]) == 0
    capsys.readouterr()
    known = [record for record in listed(account, capsys) if record["size"] is not None]
    assert [(record["sid"], record["size"], record["encrypted"]) for record in known] == [(sid, 760194, True)]


def test_probe_looks_at_what_is_not_known_yet(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    simulator = account.simulated.simulator
    states = {record["track_name"]: record["state"] for record in listed(account, capsys, "--probe")}
    assert (states["erin-screen"], states["dave-lost-key"], states["dave-muted"]) == ("readable", "locked", "absent")
    assert (simulator.count("api.media"), simulator.count("s3")) == (13, 12)
    assert simulator.bytes_sent("s3") == 12 * 32
    listed(account, capsys, "--probe")
    # The track without media may get some.
    assert (simulator.count("api.media"), simulator.count("s3")) == (14, 12)


def test_probe_that_fails_is_said(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.simulated.simulator.inject(Fault("api.media", status=403, times=None, match=of_track(account, "bob-phone")))
    assert main(["ls", account.source, "--probe", "--plain", *account.flags]) == 1
    shown = capsys.readouterr()
    assert "1 of 13 media could not be looked at" in shown.err
    assert len(shown.out.splitlines()) == 1 + 13


def test_summary(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", account.source, "--summary", "--json", *account.flags]) == 0
    groups = json.loads(capsys.readouterr().out)
    assert sum(group["count"] for group in groups) == 13
    assert sum(group["claimed"] for group in groups) == 13
    assert account.simulated.simulator.count("api.media") == 0
    assert main(["ls", account.source, "--summary", *account.flags]) == 0
    chart = capsys.readouterr().out
    assert chart.splitlines()[0].split() == ["MONTH", "KIND", "COUNT", "HOURS", "SIZE"]
    assert "13 media that were not looked at" in chart
    assert main(["ls", account.source, "--summary", "--plain", *account.flags]) == 0
    assert capsys.readouterr().out.splitlines()[0].split("\t") == list(groups[0])


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
