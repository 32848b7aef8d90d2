"""What earlier runs left goes, and a folder is listed once for it however many files go there."""

from pathlib import Path

import pytest

from twfs.transfer.leftovers import Leftovers
from twfs.transfer.part_file import PartFile
from twfs.transfer.replacing import replacing
from twfs.transfer.shortcomings import Shortcomings

LEFT = [".a.0123abcd.part", ".a.0123456789abcdef.part", ".b.0123abcd.part", ".a.01.part", "a", ".a.0123abcd.part~"]


class Listed:
    """A folder that is asked for its names."""

    def __init__(self) -> None:
        self.count = 0

    def names(self) -> list[str]:
        self.count += 1
        return LEFT


def test_folder_is_listed_once_and_each_name_given_once() -> None:
    folder, leftovers = Listed(), Leftovers()
    for number in range(100):
        assert leftovers.take("x", folder.names, f"file {number}", 8, 16) == []
    assert leftovers.take("x", folder.names, "a", 8, 16) == [".a.0123abcd.part", ".a.0123456789abcdef.part"]
    assert leftovers.take("x", folder.names, "a", 8, 16) == []
    assert folder.count == 1
    assert leftovers.take("y", folder.names, "b", 8) == [".b.0123abcd.part"]
    assert folder.count == 2


def test_folder_that_could_not_be_listed_is_listed_again() -> None:
    leftovers = Leftovers()

    def fail() -> list[str]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        leftovers.take("x", fail, "a", 8)
    assert leftovers.take("x", lambda: LEFT, "a", 8) == [".a.0123abcd.part"]


def test_beginning_that_this_run_left_of_an_object_that_was_replaced_goes(tmp_path: Path) -> None:
    shortcomings = Shortcomings()
    for number in range(3):
        with PartFile(tmp_path / "a", f"object {number}", shortcomings) as part:
            part.write(memoryview(b"hel"))
            assert [path.name for path in tmp_path.iterdir()] == [part.path.name]
    with replacing(tmp_path / "b", shortcomings=shortcomings):
        pass
    assert len(list(tmp_path.iterdir())) == 2
