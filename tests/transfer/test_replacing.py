import os
import stat
from pathlib import Path

import pytest

from twfs.transfer.goal_folder import GoalFolder
from twfs.transfer.new_file import Lock, lock
from twfs.transfer.part_file import PartFile
from twfs.transfer.replacing import replacing


class Interrupted(Exception):
    """Whatever ends writing early."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace(goal: Path, content: bytes) -> None:
    with replacing(goal) as file:
        file.write(content)


def replace_half(goal: Path, content: bytes) -> None:
    with replacing(goal) as file:
        file.write(content[: len(content) // 2])
        raise Interrupted


@pytest.mark.parametrize("before", [None, b"earlier"])
def test_new_file_has_its_name_when_it_is_whole(tmp_path: Path, before: bytes | None) -> None:
    goal = tmp_path / "a [b]*?.mkv"
    if before is not None:
        goal.write_bytes(before)
    with replacing(goal) as file:
        file.write(b"hello")
        file.flush()
        assert (goal.read_bytes() if goal.exists() else None) == before
    assert goal.read_bytes() == b"hello"
    assert names(tmp_path) == [goal.name]


def test_failure_keeps_what_was_there(tmp_path: Path) -> None:
    goal = tmp_path / "a"
    goal.write_bytes(b"earlier")
    with pytest.raises(Interrupted):
        replace_half(goal, b"hello")
    assert goal.read_bytes() == b"earlier"
    assert names(tmp_path) == ["a"]


def test_what_cannot_take_its_place_is_gone(tmp_path: Path) -> None:
    goal = tmp_path / "a"
    goal.mkdir()
    with pytest.raises(IsADirectoryError):
        replace(goal, b"hello")
    assert names(tmp_path) == ["a"]


def test_writers_of_the_same_goal_do_not_meet(tmp_path: Path) -> None:
    goal = tmp_path / "a"
    with replacing(goal) as file:
        file.write(b"one")
        replace(goal, b"other")
        assert goal.read_bytes() == b"other"
    assert goal.read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_only_what_killed_writers_left_of_this_goal_goes(tmp_path: Path) -> None:
    goal = tmp_path / "a"
    for name in (".a.0123abcd.part", ".b.0123abcd.part", ".a.bak.part"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".a.89abcdef.part").symlink_to(tmp_path / ".b.0123abcd.part")
    (tmp_path / ".a.00000000.part").mkdir()
    with PartFile(goal, "object 1") as resumable:
        resumable.write(memoryview(b"half"))
    replace(goal, b"hello")
    kept = {".b.0123abcd.part", ".a.bak.part", ".a.89abcdef.part", ".a.00000000.part", resumable.path.name, "a"}
    assert set(names(tmp_path)) == kept


def test_part_that_was_taken_away_is_nobodys(tmp_path: Path) -> None:
    part = tmp_path / "part"
    with GoalFolder(tmp_path) as folder, part.open("xb") as file, part.open("r+b") as other:
        assert lock(folder, "part", other.fileno()) is Lock.HELD
        assert lock(folder, "part", file.fileno()) is Lock.TAKEN
        part.unlink()
    with GoalFolder(tmp_path) as folder, part.open("xb") as file:
        part.unlink()
        assert lock(folder, "part", file.fileno()) is Lock.TAKEN
        part.write_bytes(b"")
        assert lock(folder, "part", file.fileno()) is Lock.TAKEN


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o277])
def test_new_file_is_the_users_alone_and_less_if_the_umask_says_so(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        replace(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600 & ~umask
