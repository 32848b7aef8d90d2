import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from twfs.errors import Unreachable
from twfs.event_loop import DaemonPool, LoopThread

PATIENCE = 20.0


@pytest.fixture
def running() -> Iterator[LoopThread]:
    loop = LoopThread(2)
    yield loop
    loop.stop()


async def where() -> tuple[str, int]:
    return threading.current_thread().name, os.getpid()


async def failing() -> None:
    raise LookupError("no")


def test_no_thread_before_it_is_needed_and_none_after(running: LoopThread) -> None:
    before = threading.active_count()
    assert threading.active_count() == before
    assert running.call(where)[0] == "network"
    assert threading.active_count() == before + 1
    running.stop()
    assert threading.active_count() == before


def test_what_is_raised_is_raised_to_who_called(running: LoopThread) -> None:
    with pytest.raises(LookupError):
        running.call(failing)


def test_what_blocks_runs_beside(running: LoopThread) -> None:
    async def beside() -> tuple[str, str]:
        names = [running.blocking(lambda: threading.current_thread().name) for _ in range(2)]
        first, second = await asyncio.gather(*names)
        return first, second

    assert all(name.startswith("blocking-") for name in running.call(beside))


def test_what_only_computes_does_not_wait_for_who_is_stuck(running: LoopThread) -> None:
    answered = threading.Event()

    async def both() -> int:
        stuck = [asyncio.ensure_future(running.blocking(answered.wait, PATIENCE)) for _ in range(4)]
        computed = await asyncio.wait_for(running.computing(int, "7"), PATIENCE / 2)
        answered.set()
        await asyncio.gather(*stuck)
        return computed

    assert running.call(both) == 7


def test_who_waits_when_it_is_stopped_is_told(running: LoopThread) -> None:
    begun = threading.Event()
    told: list[Unreachable] = []

    async def for_ever() -> None:
        begun.set()
        await asyncio.sleep(3600)

    def ask() -> None:
        with pytest.raises(Unreachable) as caught:
            running.call(for_ever)
        told.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(PATIENCE)
    running.stop()
    asking.join(PATIENCE)
    assert [str(error) for error in told] == ["twfs is going down"]
    with pytest.raises(Unreachable, match="going down"):
        running.call(where)
    with pytest.raises(Unreachable, match="going down"):
        running.post(print)


def test_the_end_does_not_wait_for_who_is_stuck(running: LoopThread) -> None:
    stuck, free = threading.Event(), threading.Event()

    def block() -> None:
        stuck.set()
        assert free.wait(PATIENCE)

    running.post(lambda: asyncio.ensure_future(running.blocking(block)))
    assert stuck.wait(PATIENCE)
    running.stop()
    assert "network" not in [thread.name for thread in threading.enumerate()]
    free.set()


def test_a_forked_child_has_a_loop_of_its_own(running: LoopThread) -> None:
    assert running.call(where) == ("network", os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0 if running.call(where)[1] == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert running.call(where) == ("network", os.getpid())


def test_a_pool_has_as_many_threads_as_work_and_no_more_than_it_may() -> None:
    pool, gate = DaemonPool(3), threading.Event()
    waiting = [pool.submit(gate.wait, PATIENCE) for _ in range(5)]
    assert pool._threads == 3
    gate.set()
    assert [each.result(PATIENCE) for each in waiting] == [True] * 5
    for number in range(5):
        assert pool.submit(int, str(number)).result(PATIENCE) == number
    assert pool._threads == 3
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(int)
