from hypothesis import given
from hypothesis import strategies as st

from twfs.cli.summary import chart_of, groups_of, plain_groups
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

NOVEMBER, DECEMBER = 1511455637, 1513000000
MEDIUM = Medium("RT" + "1" * 32, Kind.RECORDING, created_at=NOVEMBER, duration=1800, claimed_size=1000)
COMPOSITION = MEDIUM._replace(kind=Kind.COMPOSITION)


def info(size: int) -> MediaInfo:
    return MediaInfo(MediaState.READABLE, size)


def test_by_month_and_kind_with_what_is_known_and_what_is_claimed() -> None:
    rows = [
        (MEDIUM._replace(created_at=DECEMBER), info(5)),
        (MEDIUM, info(984)),
        (MEDIUM, None),
        (COMPOSITION, None),
        (MEDIUM._replace(created_at=None, duration=None, claimed_size=None), None),
    ]
    assert plain_groups(groups_of(rows)).splitlines() == [
        "month\tkind\tcount\thours\tbytes\tclaimed",
        "2017-11\tcompositions\t1\t0.5\t1000\t1",
        "2017-11\trecordings\t2\t1.0\t1984\t1",
        "2017-12\trecordings\t1\t0.5\t5\t0",
        "undated\trecordings\t1\t0.0\t0\t1",
    ]


def test_chart_has_a_bar_for_each_group_as_long_as_its_share() -> None:
    rows = [(MEDIUM, info(3000)), (MEDIUM._replace(created_at=DECEMBER), info(1000))]
    lines = chart_of(groups_of(rows)).splitlines()
    assert [line.count("█") + line.count("#") for line in lines] == [0, 30, 10, 0]
    assert lines[-1].split() == ["all", "recordings", "2", "1.0", "3.9K"]


def test_nothing() -> None:
    assert chart_of(groups_of([])).split() == ["MONTH", "KIND", "COUNT", "HOURS", "SIZE"]


@given(st.lists(st.tuples(st.sampled_from([NOVEMBER, DECEMBER, None, 2**62]), st.integers(0, 2**50) | st.none())))
def test_sums_are_those_of_the_media(media: list[tuple[int | None, int | None]]) -> None:
    rows = [(MEDIUM._replace(created_at=moment), None if size is None else info(size)) for moment, size in media]
    groups = groups_of(rows)
    assert sum(group.count for group in groups) == len(rows)
    assert sum(group.size for group in groups) == sum(1000 if size is None else size for _, size in media)
    assert sum(group.claimed for group in groups) == sum(size is None for _, size in media)
