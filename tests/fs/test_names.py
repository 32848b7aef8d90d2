import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fs.fakes import NOVEMBER_23, composition, recording, sid_of
from tests.fs.unhurried import unhurried
from twfs.folders import date_path
from twfs.fs.names import LABEL_LIMIT, inode, safe_label, sid_in, view_name

any_text = st.text(st.characters(), max_size=128)
"""Any code points, lone surrogates among them: JSON can hold them all."""

FORBIDDEN = set('/\\:*?"<>|')
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_name_tells_time_track_and_sid() -> None:
    medium = recording(0, track_name="camera")
    assert view_name(medium) == f"2017-11-23T164707Z_camera_{sid_of(0)}.mkv"


@pytest.mark.parametrize(
    ("medium", "expected"),
    [
        (composition(1), f"2017-11-23T164708Z_composition_{sid_of(1, 'CJ')}.mp4"),
        (recording(1, track_name=None), f"2017-11-23T164708Z_track_{sid_of(1)}.mkv"),
        (recording(1, track_name=" ... "), f"2017-11-23T164708Z_track_{sid_of(1)}.mkv"),
        (recording(1, created_at=None), f"undated_camera_{sid_of(1)}.mkv"),
        (recording(1, created_at=-62_135_596_800), f"0001-01-01T000000Z_camera_{sid_of(1)}.mkv"),
        (recording(1, created_at=-62_135_596_801), f"undated_camera_{sid_of(1)}.mkv"),
        (recording(1, created_at=2**62), f"undated_camera_{sid_of(1)}.mkv"),
    ],
)
def test_names_of_unusual_media(medium: object, expected: str) -> None:
    assert view_name(medium) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera", "camera"),
        ("", ""),
        (".", ""),
        ("..", ""),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".hidden. ", "hidden"),
        ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("a\0b\x1bc\x7fd\x9be", "a_b_c_d_e"),
        ("gpj\u202eexe.\u200bmp4", "gpjexe.mp4"),
        ("\ud800half", "_half"),
        ("line\u2028break", "line_break"),
        ("no\ufffecharacter\U0001ffff", "no_character_"),
        ("wide\u3000blank\u00a0", "wide blank"),
        ("e\u0301", "\u00e9"),
        ("e\u200b\u0301", "\u00e9"),
        ("камера", "камера"),
        ("x" * 200, "x" * 64),
        ("x" * 63 + "é", "x" * 63),
        ("x" * 62 + "é", "x" * 62 + "é"),
        ("x" * 62 + ". y", "x" * 62),
    ],
)
def test_labels(text: str, expected: str) -> None:
    assert safe_label(text) == expected


@unhurried
@given(any_text)
@example("\u0344\u0958")
def test_a_label_is_safe_everywhere(text: str) -> None:
    label = safe_label(text)
    assert len(label.encode()) <= LABEL_LIMIT
    assert not FORBIDDEN & set(label)
    assert not INVISIBLE & set(map(unicodedata.category, label))
    assert label == label.strip(". ")
    assert unicodedata.is_normalized("NFC", label)
    assert safe_label(label) == label


@unhurried
@given(any_text, st.none() | st.integers(-(2**63), 2**63 - 1))
def test_a_name_is_one_component_that_holds_its_sid(text: str, created_at: int | None) -> None:
    medium = recording(5, track_name=text, created_at=created_at)
    name = view_name(medium)
    assert "/" not in name
    assert len(name.encode()) <= 128
    assert sid_in(name) == medium.sid
    assert sid_in(medium.file_name) == medium.sid
    label = name.removesuffix(f"_{medium.file_name}").partition("_")[2]
    assert label
    assert label not in (".", "..")


@unhurried
@given(st.lists(st.integers(0, 253_402_300_799), min_size=2, max_size=5))
def test_names_sort_by_time(moments: list[int]) -> None:
    names = [view_name(recording(number, created_at=moment)) for number, moment in enumerate(sorted(moments))]
    assert sorted(names) == names


@unhurried
@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_a_day_is_that_of_utc(moment: int) -> None:
    year, month, day = map(int, date_path(moment).split("/"))
    found = datetime.fromtimestamp(moment, UTC)
    assert (year, month, day) == (found.year, found.month, found.day)


def test_days_outside_the_calendar() -> None:
    assert date_path(NOVEMBER_23) == "2017/11/23"
    assert [date_path(moment) for moment in (None, 2**62, -(2**62))] == ["undated"] * 3


def test_inodes_never_change() -> None:
    # Backups compare them across remounts and versions. `printf %s KEY | b2sum -l 64` halved gives the same.
    assert inode("RT0123456789abcdef0123456789abcdef") == 7_170_343_540_103_649_055
    assert inode("/recordings") == 5_197_153_504_180_095_403


@unhurried
@given(any_text)
def test_an_inode_is_a_positive_number_of_63_bits(key: str) -> None:
    assert 0 < inode(key) < 2**63
    assert inode(key) == inode(key)


def test_inodes_of_many_media_differ() -> None:
    assert len({inode(sid_of(number)) for number in range(20_000)}) == 20_000
