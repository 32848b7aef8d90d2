"""Stored bytes in whatever pieces, the content key at whatever moment: blocks are the plaintext, each once."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.fakes import CountingUnlocker, Sealed, check_buffers, plain_object, random_bytes, sealed_object
from twfs.clock import Deadline, SystemClock
from twfs.errors import MediaDamaged, Unreachable
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache
from twfs.media.block_job import BlockJob
from twfs.media.plain_object import PlainObject
from twfs.media.range_queue import NotWanted
from twfs.media.unlocking import Unlocking
from twfs.resources import Kind, Medium

SIZES = (1, 15, 16, 17, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE, 4 * BLOCK_SIZE + 5)
OBJECTS = [make(random_bytes(size, size)) for size in SIZES for make in (plain_object, sealed_object)]
UNLOCKER = CountingUnlocker()
MEDIUM = Medium("RT1", Kind.RECORDING)


def unlocking_of(sealed: Sealed, plain_size: int) -> Unlocking | None:
    return Unlocking(UNLOCKER, "RT1", sealed.facts("e"), plain_size) if sealed.metadata else None


def job_for(sealed: Sealed, indexes: range, cache: BlockCache, unlocking: Unlocking | None) -> BlockJob:
    whole = PlainObject(MEDIUM, sealed.facts("e"), len(sealed.plain), unlocking)
    blocks: list[Block] = []
    for index in indexes:
        size = min(BLOCK_SIZE, len(sealed.plain) - index * BLOCK_SIZE)
        block = cache.reserve(("RT1", index), size, Deadline(SystemClock(), 5))
        assert block is not None
        blocks.append(block)
    job = BlockJob(whole, blocks, cache, 30, urgent=False)
    job.begin()
    return job


def plaintext(sealed: Sealed, blocks: Sequence[Block]) -> list[bytes]:
    starts = [block.key[1] * BLOCK_SIZE for block in blocks]
    return [sealed.plain[start : start + block.size] for start, block in zip(starts, blocks, strict=True)]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_blocks_in_any_pieces_whenever_the_key_is_found(data: st.DataObject) -> None:
    sealed = data.draw(st.sampled_from(OBJECTS))
    count = -(-len(sealed.plain) // BLOCK_SIZE)
    first = data.draw(st.integers(0, count - 1))
    indexes = range(first, data.draw(st.integers(first + 1, count)))
    cache, unlocking = BlockCache(1), unlocking_of(sealed, len(sealed.plain))
    job = job_for(sealed, indexes, cache, unlocking)
    stored = sealed.stored[job.rest.start : job.rest.end]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stored)), max_size=6)))
    known_at = data.draw(st.integers(0, len(cuts) + 1))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(stored)], strict=True)):
        if number == known_at and unlocking is not None:
            unlocking.result()
        job.take(stored[start:end])
    assert job.rest.size == 0
    if job.is_held_up:
        job.complete()
    assert job.is_over
    assert job.fetched == sum(block.size for block in job.blocks)
    assert [bytes(block.view[: block.size]) for block in job.blocks] == plaintext(sealed, job.blocks)
    assert all(block.is_ready for block in job.blocks)
    check_buffers(cache)


@pytest.mark.parametrize("make", [plain_object, sealed_object])
def test_what_gave_way_goes_on_at_the_next_block(make: object) -> None:
    assert callable(make)
    sealed = make(random_bytes(4 * BLOCK_SIZE + 5, 1))
    cache, unlocking = BlockCache(1), unlocking_of(sealed, len(sealed.plain))
    if unlocking is not None:
        unlocking.result()
    job = job_for(sealed, range(1, 5), cache, unlocking)
    job.gives_way = True
    rest = job.rest
    with pytest.raises(NotWanted):
        job.take(sealed.stored[rest.start : rest.end])
    job.gives_way = False
    job.begin()
    assert job.rest.start == rest.start + BLOCK_SIZE
    job.take(sealed.stored[job.rest.start : job.rest.end])
    assert [bytes(block.view[: block.size]) for block in job.blocks] == plaintext(sealed, job.blocks)


@pytest.mark.parametrize(("is_known", "start"), [(True, BLOCK_SIZE - 16), (False, 0)])
def test_what_broke_off_begins_anew_with_what_is_not_published(start: int, *, is_known: bool) -> None:
    sealed = sealed_object(random_bytes(2 * BLOCK_SIZE, 2))
    cache, unlocking = BlockCache(1), unlocking_of(sealed, len(sealed.plain))
    assert unlocking is not None
    if is_known:
        unlocking.result()
    job = job_for(sealed, range(2), cache, unlocking)
    job.take(sealed.stored[: BLOCK_SIZE + 7])
    job.begin()
    assert job.rest.start == start
    job.take(sealed.stored[start : job.rest.end])
    if job.is_held_up:
        job.complete()
    assert [bytes(block.view[: block.size]) for block in job.blocks] == plaintext(sealed, job.blocks)


def test_while_blocks_wait_for_the_key_it_does_not_give_way() -> None:
    sealed = sealed_object(random_bytes(3 * BLOCK_SIZE, 3))
    cache, unlocking = BlockCache(1), unlocking_of(sealed, len(sealed.plain))
    job = job_for(sealed, range(3), cache, unlocking)
    job.cancelled = True
    job.take(sealed.stored[: 2 * BLOCK_SIZE])
    assert job.is_held_up
    assert unlocking is not None
    unlocking.result()
    job.take(sealed.stored[2 * BLOCK_SIZE : job.rest.end])
    assert job.is_over


def test_without_a_key_the_blocks_fail_and_nothing_is_readable() -> None:
    sealed = sealed_object(random_bytes(BLOCK_SIZE, 4))
    cache, unlocking = BlockCache(1), unlocking_of(sealed, len(sealed.plain) - 1)
    job = job_for(sealed, range(1), cache, unlocking)
    job.take(sealed.stored[job.rest.start : job.rest.end])
    with pytest.raises(MediaDamaged):
        job.complete()
    job.fail(Unreachable("no key"))
    assert job.is_over
    assert not job.blocks[0].is_ready
    check_buffers(cache)
