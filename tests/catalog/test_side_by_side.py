import threading

import pytest

from twfs.catalog.side_by_side import side_by_side

PATIENCE = 20.0


def test_results_come_in_the_order_of_what_they_are_of() -> None:
    later = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert later.wait(PATIENCE)
        later.set()
        return number * number

    assert side_by_side("test", work, range(50), 2) == [number * number for number in range(50)]


def test_no_more_at_once_than_was_asked_for() -> None:
    barrier = threading.Barrier(3)
    names: set[str] = set()

    def work(_number: int) -> None:
        names.add(threading.current_thread().name)
        assert threading.current_thread().daemon, "the interpreter would wait for it"
        barrier.wait(PATIENCE)

    side_by_side("test", work, range(9), 3)
    assert names == {"twfs-test-0", "twfs-test-1", "twfs-test-2"}
    assert not names & {thread.name for thread in threading.enumerate()}


def test_the_first_failure_is_raised_when_all_is_done() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        if number in {2, 4}:
            raise ValueError(number)

    with pytest.raises(ValueError, match="2"):
        side_by_side("test", work, range(6), 2)
    assert sorted(done) == list(range(6))


def test_nothing_to_do() -> None:
    assert side_by_side("test", lambda item: item, [], 8) == []
