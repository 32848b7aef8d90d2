import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.cli.figures import human_duration, human_size, moment


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.0K"),
        (180899, "176.7K"),
        (2**20 - 1, "1.0M"),
        (2**20, "1.0M"),
        (2**30, "1.0G"),
        (2**40, "1.0T"),
        (2**60, "1048576.0T"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


@given(st.integers(1024, 2**49))
def test_a_size_is_right_to_three_figures(size: int) -> None:
    number, unit = human_size(size)[:-1], human_size(size)[-1]
    assert re.fullmatch(r"[0-9]{1,3}\.[0-9]", number)
    shown = float(number) * 1024 ** ("KMGT".index(unit) + 1)
    assert abs(shown - size) <= max(0.05 * 1024 ** ("KMGT".index(unit) + 1), size * 0.001)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (8.9, "0:08"), (61, "1:01"), (3600, "1:00:00"), (90061, "25:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_moments() -> None:
    assert moment(1511455637) == "2017-11-23T16:47:17Z"
    assert moment(None) is None
    assert moment(2**62) is None
