import asyncio
import logging
import os
import threading

import pytest

from tests.media.fakes import (
    MIB,
    PATIENCE,
    House,
    Workers,
    eventually,
    house,
    plain_object,
    random_bytes,
    sealed_object,
    use_block,
)
from twfs.clock import Deadline
from twfs.errors import TwfsError, Unreachable
from twfs.media.block_cache import BLOCK_SIZE, Block
from twfs.media.block_job import BlockJob
from twfs.media.range_engine import Cancelled
from twfs.media.range_queue import RangeQueue

SIZE = 16 * MIB


def small_house(**options: object):  # type: ignore[no-untyped-def]
    return house({"RT": plain_object(random_bytes(SIZE))}, **options)


def job_of(built: House, first: int, count: int = 1, *, urgent: bool = False) -> BlockJob:
    reader = built.open("RT")
    blocks = []
    for index in range(first, first + count):
        block = built.cache.reserve((reader._object_key, index), BLOCK_SIZE, Deadline(built.clock, 10))
        assert block is not None
        blocks.append(block)
    return BlockJob(reader._object, blocks, built.cache, built.timeout, urgent=urgent)


def submitted(built: House, first: int, count: int = 1, *, urgent: bool = False) -> BlockJob:
    fetch = job_of(built, first, count, urgent=urgent)
    built.engine.submit(fetch)
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
        assert built.engine.usage()["running"] == connections
        built.stored.unblock()
        built.settle()
        eventually(lambda: not built.engine.usage()["running"])
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
        assert built.engine.bytes_fetched == 9 * BLOCK_SIZE


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
        built.engine.cancel([running])
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
        late = job_of(built, 20)
        workers = wait_for(built, late.blocks[0])
        built.engine.submit(late)
        built.stored.unblock()
        built.settle()
        assert order_of_ranges(built) == [0, 20, 10]
        assert len(workers.join().results) == 1


def test_what_is_urgent_and_queued_takes_a_connection_too() -> None:
    with small_house(connections=2) as built:
        queue = RangeQueue(2)
        ahead, first, second = job_of(built, 0, 4), job_of(built, 10, urgent=True), job_of(built, 20, urgent=True)
        queue.add(ahead)
        assert queue.next(0) is ahead
        # Handed in at once: for one of them there is a connection, and for the other there is none.
        queue.add(first)
        assert not ahead.gives_way
        queue.add(second)
        assert ahead.gives_way
        assert [queue.next(0), queue.next(0)] == [first, None]
        for job in (ahead, first, second):
            job.fail(Cancelled("the test is over"))


def test_what_nobody_waits_for_gives_way_first() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        first, last = (submitted(built, index, 4) for index in (0, 10))
        reached_the_gate(built, 2)
        workers = wait_for(built, last.blocks[3])
        submitted(built, 30, urgent=True)
        eventually(lambda: first.gives_way)
        assert not last.gives_way
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
        built.engine.cancel([dropped])
        eventually(lambda: dropped.is_over)
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
        built.engine.cancel([wanted])
        assert not wanted.is_over
        built.stored.unblock()
        assert workers.join().errors == []


def test_cancelled_while_running_ends_at_the_next_block() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        running = submitted(built, 0, 8)
        reached_the_gate(built, 1)
        built.engine.cancel([running])
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
        built.engine.cancel([running])
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
        built.engine.cancel([running])
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
        built.engine.cancel([done, done])
        assert done.blocks[0].is_ready


@pytest.mark.parametrize("where", ["open_error", "close_error"])
@pytest.mark.parametrize("error", [Unreachable("no"), RuntimeError("a mistake in the program")])
def test_no_failure_costs_a_connection_or_leaves_a_block_unfinished(
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
        eventually(lambda: built.engine.requests == 2)
        assert built.engine.usage()["running"] == 0
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
        built.engine.stop()
        assert [type(error) for error in workers.join().errors] == [Unreachable] * 3
        assert all(job.is_over for job in [*running, queued])
        with pytest.raises(TwfsError, match="going down"):
            built.read(built.open("RT"), 5 * MIB, 1)


def test_stopping_waits_for_nobody_who_is_stuck() -> None:
    with small_house(connections=16) as built:
        built.stored.block()
        stuck = [submitted(built, index, urgent=True) for index in range(16)]
        reached_the_gate(built, 16)
        begun = built.clock.monotonic()
        built.engine.stop()
        assert built.clock.monotonic() - begun < 5
        assert all(job.is_over for job in stuck)
        assert built.stored.bytes_read == 0


def test_a_key_is_found_out_while_twilio_keeps_all_who_ask_it_waiting() -> None:
    plain = random_bytes(3 * BLOCK_SIZE)
    with house({"RT": sealed_object(plain)}) as built:
        answered = threading.Event()

        async def ask_twilio() -> None:
            await asyncio.gather(*(built.loop.blocking(answered.wait) for _ in range(4)))

        asking = Workers()
        asking.run(built.loop.call, ask_twilio)
        try:
            fetch = submitted(built, 0, 3)
            eventually(lambda: fetch.is_over)
        finally:
            answered.set()
        asking.join()
        assert built.read(built.open("RT"), 0, len(plain)) == plain
        assert len(built.requests()) == 1


def test_a_forked_child_fetches_what_it_wants_itself() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        parents = submitted(built, 0, 4)
        reached_the_gate(built, 1)
        child = os.fork()
        if child == 0:
            built.stored.unblock()
            got = built.read(built.open("RT"), 5 * MIB, 100)
            os._exit(0 if got == random_bytes(SIZE)[5 * MIB :][:100] and parents.is_over else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not parents.is_over


def test_a_forked_child_that_only_ends_does_not_wait_for_what_its_parent_does() -> None:
    with small_house(connections=1) as built:
        built.stored.block()
        submitted(built, 0, 4)
        reached_the_gate(built, 1)
        child = os.fork()
        if child == 0:
            built.engine.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def test_bytes_and_ranges_are_counted() -> None:
    with small_house() as built:
        for first in range(0, 100, 10):
            submitted(built, first, 2)
        built.settle()
        eventually(lambda: built.engine.requests == 10)
        assert built.engine.bytes_fetched == built.stored.bytes_read == 20 * BLOCK_SIZE
        assert built.engine.usage() == {"requests": 10, "bytes": 20 * BLOCK_SIZE, "running": 0, "queued": 0}


def test_what_is_under_way_and_what_waits_are_told_apart() -> None:
    with small_house(connections=2) as built:
        built.stored.block()
        for first in range(0, 50, 10):
            submitted(built, first)
        reached_the_gate(built, 2)
        eventually(lambda: (built.engine.usage()["running"], built.engine.usage()["queued"]) == (2, 3))
