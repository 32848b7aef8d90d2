import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from twfs.transfer.write_behind import SYNC_SIZE, WriteBehind


@pytest.fixture
def unsyncable() -> Iterator[int]:
    """A pipe: no disk will ever have it, and fdatasync(2) says so each time."""
    ends = os.pipe()
    yield ends[1]
    for end in ends:
        os.close(end)


def threads() -> int:
    return sum(thread.name.startswith("write-behind") for thread in threading.enumerate())


def test_nothing_is_synced_before_it_is_enough(unsyncable: int) -> None:
    with closing(WriteBehind(unsyncable)) as writing:
        writing.advance(SYNC_SIZE - 1)
        writing.wait()
        assert threads() == 0


def test_what_did_not_reach_the_disk_is_told_at_the_end(unsyncable: int) -> None:
    with closing(WriteBehind(unsyncable)) as writing:
        writing.advance(SYNC_SIZE - 1)
        writing.advance(1)
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            writing.wait()
    assert threads() == 0


def test_what_did_not_reach_the_disk_is_told_to_who_writes_on(unsyncable: int) -> None:
    def write_on(writing: WriteBehind) -> None:
        # Each is enough, as soon as the one before has ended.
        for _ in range(1_000_000):
            writing.advance(SYNC_SIZE)

    with closing(WriteBehind(unsyncable)) as writing, pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        write_on(writing)


def test_file_that_can_be_synced_is_no_trouble(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file, closing(WriteBehind(file.fileno())) as writing:
        for _ in range(3):
            file.write(b"hello")
            writing.advance(SYNC_SIZE)
        writing.wait()
    assert (tmp_path / "a").read_bytes() == b"hello" * 3
