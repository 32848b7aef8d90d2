import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.errors import BadResource
from twfs.resources import Kind, Medium, is_sid, oversized, parse_medium

SID = "RT" + "0a" * 16
RECORDING: dict[str, Any] = {
    "sid": SID,
    "account_sid": "AC" + "1" * 32,
    "status": "completed",
    "date_created": "2017-11-23T16:47:17Z",
    "size": 746528,
    "duration": 12,
    "codec": "vp8",
    "container_format": "mkv",
    "type": "video",
    "grouping_sids": {"room_sid": "RM" + "2" * 32, "participant_sid": "PA" + "3" * 32},
    "track_name": "../../etc/passwd\0",
    "source_sid": "MT" + "4" * 32,
    "offset": 1500,
}
COMPOSITION: dict[str, Any] = {
    "sid": "CJ" + "5" * 32,
    "status": "enqueued",
    "date_created": "2017-11-23T16:47:17Z",
    "date_completed": "2017-11-23T16:50:00Z",
    "format": "webm",
    "room_sid": "RM" + "2" * 32,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=4,
)


def recording(**fields: Any) -> Medium:
    return parse_medium(Kind.RECORDING, RECORDING | fields)


def test_a_recording_is_understood() -> None:
    assert recording() == Medium(
        sid=SID,
        kind=Kind.RECORDING,
        account_sid="AC" + "1" * 32,
        status="completed",
        created_at=1511455637,
        claimed_size=746528,
        duration=12,
        codec="vp8",
        container="mkv",
        media_type="video",
        room_sid="RM" + "2" * 32,
        participant_sid="PA" + "3" * 32,
        track_name="../../etc/passwd\0",
        source_sid="MT" + "4" * 32,
        offset_ms=1500,
    )


def test_a_composition_is_understood() -> None:
    medium = parse_medium(Kind.COMPOSITION, COMPOSITION)
    assert (medium.file_name, medium.room_sid) == (f"{COMPOSITION['sid']}.webm", COMPOSITION["room_sid"])
    assert (medium.is_completed, medium.is_settled) == (False, False)
    assert medium.changed_at == 1511455800


@pytest.mark.parametrize("record", [None, 1, "RT", [], {}, {"sid": None}, {"sid": 1}, {"sid": "RT"}, COMPOSITION])
def test_what_has_no_sid_of_its_kind_is_no_medium(record: object) -> None:
    with pytest.raises(BadResource):
        parse_medium(Kind.RECORDING, record)


@pytest.mark.parametrize(
    "sid", ["../" + "0" * 31, SID + "\n", SID[:-1], SID + "0", SID.lower(), "RT" + "g" * 32, "RT" + "\u0663" * 32]
)
def test_a_sid_is_two_letters_and_32_hex_digits(sid: str) -> None:
    assert not is_sid(sid, "RT")
    with pytest.raises(BadResource):
        recording(sid=sid)


@given(st.dictionaries(st.sampled_from([*RECORDING, *COMPOSITION]), JSON), st.sampled_from(Kind))
def test_hostile_fields_are_none_and_never_spoil_the_record(fields: dict[str, Any], kind: Kind) -> None:
    sid = RECORDING["sid"] if kind is Kind.RECORDING else COMPOSITION["sid"]
    medium = parse_medium(kind, fields | {"sid": sid})
    assert medium.sid == sid
    assert os.sep not in medium.file_name
    assert medium.file_name.startswith(f"{sid}.")
    for count in (medium.claimed_size, medium.duration, medium.offset_ms):
        assert count is None or (type(count) is int and 0 <= count < 2**63)
    assert type(medium.changed_at) is int


def test_texts_beyond_measure_are_cut_or_none_and_named() -> None:
    long = {"track_name": "n" * 3_000_000, "codec": "c" * 65, "date_created": "2" * 10**6, "type": "t" * 64}
    medium = recording(**long)
    assert (medium.track_name, medium.codec, medium.created_at) == ("n" * 1024, None, None)
    assert medium.media_type == "t" * 64
    assert sorted(oversized(RECORDING | long)) == ["codec", "date_created", "track_name"]
    assert oversized(RECORDING) == oversized(COMPOSITION) == oversized(None) == []


@pytest.mark.parametrize("value", [-1, 2**63, 1.0, True, "12", None, [], {}])
def test_what_is_no_count_is_none(value: object) -> None:
    assert recording(size=value).claimed_size is None


def test_the_largest_count_that_sqlite_holds_is_kept() -> None:
    assert recording(size=2**63 - 1).claimed_size == 2**63 - 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2017-11-23T17:47:17+01:00", 1511455637),
        ("2017-11-23T16:47:17", 1511455637),
        ("2017-11-23T16:47:17.999Z", 1511455637),
        ("0001-01-01T00:00:00+23:59", None),
        ("tomorrow", None),
        ("", None),
        (1511455637, None),
        (None, None),
    ],
)
def test_moments(value: object, seconds: int | None) -> None:
    created = recording(date_created=value).created_at
    assert created == seconds if seconds is not None else created is None or created < 0


@pytest.mark.parametrize(
    ("fields", "extension"),
    [
        ({}, "mkv"),
        ({"container_format": "MKA"}, "mka"),
        ({"container_format": None, "type": "audio"}, "mka"),
        ({"container_format": "../x", "type": None}, "mkv"),
        ({"container_format": "m\nv"}, "mkv"),
        ({"container_format": "mkv\n"}, "mkv"),
        ({"container_format": "toolong"}, "mkv"),
    ],
)
def test_the_extension_is_the_container_s_if_that_can_be_one(fields: dict[str, Any], extension: str) -> None:
    assert recording(**fields).file_name == f"{SID}.{extension}"


@pytest.mark.parametrize(
    ("status", "completed", "settled"),
    [
        *[("completed", True, True), ("deleted", False, True), ("failed", False, True), ("processing", False, False)],
        *[("enqueued", False, False), (None, False, False), ("Completed", False, False)],
    ],
)
def test_status(status: str | None, completed: bool, settled: bool) -> None:
    medium = recording(status=status)
    assert (medium.is_completed, medium.is_settled) == (completed, settled)


def test_without_any_moment_a_medium_is_of_1970() -> None:
    assert recording(date_created=None).changed_at == 0
