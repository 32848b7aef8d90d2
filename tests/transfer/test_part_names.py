import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.transfer.offline import appearing_whole
from twfs.transfer.part_file import PartFile
from twfs.transfer.part_names import part_name, part_stem, stem_of
from twfs.transfer.replacing import replacing

TOKENS = st.integers(4, 8).map(lambda count: "0123456789abcdef"[:count] * 2)
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@given(NAMES, TOKENS)
def test_every_file_system_takes_the_name(name: str, token: str) -> None:
    part = part_name(name, token)
    assert len(part.encode()) <= 143
    assert part.startswith(".")
    assert part.endswith(f".{token}.part")
    assert stem_of(part) == part_stem(name, len(token)) != part_stem(name, len(token) + 2)


@given(NAMES, NAMES, TOKENS)
def test_parts_of_other_files_are_others(name: str, other: str, token: str) -> None:
    assert (stem_of(part_name(name, token)) == part_stem(other, len(token))) == (name == other)


@pytest.mark.parametrize("name", ["a.part", ".a.mkv", ".a.0123.par", ".a.012g.part", ".a.ü.part", ""])
def test_names_of_finished_files_have_no_stem(name: str) -> None:
    assert stem_of(name) is None


def test_names_that_are_short_are_told_whole() -> None:
    assert part_name("a.mkv", "0123abcd") == ".a.mkv.0123abcd.part"


def test_names_that_begin_alike_are_told_apart() -> None:
    assert part_name("a" * 254 + "b", "01") != part_name("a" * 254 + "c", "01")


LONGEST = ["a" * 255, "a" * 251 + ".mkv", "ü" * 127, "\U0001f3a5" * 63, os.fsdecode(b"\xff" * 255)]


@pytest.mark.parametrize("name", LONGEST, ids=range(len(LONGEST)))
def test_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    write_in_all_ways(tmp_path / name)


def test_longest_path_can_be_written(tmp_path: Path) -> None:
    longest = 4095  # PATH_MAX without the final zero
    folder = tmp_path
    while len(os.fsencode(folder)) < longest - 255:
        folder /= "d" * 200
    folder.mkdir(parents=True)
    write_in_all_ways(folder / ("a" * (longest - len(os.fsencode(folder)) - 1)))


def write_in_all_ways(goal: Path) -> None:
    with PartFile(goal, "object 1") as part:
        part.write(memoryview(b"hel"))
    with PartFile(goal, "object 1") as part:
        assert part.size == 3
        part.commit(None)
    with replacing(goal) as file:
        file.write(b"hello")
    with appearing_whole(goal) as new:
        new.write(memoryview(b"hello"))
    assert list(goal.parent.iterdir()) == [goal]
