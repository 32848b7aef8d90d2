import threading

import pytest

from twfs.errors import BadHandle
from twfs.fs.handles import HandleTable


def test_what_was_added_is_found_until_it_is_removed() -> None:
    table: HandleTable[str] = HandleTable()
    first, second = table.add("a"), table.add("b")
    assert (table.get(first), table.get(second), len(table)) == ("a", "b", 2)
    assert table.remove(first) == "a"
    assert len(table) == 1
    for use in (table.get, table.remove):
        with pytest.raises(BadHandle):
            use(first)


def test_a_number_is_not_used_again() -> None:
    table: HandleTable[str] = HandleTable()
    first = table.add("a")
    table.remove(first)
    assert table.add("b") != first
    assert first > 0


def test_threads_get_different_numbers() -> None:
    table: HandleTable[int] = HandleTable()
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda: numbers.extend(table.add(n) for n in range(500))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == len(table) == 4000
