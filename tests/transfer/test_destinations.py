"""Destinations that are not ext4, as real file systems."""

import errno
import os
from pathlib import Path

import pytest

from tests.mount.harness import needs_root
from tests.transfer.awkward import Ways, awkward
from twfs.transfer.part_file import PartFile
from twfs.transfer.present import is_there
from twfs.transfer.replacing import replacing
from twfs.transfer.shortcomings import Shortcomings

pytestmark = needs_root

MOMENT = 1_511_455_637
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.EACCES)
LOST = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
SID = "RT1"


def part_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def interrupt(goal: Path, shortcomings: Shortcomings) -> None:
    with PartFile(goal, "object 1", shortcomings) as part:
        part.write(memoryview(b"hel"))


def resumed(goal: Path, shortcomings: Shortcomings) -> int:
    with PartFile(goal, "object 1", shortcomings) as part:
        size = part.size
        part.write(memoryview(b"hello"[size:]))
        part.commit(MOMENT)
    return size


def fetch(folder: Path, shortcomings: Shortcomings) -> None:
    """Several files, by both ways."""
    for number in range(3):
        with PartFile(folder / f"RT{number}.mkv", "object 1", shortcomings) as part:
            part.write(memoryview(b"hello"))
            part.commit(MOMENT)
        with replacing(folder / f"RT{number}.mka", MOMENT, shortcomings) as file:
            file.write(b"hello")


@pytest.mark.parametrize(
    ("ways", "warning"),
    [
        *((Ways({"utimens": number}), "keeps no modification times") for number in (*UNSUPPORTED, errno.EIO)),
        *((Ways({"fsync": number}), "cannot be told to put files on the disk") for number in UNSUPPORTED),
        *((Ways({"flock": number}), "has no file locks") for number in (*UNSUPPORTED, errno.ENOLCK)),
        (Ways(step=0), "keeps no modification times"),
        (Ways(mode=0o777), "keeps no owners or permissions"),
        (Ways(uid=65_534), "keeps no owners or permissions"),
        (Ways(step=2), None),
        (Ways(), None),
    ],
    ids=str,
)
def test_files_are_kept_and_one_line_says_what_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ways: Ways, warning: str | None
) -> None:
    with awkward(tmp_path, ways) as folder:
        shortcomings = Shortcomings()
        fetch(folder, shortcomings)
        files = sorted(folder.iterdir())
        assert [path.name for path in files] == [f"RT{n}.{end}" for n in range(3) for end in ("mka", "mkv")]
        assert {path.read_bytes() for path in files} == {b"hello"}
        # An hour later, in another run.
        later = Shortcomings()
        for path in files:
            assert is_there(path, path.stem, 5, MOMENT, later)
            assert not is_there(path, path.stem, 6, MOMENT, later)
            assert not is_there(path, "RT9", 5, MOMENT, later)
        assert len(part_files(folder)) == 0
    said = [message for message in caplog.messages if warning and warning in message]
    assert len(caplog.messages) == len(said)
    # A run that finds all there says again what that rests on.
    assert len(said) == ((2 if "times" in warning else 1) if warning else 0)


@pytest.mark.parametrize("number", LOST)
def test_what_did_not_reach_the_disk_is_an_error_and_nothing_is_left(tmp_path: Path, number: int) -> None:
    with awkward(tmp_path, Ways({"fsync": number})) as folder:
        with pytest.raises(OSError, match=os.strerror(number)):
            fetch(folder, Shortcomings())
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("ways", [Ways({"flock": errno.ENOTSUP}), Ways(mode=0o777), Ways(uid=65_534)], ids=str)
def test_where_nothing_can_be_known_of_a_beginning_none_is_kept_or_taken_up(tmp_path: Path, ways: Ways) -> None:
    with awkward(tmp_path, ways) as folder:
        interrupt(folder / "a", Shortcomings())
        assert list(folder.iterdir()) == []
        planted = folder / ".a.4adf4367f96e584f.part"
        with PartFile(tmp_path / "a", "object 1") as part:
            planted = folder / part.path.name
        planted.write_bytes(b"planted")
        assert resumed(folder / "a", Shortcomings()) == 0
        assert (folder / "a").read_bytes() == b"hello"


@pytest.mark.parametrize("ways", [Ways({"utimens": errno.EPERM}), Ways({"fsync": errno.EINVAL}), Ways(step=2)], ids=str)
def test_elsewhere_an_interrupted_file_is_gone_on_with(tmp_path: Path, ways: Ways) -> None:
    with awkward(tmp_path, ways) as folder:
        interrupt(folder / "a", Shortcomings())
        assert resumed(folder / "a", Shortcomings()) == 3
        assert (folder / "a").read_bytes() == b"hello"


@pytest.mark.parametrize("moment", [0, 1, 86_400, MOMENT, MOMENT + 1, 2**31 + 1])
@pytest.mark.parametrize("step", [1, 2, 0])
def test_file_of_another_time_is_another_only_where_times_are_kept(tmp_path: Path, step: int, moment: int) -> None:
    with awkward(tmp_path, Ways(step=step)) as folder:
        goal = folder / f"{SID}.mkv"
        with replacing(goal, moment) as file:
            file.write(b"hello")
        assert is_there(goal, SID, 5, moment, Shortcomings())
        os.utime(folder.parent / "backing" / goal.name, (moment + 7200, moment + 7200))
        assert is_there(goal, SID, 5, moment, Shortcomings()) == (step == 0)
        assert list(folder.iterdir()) == [goal]


def test_link_or_folder_is_not_the_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "file", MOMENT) as file:
        file.write(b"hello")
    (tmp_path / f"{SID}.mkv").symlink_to(tmp_path / "file")
    (tmp_path / f"{SID}.mka").mkdir()
    for name in (f"{SID}.mkv", f"{SID}.mka", f"{SID}.mp4", f"file/{SID}.mkv"):
        assert not is_there(tmp_path / name, SID, 5, MOMENT, Shortcomings())
