import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.errors import ConfigError
from twfs.transfer.new_file import Occupied
from twfs.transfer.part_file import PartFile


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def held(part: PartFile) -> bytes:
    pieces: list[bytes] = []
    part.replay(lambda view: pieces.append(bytes(view)))
    return b"".join(pieces)


def test_nothing_under_the_name_before_it_is_committed(tmp_path: Path) -> None:
    goal = tmp_path / "a.mkv"
    with PartFile(goal, "object 1") as part:
        part.write(memoryview(b"hello"))
        assert not goal.exists()
        part.commit(1511455637)
    assert goal.read_bytes() == b"hello"
    assert goal.stat().st_mtime == 1511455637
    assert names(tmp_path) == {"a.mkv"}


def test_beginning_of_the_same_object_is_gone_on_with(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", "object 1") as part:
        part.write(memoryview(b"hel"))
    with PartFile(tmp_path / "a", "object 1") as part:
        assert part.size == 3
        part.write(memoryview(b"lo"))
        assert held(part) == b"hello"
        part.commit(None)
    assert (tmp_path / "a").read_bytes() == b"hello"


def test_beginning_of_another_object_is_thrown_away(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", "object 1") as part:
        part.write(memoryview(b"hel"))
    with PartFile(tmp_path / "a", "object 2") as part:
        assert part.size == 0
        part.write(memoryview(b"lo"))
    assert len(names(tmp_path)) == 1


def test_nothing_is_kept_of_what_was_not_begun(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", "object 1"):
        pass
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?b", "ab"])
def test_beginnings_of_other_files_stay(tmp_path: Path, name: str) -> None:
    for other in ("ab", "axb", "a"):
        with PartFile(tmp_path / other, "object 1") as part:
            part.write(memoryview(other.encode()))
    with PartFile(tmp_path / name, "object 2") as part:
        part.write(memoryview(b"hel"))
    assert len(names(tmp_path)) == (3 if name == "ab" else 4)


def test_two_do_not_write_the_same(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", "object 1"), pytest.raises(Occupied):
        PartFile(tmp_path / "a", "object 1")
    with PartFile(tmp_path / "a", "object 1"):
        pass


def test_what_another_process_writes_is_not_taken_from_it(tmp_path: Path) -> None:
    # Else a third one, that begins the first object anew, would have its beginning committed by the first.
    with PartFile(tmp_path / "a", "object 1") as part:
        part.write(memoryview(b"hello"))
        with PartFile(tmp_path / "a", "object 2"), pytest.raises(Occupied):
            PartFile(tmp_path / "a", "object 1")
        part.commit(None)
    assert (tmp_path / "a").read_bytes() == b"hello"


def test_discarded_leaves_nothing(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", "object 1") as part:
        part.write(memoryview(b"wrong"))
        part.discard()
    assert names(tmp_path) == set()


def test_what_is_in_the_place_is_replaced_only_if_it_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "link", "pipe"):
        with pytest.raises(ConfigError, match="no regular file"):
            PartFile(tmp_path / name, "object 1")
    with pytest.raises(ConfigError, match="mkdir -p"):
        PartFile(tmp_path / "missing" / "a", "object 1")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is no folder"):
        PartFile(tmp_path / "file" / "a", "object 1")
    assert names(tmp_path) == {"file", "folder", "link", "pipe"}


def test_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", "object 1") as part:
        path = part.path
    path.symlink_to(tmp_path / "elsewhere")
    with PartFile(tmp_path / "a", "object 1") as part:
        part.write(memoryview(b"hello"))
        part.commit(None)
    assert not (tmp_path / "elsewhere").exists()
    assert names(tmp_path) == {"a"}


def test_what_did_not_reach_the_disk_is_never_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(_handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    # As the kernel does: it tells of what was lost once, and the fsync at the end succeeds.
    monkeypatch.setattr(os, "fdatasync", lose)
    monkeypatch.setattr("twfs.transfer.write_behind.SYNC_SIZE", 5)
    with PartFile(tmp_path / "a", "object 1") as part:
        part.write(memoryview(b"hello"))
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            part.commit(None)
    assert not (tmp_path / "a").exists()
    assert not any(thread.name.startswith("write-behind") for thread in threading.enumerate())


@given(st.lists(st.binary(max_size=20), max_size=6), st.data())
def test_any_series_of_interruptions(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], data: st.DataObject
) -> None:
    goal = tmp_path_factory.mktemp("part") / "a"
    written = b""
    for piece in pieces:
        with PartFile(goal, "object") as part:
            assert part.size == len(written)
            kept = data.draw(st.integers(0, len(written)))
            part.cut(kept)
            part.write(memoryview(piece))
            written = written[:kept] + piece
            assert held(part) == written
