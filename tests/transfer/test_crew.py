import threading
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.transfer.rig import rig
from twfs.clock import SystemClock
from twfs.simulator.account import SimulatedAccount
from twfs.transfer.crew import crew_size, work_through

CLOCK = SystemClock()
PATIENCE = 30.0
MIB = 2**20


@pytest.mark.parametrize(
    ("connections", "cache_size", "size"),
    [(16, 256 * MIB, 16), (16, 64 * MIB, 8), (4, 256 * MIB, 4), (1, 8 * MIB, 1), (16, 8 * MIB, 1)],
)
def test_as_many_at_once_as_connections_and_cache_allow(
    tmp_path: Path, private_key: RSAPrivateKey, connections: int, cache_size: int, size: int
) -> None:
    options = {"connections": str(connections), "cache_size": str(cache_size)}
    with rig(tmp_path, SimulatedAccount(), private_key, **options) as here:
        assert crew_size(here.session.config) == size


def at_work() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("transfer-")]


def test_each_item_once() -> None:
    found = Counter(work_through(range(100), lambda number: number * 2, 7, threading.Event(), CLOCK))
    assert found == Counter(range(0, 200, 2))
    assert at_work() == []


def test_nothing_to_do() -> None:
    assert list(work_through([], str, 0, threading.Event(), CLOCK)) == []


def test_so_many_at_once_and_no_more() -> None:
    together = threading.Barrier(4)
    running, most = Counter[str](), []
    lock = threading.Lock()

    def work(_: int) -> None:
        with lock:
            running["now"] += 1
            most.append(running["now"])
        together.wait(PATIENCE)
        with lock:
            running["now"] -= 1
        together.wait(PATIENCE)

    list(work_through(range(12), work, 4, threading.Event(), CLOCK))
    assert max(most) == 4


def test_nothing_is_begun_after_the_stop() -> None:
    stop = threading.Event()
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            stop.set()
        return number

    assert list(work_through(range(100), work, 1, stop, CLOCK)) == [0, 1, 2, 3]
    assert begun == [0, 1, 2, 3]


def test_failure_of_the_work_is_the_callers() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise ZeroDivisionError
        return number

    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        list(work_through(range(1000), work, 3, stop, CLOCK))
    assert stop.is_set()
    assert at_work() == []


def test_caller_that_leaves_ends_it() -> None:
    stop = threading.Event()
    results = work_through(range(1000), lambda number: number, 2, stop, CLOCK)
    next(results)
    results.close()
    assert stop.is_set()
    assert at_work() == []


def test_caller_is_not_held_up_by_what_does_not_end() -> None:
    released = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            released.wait(PATIENCE)
        return number

    class Impatient:
        """A clock on which every look takes ten seconds."""

        now = 0.0

        def monotonic(self) -> float:
            self.now += 10
            return self.now

        def wall(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            self.now += seconds

        async def pause(self, seconds: float) -> None:
            self.sleep(seconds)

    results = work_through(range(2), work, 2, threading.Event(), Impatient())
    assert next(results) == 0
    results.close()
    (left,) = [thread for thread in threading.enumerate() if thread.name.startswith("transfer-")]
    assert left.daemon
    released.set()
    left.join(PATIENCE)
    assert at_work() == []
