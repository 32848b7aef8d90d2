import logging
import threading

import pytest

from tests.clocks import ManualClock
from tests.media.fakes import (
    MIB,
    PATIENCE,
    House,
    Workers,
    check_buffers,
    eventually,
    house,
    plain_object,
    random_bytes,
    use_block,
)
from twfs.clock import Deadline
from twfs.errors import TwfsError, Unreachable
from twfs.media.block_cache import BLOCK_SIZE, Block
from twfs.media.fetcher import Cancelled, Fetch

SIZE = 16 * MIB


def small_house(**options: object):  # type: ignore[no-untyped-def]
    return house({"RT": plain_object(random_bytes(SIZE))}, **options)


def fetch_of(built: House, first: int, count: int = 1, *, urgent: bool = False) -> Fetch:
    reader = built.open("RT")
    blocks = []
    for index in range(first, first + count):
        block = built.cache.reserve((reader._object_key, index), BLOCK_SIZE, Deadline(built.clock, 10))
        assert block is not None
        blocks.append(block)
    return Fetch(reader._object, blocks, urgent=urgent)


def submitted(built: House, first: int, count: int = 1, *, urgent: bool = False) -> Fetch:
    fetch = fetch_of(built, first, count, urgent=urgent)
    built.fetcher.submit(fetch)
    return fetch


def reached_the_gate(built: House, count: int) -> None:
    for _ in range(count):
        assert built.stored.blocked.acquire(timeout=PATIENCE)


def order_of_ranges(built: House) -> list[int]:
    return [stored_range.start // BLOCK_SIZE for stored_range in built.requests()]


def wait_for(built: House, block: Block) -> Workers:
    workers = Workers()
    patience = Deadline(built.clock, PATIENCE)
    workers.run(use_block, built.cache, block.key, patience, lambda held: bytes(held.view[:8]))
    while not block.arrivals:
        assert built.waiting.acquire(timeout=PATIENCE)
    return workers


@pytest.mark.parametrize("connections", [1, 2, 8, 16])
def test_prefetching_takes_all_connections(connections: int) -> None:
    with small_house(connections=connections, cache_size=32 * MIB) as built:
        built.stored.block()
        for index in range(connections + 3):
            submitted(built, index)
        reached_the_gate(built, connections)
        assert len(built.fetcher._running_ahead) == connections
        built.stored.unblock()
        built.settle()
        eventually(lambda: not built.fetcher._running_ahead)
        assert built.stored.most_open_streams == connections
        assert len(built.requests()) == connections + 3


def test_what_was_begun_last_gives_way_to_what_a_reader_waits_for_and_goes_on_after() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        first = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        last = submitted(built, 10, 4)
        reached_the_gate(built, 1)
        urgent = submitted(built, 30, urgent=True)
        built.stored.unblock()
        built.settle()
        ranges = [(part.start // BLOCK_SIZE, part.end // BLOCK_SIZE) for part in built.requests()]
        assert sorted(ranges[:2]) == [(0, 4), (10, 14)]
        assert ranges[2:] == [(30, 31), (11, 14)]
        assert all(fetch.is_over for fetch in (first, last, urgent))
        assert all(block.is_ready for fetch in (first, last, urgent) for block in fetch.blocks)
        assert built.fetcher.bytes_fetched == 9 * BLOCK_SIZE


def test_what_a_reader_waits_for_does_not_give_way() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        running = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        workers = wait_for(built, running.blocks[3])
        submitted(built, 30, urgent=True)
        built.stored.unblock()
        built.settle()
        assert [part.start // BLOCK_SIZE for part in built.requests()] == [0, 30]
        assert len(workers.join().results) == 1


def test_what_gave_way_and_is_cancelled_is_not_begun_again() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        running = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        submitted(built, 30, urgent=True)
        built.fetcher.cancel([running])
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built) == [0, 30]
        assert [type(block.error) for block in running.blocks[1:]] == [Cancelled] * 3


def test_what_a_reader_waits_for_overtakes_prefetching() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        submitted(built, 0)
        reached_the_gate(built, 1)
        submitted(built, 10)
        submitted(built, 20)
        submitted(built, 30, urgent=True)
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built) == [0, 30, 10, 20]


def test_a_reader_that_begins_to_wait_for_queued_prefetching_is_made_way_for() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        submitted(built, 0)
        reached_the_gate(built, 1)
        submitted(built, 10, 4)
        reached_the_gate(built, 1)
        submitted(built, 40)
        wanted = submitted(built, 20, 2)
        workers = wait_for(built, wanted.blocks[1])
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built)[2] == 20
        assert sorted(order_of_ranges(built)[3:]) == [11, 40]
        expected = random_bytes(SIZE)[21 * BLOCK_SIZE : 21 * BLOCK_SIZE + 8]
        assert workers.join().results == [expected]


def test_a_reader_that_waits_before_the_fetch_is_handed_in_counts_too() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        submitted(built, 0)
        reached_the_gate(built, 1)
        submitted(built, 10)
        late = fetch_of(built, 20)
        workers = wait_for(built, late.blocks[0])
        built.fetcher.submit(late)
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built) == [0, 20, 10]
        assert len(workers.join().results) == 1


def test_what_is_urgent_and_queued_takes_a_thread_too() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        ahead = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        # Handed in at once: the idle thread takes one of them, and for the other there is none.
        for index in (10, 20):
            with built.fetcher._changed:
                fetch = fetch_of(built, index, urgent=True)
                built.fetcher._queue.append(fetch)
                built.fetcher._make_way(fetch)
            assert ahead.gives_way == (index == 20)
        with built.fetcher._changed:
            built.fetcher._changed.notify_all()
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built) == [0, 10, 20, 1]


def test_what_nobody_waits_for_gives_way_first() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        first, last = (submitted(built, index, 4) for index in (0, 10))
        reached_the_gate(built, 2)
        workers = wait_for(built, last.blocks[3])
        submitted(built, 30, urgent=True)
        assert (first.gives_way, last.gives_way) == (True, False)
        built.stored.unblock()
        built.settle()
        assert sorted(order_of_ranges(built)) == [0, 1, 10, 30]
        assert len(workers.join().results) == 1


def test_what_gave_way_and_is_then_waited_for_goes_before_other_prefetching() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        ahead = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        urgent = submitted(built, 30, urgent=True)
        submitted(built, 50)
        built.stored.may_close.clear()
        built.stored.unblock()
        assert built.stored.closing.acquire(timeout=PATIENCE)
        # It has ended, and is not queued again yet: nothing else can make it urgent.
        workers = wait_for(built, ahead.blocks[2])
        built.stored.may_close.set()
        built.settle()
        assert order_of_ranges(built)[:2] == [0, 1]
        assert urgent.is_over
        assert len(workers.join().results) == 1


def test_cancelled_while_queued_is_never_begun() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        submitted(built, 0)
        reached_the_gate(built, 1)
        dropped = submitted(built, 10, 4)
        built.fetcher.cancel([dropped])
        assert dropped.is_over
        assert [type(block.error) for block in dropped.blocks] == [Cancelled] * 4
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built) == [0]


def test_cancelled_while_queued_but_awaited_is_fetched() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        submitted(built, 0)
        reached_the_gate(built, 1)
        wanted = submitted(built, 10, 2)
        workers = wait_for(built, wanted.blocks[0])
        built.fetcher.cancel([wanted])
        assert not wanted.is_over
        built.stored.unblock()
        assert workers.join().errors == []


def test_cancelled_while_running_ends_at_the_next_block() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        running = submitted(built, 0, 8)
        reached_the_gate(built, 1)
        built.fetcher.cancel([running])
        built.stored.unblock()
        built.settle()
        assert [block.is_ready for block in running.blocks] == [True] + [False] * 7
        assert built.stored.bytes_read == BLOCK_SIZE


def test_cancelled_but_awaited_goes_on_as_far_as_somebody_waits() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        running = submitted(built, 0, 8)
        reached_the_gate(built, 1)
        workers = wait_for(built, running.blocks[3])
        built.fetcher.cancel([running])
        built.stored.unblock()
        assert workers.join().errors == []
        built.settle()
        ready = [block.is_ready for block in running.blocks]
        assert ready[:4] == [True] * 4
        assert not ready[-1]


def test_a_reader_that_begins_to_wait_just_after_the_end_was_decided_has_it_fetched_again() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        running = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        built.fetcher.cancel([running])
        built.stored.may_close.clear()
        built.stored.unblock()
        assert built.stored.closing.acquire(timeout=PATIENCE)
        workers = Workers()
        workers.run(built.read, built.open("RT"), 2 * BLOCK_SIZE, 100)
        assert built.waiting.acquire(timeout=PATIENCE)
        built.stored.may_close.set()
        assert workers.join().results == [random_bytes(SIZE)[2 * BLOCK_SIZE :][:100]]
        assert isinstance(running.blocks[2].error, Cancelled)
        assert order_of_ranges(built) == [0, 2]


def test_cancelling_what_is_over_does_nothing() -> None:
    with small_house() as built:
        done = submitted(built, 0)
        built.settle()
        built.fetcher.cancel([done, done])
        assert done.blocks[0].is_ready


@pytest.mark.parametrize("where", ["open_error", "close_error"])
@pytest.mark.parametrize("error", [Unreachable("no"), RuntimeError("a mistake in the program")])
def test_no_failure_costs_a_thread_or_leaves_a_block_unfinished(
    where: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with small_house(connections=1) as built, caplog.at_level(logging.CRITICAL, logger="twfs"):
        setattr(built.stored, where, error)
        failing = submitted(built, 0, 2)
        built.settle()
        assert failing.is_over
        setattr(built.stored, where, None)
        submitted(built, 10)
        built.settle()
        eventually(lambda: built.fetcher.fetches == 2)
        assert built.fetcher._running_ahead == {}
        assert order_of_ranges(built)[-1] == 10


def test_a_mistake_in_the_program_is_logged_and_is_an_error_of_twfs_to_readers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with small_house() as built:
        built.stored.failures["RT"] = (0, ValueError("https://host/?X-Amz-Signature=secret"))
        with pytest.raises(Unreachable, match="unexpected ValueError") as caught:
            built.read(built.open("RT"), 0, 1)
        assert "secret" not in str(caught.value)
        assert "fetching RT failed" in caplog.text


def test_stopping_leaves_nobody_waiting() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        running = [submitted(built, index, 4, urgent=True) for index in (0, 10)]
        reached_the_gate(built, 2)
        queued = submitted(built, 20, 4)
        workers = wait_for(built, queued.blocks[2])
        workers.run(built.read, built.open("RT"), 3 * BLOCK_SIZE, 10)
        assert built.waiting.acquire(timeout=PATIENCE)
        workers.run(built.read, built.open("RT"), 0, MIB)
        assert built.waiting.acquire(timeout=PATIENCE)
        stopping = Workers()
        stopping.run(built.fetcher.stop)
        eventually(lambda: built.fetcher._stopping)
        built.stored.unblock()
        stopping.join()
        assert [type(error) for error in workers.join().errors] == [Unreachable] * 3
        assert all(fetch.is_over for fetch in [*running, queued])
        with pytest.raises(TwfsError, match="going down"):
            built.read(built.open("RT"), 5 * MIB, 1)


def test_stopping_is_an_error_to_the_reader_whose_fetch_it_ends() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        workers, stopping = Workers(), Workers()
        workers.run(built.read, built.open("RT"), 0, MIB)
        reached_the_gate(built, 1)
        stopping.run(built.fetcher.stop)
        eventually(lambda: built.fetcher._stopping)
        built.stored.unblock()
        stopping.join()
        assert [type(error) for error in workers.join().errors] == [Unreachable]
        assert built.stored.bytes_read == BLOCK_SIZE


def test_stopping_does_not_wait_long_for_who_is_stuck() -> None:
    with small_house(connections=16) as built:
        built.stored.block()
        stuck = [submitted(built, index, urgent=True) for index in range(16)]
        reached_the_gate(built, 16)
        begun = built.clock.monotonic()
        built.fetcher.stop()
        assert built.clock.monotonic() - begun < 6
        built.stored.unblock()
        eventually(lambda: all(fetch.is_over for fetch in stuck))


def test_stopping_waits_for_all_threads_together_as_long_as_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    built = House({"RT": plain_object(random_bytes(1))})
    clock, waits = ManualClock(), []

    class Slow(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            waits.append(timeout)
            clock.sleep(min(timeout or 0.0, 1.5))

    monkeypatch.setattr(built.fetcher, "_clock", clock)
    built.fetcher._threads.extend(Slow() for _ in range(3))
    built.fetcher.stop()
    assert waits == [2.0, 0.5, 0.0]


def test_what_is_handed_in_before_the_start_is_fetched_after_it() -> None:
    built = House({"RT": plain_object(random_bytes(SIZE))})
    early = submitted(built, 0, 2)
    built.fetcher.start()
    built.settle()
    assert all(block.is_ready for block in early.blocks)
    built.fetcher.stop()
    check_buffers(built.cache)


def test_bytes_and_ranges_are_counted() -> None:
    with small_house() as built:
        for first in range(0, 100, 10):
            submitted(built, first, 2)
        built.settle()
        eventually(lambda: built.fetcher.fetches == 10)
        assert built.fetcher.bytes_fetched == built.stored.bytes_read == 20 * BLOCK_SIZE
        assert built.fetcher.usage() == {"requests": 10, "bytes": 20 * BLOCK_SIZE, "running": 0, "queued": 0}


def test_what_is_under_way_and_what_waits_are_told_apart() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        for first in range(0, 50, 10):
            submitted(built, first)
        reached_the_gate(built, 2)
        usage = built.fetcher.usage()
        assert (usage["running"], usage["queued"]) == (2, 3)
