"""A folder that others may write to: what they put there, and when."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.mount.harness import needs_root
from twfs.transfer.new_file import Occupied
from twfs.transfer.offline import appearing_whole
from twfs.transfer.part_file import PartFile
from twfs.transfer.replacing import replacing

SOMEBODY, SOMEBODY_ELSE = 12_001, 12_002


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[None]:
    """Not root: who may neither open nor remove what others own."""
    for each in (tmp_path, *tmp_path.parents):
        if each != Path("/tmp"):
            each.chmod(each.stat().st_mode | 0o011)
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def name_of_part(folder: Path) -> Path:
    """Of the object that is written in these tests."""
    with PartFile(folder / "a", "object 1") as part:
        return part.path


def begun(goal: Path) -> bytes:
    """What there is of an interrupted file."""
    pieces: list[bytes] = []
    with PartFile(goal, "object 1") as part:
        part.replay(lambda view: pieces.append(bytes(view)))
    return b"".join(pieces)


def finish(goal: Path, content: bytes) -> int:
    """Write it; how much was there."""
    with PartFile(goal, "object 1") as part:
        size = part.size
        part.write(memoryview(content))
        part.commit(None)
    return size


def assert_is_own(goal: Path, content: bytes) -> None:
    status = goal.lstat()
    assert stat.S_ISREG(status.st_mode)
    assert (status.st_uid, status.st_nlink, stat.S_IMODE(status.st_mode)) == (os.geteuid(), 1, 0o600)
    assert goal.read_bytes() == content


def of_somebody_else(path: Path, mode: int = 0o666) -> BinaryIO:
    """A planted beginning, which its maker goes on reading."""
    path.write_bytes(b"planted")
    path.chmod(mode)
    os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE)
    return path.open("rb")


@needs_root
@pytest.mark.parametrize("mode", [0o666, 0o644, 0o600, 0o777])
def test_beginning_of_somebody_else_is_not_taken_up(shared: Path, mode: int) -> None:
    with of_somebody_else(name_of_part(shared), mode) as watching:
        assert finish(shared / "a", b"recording") == 0
        assert watching.read() == b"planted"
    assert_is_own(shared / "a", b"recording")
    assert list(shared.iterdir()) == [shared / "a"]


@needs_root
@pytest.mark.parametrize("mode", [0o666, 0o600])
@pytest.mark.parametrize("sticky", [0, stat.S_ISVTX])
def test_beginning_of_somebody_else_that_cannot_be_taken_away_is_not_taken_up(
    shared: Path, somebody: None, mode: int, sticky: int
) -> None:
    path = name_of_part(shared)
    os.seteuid(0)
    shared.chmod(0o777 | sticky)
    with of_somebody_else(path, mode) as watching:
        os.seteuid(SOMEBODY)
        assert finish(shared / "a", b"recording") == 0
        assert_is_own(shared / "a", b"recording")
        assert watching.read() == b"planted"


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o604, 0o660, 0o601])
def test_beginning_that_others_may_open_is_not_taken_up(shared: Path, mode: int) -> None:
    path = name_of_part(shared)
    path.write_bytes(b"planted")
    path.chmod(mode)
    assert finish(shared / "a", b"recording") == 0
    assert_is_own(shared / "a", b"recording")
    assert list(shared.iterdir()) == [shared / "a"]


def test_file_of_two_names_is_not_written_to(shared: Path) -> None:
    precious = shared / "precious"
    precious.write_bytes(b"precious")
    precious.chmod(0o600)
    name_of_part(shared).hardlink_to(precious)
    assert finish(shared / "a", b"recording") == 0
    assert_is_own(shared / "a", b"recording")
    assert precious.read_bytes() == b"precious"


def a_link(path: Path) -> None:
    path.symlink_to(path.parent / "precious")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", [a_link, a_pipe, a_socket, Path.mkdir])
def test_whatever_is_in_the_place_is_neither_followed_nor_waited_for(
    shared: Path, plant: Callable[[Path], None]
) -> None:
    (shared / "precious").write_bytes(b"precious")
    path = name_of_part(shared)
    plant(path)
    assert finish(shared / "a", b"recording") == 0
    assert_is_own(shared / "a", b"recording")
    assert (shared / "precious").read_bytes() == b"precious"
    assert {each.name for each in shared.iterdir()} - {path.name} == {"a", "precious"}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", [a_link, a_pipe, a_socket, Path.mkdir])
@pytest.mark.parametrize("token", ["0123abcd", "0123456789abcdef"])
def test_what_looks_like_a_leftover_is_neither_followed_nor_waited_for(
    shared: Path, plant: Callable[[Path], None], token: str
) -> None:
    (shared / "precious").write_bytes(b"precious")
    plant(shared / f".a.{token}.part")
    finish(shared / "a", b"recording")
    with replacing(shared / "a") as file:
        file.write(b"again")
    assert_is_own(shared / "a", b"again")
    assert (shared / "precious").read_bytes() == b"precious"
    assert (shared / f".a.{token}.part").lstat()


@needs_root
def test_leftovers_of_somebody_else_stay(shared: Path) -> None:
    path = shared / ".a.0123abcd.part"
    of_somebody_else(path).close()
    finish(shared / "a", b"recording")
    assert path.read_bytes() == b"planted"


@pytest.mark.parametrize("write", [appearing_whole, replacing])
def test_file_that_is_taken_away_meanwhile_never_has_the_name(shared: Path, write: Callable[..., object]) -> None:
    def swapped() -> None:
        with write(shared / "a") as file:  # type: ignore[attr-defined]
            file.write(memoryview(b"recording"))
            (part,) = shared.iterdir()
            part.rename(shared / "taken")
            part.write_bytes(b"planted")

    with pytest.raises(Occupied, match="took the unfinished file away"):
        swapped()
    assert not (shared / "a").exists()
    assert (shared / "taken").stat().st_mode & 0o777 == 0o600


@needs_root
def test_file_that_is_swapped_at_the_last_moment_is_no_success(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.replace

    def swap_first(source: str, goal: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        # Between the look at what has the name and the rename itself.
        of_somebody_else(shared / "planted").close()
        rename(shared / "planted", shared / source)
        rename(source, goal, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", swap_first)
    with pytest.raises(Occupied, match="put another file in the place"):
        finish(shared / "a", b"recording")


def test_folder_that_is_exchanged_meanwhile_is_not_written_to(shared: Path) -> None:
    (shared / "folder").mkdir()
    (shared / "elsewhere").mkdir()
    with PartFile(shared / "folder" / "a", "object 1") as part:
        part.write(memoryview(b"recording"))
        (shared / "folder").rename(shared / "moved")
        (shared / "folder").symlink_to(shared / "elsewhere")
        part.commit(None)
    assert (shared / "moved" / "a").read_bytes() == b"recording"
    assert list((shared / "elsewhere").iterdir()) == []


def test_own_beginning_is_gone_on_with(shared: Path) -> None:
    with PartFile(shared / "a", "object 1") as part:
        part.write(memoryview(b"recor"))
    assert begun(shared / "a") == b"recor"
    assert finish(shared / "a", b"ding") == 5
    assert_is_own(shared / "a", b"recording")
