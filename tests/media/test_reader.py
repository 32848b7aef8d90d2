import gc
import random
import threading
import weakref
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clocks import ManualClock
from tests.media.fakes import (
    MIB,
    House,
    Workers,
    eventually,
    house,
    plain_object,
    random_bytes,
    sealed_object,
)
from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, MediaDamaged, NoKey, ObjectChanged, TwfsError, Unreachable
from twfs.media.block_cache import BLOCK_SIZE
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

KIB = 2**10
EDGES = [0, 1, 15, 16, 17, 32, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, MIB - 1, MIB, MIB + 1]
KEY_BITS = [None, 128, 192, 256]


def medium_of(size: int, key_bits: int | None, seed: int = 0):  # type: ignore[no-untyped-def]
    plain = random_bytes(size, seed)
    return plain_object(plain) if key_bits is None else sealed_object(plain, key_bits)


def sequentially(built: House, sid: str, size: int, step: int = 128 * KIB) -> bytes:
    reader = built.open(sid)
    try:
        return b"".join(built.read(reader, start, step) for start in range(0, max(size, 1), step))
    finally:
        reader.close()


@pytest.mark.parametrize("key_bits", KEY_BITS)
@pytest.mark.parametrize("size", EDGES)
def test_every_byte_is_the_plaintexts_at_every_edge(size: int, key_bits: int | None) -> None:
    plain = random_bytes(size)
    with house({"RT": medium_of(size, key_bits)}) as built:
        reader = built.open("RT")
        assert reader.plain_size == size
        edges = sorted({max(0, edge + by) for edge in [*EDGES, size] for by in (-1, 0, 1)})
        for start in edges:
            for length in (0, 1, 16, 17, BLOCK_SIZE, MIB + 3):
                assert built.read(reader, start, length) == plain[start : start + length]
        reader.close()


@pytest.mark.parametrize("key_bits", KEY_BITS)
def test_random_reads_of_several_media_by_several_threads_are_the_plaintexts(key_bits: int | None) -> None:
    sizes = {"RT1": 3 * MIB + 5, "RT2": 700_001, "RT3": 16}
    objects = {sid: medium_of(size, key_bits, number) for number, (sid, size) in enumerate(sizes.items())}
    with house(objects, cache_size=4 * MIB) as built:
        shared = {sid: built.open(sid) for sid in sizes}

        def read(seed: int) -> None:
            chance = random.Random(seed)
            own = {sid: built.open(sid) for sid in sizes}
            for _ in range(60):
                sid = chance.choice(list(sizes))
                start, length = chance.randrange(sizes[sid] + 10), chance.choice([1, 17, 4096, 64 * KIB, 300_000])
                got = built.read(chance.choice([shared, own])[sid], start, length)
                assert got == objects[sid].plain[start : start + length]
            for reader in own.values():
                reader.close()

        workers = Workers()
        for seed in range(8):
            workers.run(read, seed)
        assert workers.join().errors == []


def test_many_large_requests_through_the_smallest_cache_all_end_well() -> None:
    size = 8 * MIB
    objects = {f"RT{number}": medium_of(size, 256, number) for number in range(4)}
    with house(objects, cache_size=4 * MIB) as built:

        def read(number: int) -> None:
            sid = f"RT{number % 4}"
            reader = built.open(sid)
            for start in range(number * MIB % size, size, MIB):
                assert built.read(reader, start, MIB) == objects[sid].plain[start : start + MIB]
            reader.close()

        workers = Workers()
        for number in range(16):
            workers.run(read, number)
        assert workers.join().errors == []
        assert built.cache.usage()["allocated_bytes"] < 4.2 * MIB


def test_one_read_of_more_than_the_cache_holds_does_not_wait_for_itself() -> None:
    sealed = medium_of(9 * MIB, 256)
    with house({"RT": sealed}, cache_size=4 * MIB) as built:
        reader = built.open("RT")
        assert built.read(reader, 5, 9 * MIB, seconds=5) == sealed.plain[5:]
        reader.close()


@given(st.lists(st.tuples(st.integers(0, 2 * MIB), st.integers(0, MIB)), min_size=1, max_size=10), st.data())
@settings(max_examples=25, deadline=None)
def test_any_reads_in_any_order_are_the_plaintexts(reads: list[tuple[int, int]], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 2 * MIB))
    sealed = medium_of(size, data.draw(st.sampled_from(KEY_BITS)))
    with house({"RT": sealed}) as built:
        reader = built.open("RT")
        for start, length in reads:
            assert built.read(reader, start, length) == sealed.plain[start : start + length]
        reader.close()


# Costs


@pytest.mark.parametrize("step", [4 * KIB, 100_000, 128 * KIB, MIB])
@pytest.mark.parametrize("cache_size", [8 * MIB, 64 * MIB])
def test_a_whole_read_fetches_the_file_and_no_more(step: int, cache_size: int) -> None:
    size = 24 * MIB + 11
    sealed = medium_of(size, 256)
    with house({"RT": sealed}, cache_size=cache_size) as built:
        assert sequentially(built, "RT", size, step) == sealed.plain
        built.settle()
        assert built.stored.bytes_read <= 1.02 * size
        assert built.engine.bytes_fetched >= size


def test_what_is_fetched_ahead_is_cut_into_ranges_and_forgotten_once_it_came() -> None:
    size = 64 * MIB
    with house({"RT": medium_of(size, None)}, readahead=32 * MIB) as built:
        reader = built.open("RT")
        for start in range(0, size, MIB):
            built.read(reader, start, MIB)
        sizes = [stored_range.size for stored_range in built.requests()]
        assert MIB < max(sizes) <= 8 * MIB
        assert len(reader._ahead) < len(sizes) / 2
        reader.close()


def test_whole_reads_of_several_media_at_once_fetch_them_once() -> None:
    size = 8 * MIB
    objects = {f"RT{number}": medium_of(size, 256, number) for number in range(4)}
    with house(objects, cache_size=40 * MIB) as built:
        workers = Workers()
        for sid in objects:
            workers.run(sequentially, built, sid, size)
        assert sorted(map(hash, workers.join().results)) == sorted(hash(sealed.plain) for sealed in objects.values())
        built.settle()
        assert built.stored.bytes_read <= 1.02 * 4 * size


def test_random_reads_fetch_four_times_what_they_read_at_most() -> None:
    sealed = medium_of(64 * MIB, 256)
    with house({"RT": sealed}, cache_size=128 * MIB) as built:
        reader, chance = built.open("RT"), random.Random(3)
        for _ in range(200):
            start = chance.randrange(64 * MIB - 64 * KIB)
            assert built.read(reader, start, 64 * KIB) == sealed.plain[start : start + 64 * KIB]
        reader.close()
        built.settle()
        assert built.stored.bytes_read <= 4 * 200 * 64 * KIB


@pytest.mark.parametrize("length", [1, 4 * KIB, 128 * KIB, MIB])
@pytest.mark.parametrize("start", [0, 5 * MIB, 7 * MIB - 1])
def test_a_first_read_anywhere_is_one_range_of_no_more_than_its_blocks(start: int, length: int) -> None:
    with house({"RT": medium_of(8 * MIB, 256)}) as built:
        built.read(built.open("RT"), start, length)
        built.settle()
        (stored_range,) = built.requests()
        assert stored_range.size <= length + 2 * BLOCK_SIZE


def test_opening_asks_nobody_and_what_is_cached_is_not_fetched_again() -> None:
    size = 3 * MIB
    with house({"RT": medium_of(size, 256)}) as built:
        reader = built.open("RT")
        assert built.requests() == []
        reader.close()
        sequentially(built, "RT", size)
        built.settle()
        before = len(built.requests())
        sequentially(built, "RT", size)
        assert len(built.requests()) == before


def test_a_stampede_on_one_block_is_one_range() -> None:
    sealed = medium_of(MIB, 256)
    with house({"RT": sealed}) as built:
        built.stored.block()
        workers = Workers()
        for _ in range(10):
            workers.run(built.read, built.open("RT"), 0, 4096)
        for _ in range(10):
            assert built.waiting.acquire(timeout=10)
        built.stored.unblock()
        assert workers.join().results == [sealed.plain[:4096]] * 10
        assert len(built.requests()) == 1


def test_reading_one_place_of_a_large_request_is_possible_before_the_rest_has_come() -> None:
    sealed = medium_of(8 * MIB, 256)
    with house({"RT": sealed}, connections=1) as built:
        built.stored.failures["RT"] = (600 * KIB, Unreachable("cut"))
        workers = Workers()
        workers.run(built.read, built.open("RT"), 0, MIB)
        assert isinstance(workers.join().errors[0], Unreachable)
        assert built.read(built.open("RT"), 0, 512 * KIB) == sealed.plain[: 512 * KIB]
        assert len(built.requests()) == 1


# Cancelling


def begin_reading_ahead(built: House, sid: str = "RT"):  # type: ignore[no-untyped-def]
    """A reader with prefetching that stands still."""
    reader = built.open(sid)
    for start in range(0, 4 * MIB, 128 * KIB):
        built.read(reader, start, 128 * KIB)
    built.settle()
    built.stored.block()
    position = 4 * MIB
    while all(fetch.is_over for fetch in reader._ahead):
        built.read(reader, position, 128 * KIB)
        position += 128 * KIB
    assert built.stored.blocked.acquire(timeout=10)
    return reader


@pytest.mark.parametrize("how", ["close", "seek"])
def test_closing_or_seeking_drops_what_was_being_fetched_ahead(how: str) -> None:
    size = 64 * MIB
    with house({"RT": medium_of(size, 256)}) as built:
        reader = begin_reading_ahead(built)
        fetches = sum(not fetch.is_over for fetch in reader._ahead) + (how == "seek")
        assert built.cache.usage()["filling_bytes"] >= 4 * fetches * BLOCK_SIZE
        if how == "close":
            reader.close()
        else:
            workers = Workers()
            workers.run(built.read, reader, 60 * MIB, 4096)
            eventually(lambda: not reader._ahead)
        before = built.stored.bytes_read
        built.stored.unblock()
        built.settle()
        reader.close()
        # Each stream that ran ends with the block it was at.
        assert built.stored.bytes_read - before <= fetches * (BLOCK_SIZE + 16)
        if how == "seek":
            workers.join()


def test_a_cancelled_fetch_still_delivers_to_whom_waits_for_it() -> None:
    sealed = medium_of(64 * MIB, 256)
    with house({"RT": sealed}) as built:
        reader = begin_reading_ahead(built)
        ahead = next(fetch for fetch in reader._ahead if not fetch.is_over)
        last = ahead.blocks[-1].key[1] * BLOCK_SIZE
        ranges = len(built.requests())
        other, workers = built.open("RT"), Workers()
        workers.run(built.read, other, last, 4096)
        while not ahead.blocks[-1].arrivals:
            assert built.waiting.acquire(timeout=10)
        reader.close()
        built.stored.unblock()
        assert workers.join().results == [sealed.plain[last : last + 4096]]
        built.settle()
        assert all(block.is_ready for block in ahead.blocks)
        began_after = built.requests()[ranges:]
        assert all(not stored.start <= last < stored.end for stored in began_after)
        other.close()


def test_readers_that_begin_to_wait_while_others_cancel_get_their_bytes() -> None:
    sealed = medium_of(32 * MIB, None)
    with house({"RT": sealed}, cache_size=8 * MIB, connections=3) as built:

        def play(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(12):
                reader, start = built.open("RT"), chance.randrange(30 * MIB)
                for position in range(start, start + MIB, 128 * KIB):
                    assert built.read(reader, position, 128 * KIB) == sealed.plain[position : position + 128 * KIB]
                reader.close()

        workers = Workers()
        for seed in range(6):
            workers.run(play, seed % 3)
        assert workers.join().errors == []


def test_a_read_after_close_still_tells_the_truth_and_keeps_no_share() -> None:
    sealed = medium_of(4 * MIB, 256)
    with house({"RT": sealed}) as built:
        reader = built.open("RT")
        reader.close()
        for start in range(0, 2 * MIB, 128 * KIB):
            assert built.read(reader, start, 128 * KIB) == sealed.plain[start : start + 128 * KIB]
        assert built.library._read_at == {}
        assert reader._ahead == []


# Failures


def test_a_changed_object_is_told_once_and_to_every_reader() -> None:
    sealed = medium_of(2 * MIB, 256)
    with house({"RT": sealed}) as built:
        reader = built.open("RT")
        assert built.read(reader, 0, 4096) == sealed.plain[:4096]
        built.stored.replace("RT", medium_of(2 * MIB, 256, 5))
        workers = Workers()
        for number in range(5):
            workers.run(built.read, reader, MIB + number * BLOCK_SIZE, 4096)
        assert [type(error) for error in workers.join().errors] == [ObjectChanged] * 5
        with pytest.raises(ObjectChanged):
            built.read(reader, MIB, 1)
        assert built.changed == ["RT"]
        assert built.read(built.open("RT"), MIB, 4096) == random_bytes(2 * MIB, 5)[MIB : MIB + 4096]


def test_a_failing_range_is_the_readers_error_and_the_next_read_tries_again() -> None:
    sealed = medium_of(MIB, 256)
    with house({"RT": sealed}) as built:
        reader = built.open("RT")
        built.stored.failures["RT"] = (70_000, Unreachable("the network is down"))
        for _ in range(2):
            with pytest.raises(Unreachable, match="the network is down"):
                built.read(reader, 0, MIB)
        assert len(built.requests()) == 2
        built.stored.failures.clear()
        assert built.read(reader, 0, MIB) == sealed.plain


def test_prefetching_that_failed_costs_the_reader_nothing() -> None:
    sealed = medium_of(8 * MIB, 256)
    with house({"RT": sealed}) as built:
        reader = built.open("RT")
        built.stored.failures["RT"] = (3 * MIB, Unreachable("down"))
        for start in range(0, 2 * MIB, 128 * KIB):
            built.read(reader, start, 128 * KIB)
        built.settle()
        built.stored.failures.clear()
        for start in range(2 * MIB, 8 * MIB, 128 * KIB):
            assert built.read(reader, start, 128 * KIB) == sealed.plain[start : start + 128 * KIB]


@pytest.mark.parametrize("error", [Unreachable("down"), DeadlineExceeded("no answer within 30 s")])
def test_prefetching_that_fails_while_a_reader_waits_costs_it_nothing(error: TwfsError) -> None:
    sealed = medium_of(16 * MIB, None)
    with house({"RT": sealed}) as built:
        reader = begin_reading_ahead(built)
        ahead = next(fetch for fetch in reader._ahead if not fetch.is_over)
        at = ahead.rest.start
        built.stored.failures["RT"], built.stored.fails_once = (at, error), True
        workers = Workers()
        workers.run(built.read, built.open("RT"), at, 100)
        while not ahead.blocks[0].arrivals:
            assert built.waiting.acquire(timeout=10)
        built.stored.unblock()
        assert workers.join().results == [sealed.plain[at : at + 100]]


def test_what_fails_again_for_the_reader_itself_has_failed() -> None:
    with house({"RT": medium_of(16 * MIB, None)}) as built:
        reader = begin_reading_ahead(built)
        at = next(fetch for fetch in reader._ahead if not fetch.is_over).rest.start
        built.stored.failures["RT"] = (at, Unreachable("down"))
        before = len(built.requests())
        workers = Workers()
        workers.run(built.read, built.open("RT"), at, 100)
        built.stored.unblock()
        assert [str(failure) for failure in workers.join().errors] == ["down"]
        again = [part for part in built.requests()[before:] if part.start <= at < part.end]
        assert len(again) <= 1


def test_a_reader_that_waits_gives_up_at_its_deadline() -> None:
    with house({"RT": medium_of(MIB, 256)}) as built:
        reader = built.open("RT")
        built.stored.block()
        with pytest.raises(DeadlineExceeded):
            built.read(reader, 0, 4096, seconds=0.05)
        built.stored.unblock()
        assert len(built.read(reader, 0, 4096)) == 4096


def test_each_block_has_its_own_time_to_come() -> None:
    """A slow connection may take longer for a whole range than one operation may take."""
    clock = ManualClock()
    sealed = medium_of(MIB, None)
    with house({"RT": sealed}, clock=clock, timeout=30.0) as built:
        built.stored.seconds_per_read = 20.0
        assert built.read(built.open("RT"), 0, MIB, seconds=1000.0) == sealed.plain
        assert clock.now >= 1160.0


def test_what_went_wrong_keeps_no_buffer_alive() -> None:
    with house({"RT": medium_of(MIB, 256)}) as built:
        reader = built.open("RT")
        built.stored.failures["RT"] = (0, Unreachable("down"))
        buffer = bytearray(4096)
        view = memoryview(buffer)
        with pytest.raises(Unreachable):
            reader.read_into(view, 0, Deadline(built.clock, 10))
        view.release()
        buffer += b"grows only while nobody has a view of it"


def test_a_closed_reader_is_forgotten() -> None:
    with house({"RT": medium_of(4 * MIB, 256)}) as built:
        reader = built.open("RT")
        for start in range(0, 2 * MIB, 128 * KIB):
            built.read(reader, start, 128 * KIB)
        reader.close()
        built.settle()
        forgotten = weakref.ref(reader)
        del reader
        gc.collect()
        assert forgotten() is None


# Sharing


def test_readers_share_the_windows_and_idle_ones_give_their_part_back() -> None:
    clock = ManualClock()
    built = House({"RT": medium_of(1, None)}, clock=clock, cache_size=64 * MIB, readahead=1000 * MIB, connections=16)
    readers = [built.open("RT") for _ in range(4)]
    whole = int(built.cache.capacity * 0.5)
    share = built.library.share
    assert share(readers[0]) == (whole, 16)
    clock.now += 6
    assert [share(reader) for reader in readers[1:]] == [(whole // 2, 8), (whole // 3, 5), (whole // 4, 4)]
    clock.now += 6
    assert share(readers[1]) == (whole // 3, 5)
    readers[2].close()
    assert share(readers[1]) == (whole // 2, 8)
    clock.now += 100
    assert share(readers[3]) == (whole, 16)
    assert list(built.library._read_at) == [readers[3]]


def test_a_window_is_never_larger_than_the_option() -> None:
    built = House({"RT": medium_of(1, None)}, readahead=MIB)
    assert built.library.share(built.open("RT")).bytes_ahead == MIB


def test_several_readers_at_once_each_get_their_share_of_what_is_fetched() -> None:
    """Every stream costs the same; whoever is done first must not be far ahead of the last."""
    size = 6 * MIB
    objects = {f"RT{number}": medium_of(size, None, number) for number in range(4)}
    with house(objects, cache_size=32 * MIB, connections=4) as built:
        built.stored.seconds_per_read = 0.001
        progress = dict.fromkeys(objects, 0)
        slowest_at_first_finish: list[int] = []
        barrier = threading.Barrier(4)

        def read(sid: str) -> None:
            reader = built.open(sid)
            barrier.wait()
            for start in range(0, size, 128 * KIB):
                built.read(reader, start, 128 * KIB)
                progress[sid] = start
            slowest_at_first_finish.append(min(progress.values()))
            reader.close()

        workers = Workers()
        for sid in objects:
            workers.run(read, sid)
        assert workers.join().errors == []
        assert slowest_at_first_finish[0] >= size // 4


# Opening


def test_what_cannot_be_read_is_not_opened() -> None:
    built = House({"RT": (sealed := medium_of(1000, 256))})
    facts, medium = sealed.facts("e"), Medium("RT", Kind.RECORDING)
    for state in (MediaState.ABSENT, MediaState.LOCKED, MediaState.DAMAGED):
        with pytest.raises(MediaDamaged, match="nothing of it"):
            built.library.open(medium, MediaInfo(state, 1000, encrypted=True, facts=facts))
    with pytest.raises(MediaDamaged, match="is 1008, not 999"):
        built.library.open(medium, MediaInfo(MediaState.READABLE, 999, facts=facts))


def test_what_turns_out_to_be_wrapped_for_another_key_or_to_have_another_size_gives_no_bytes() -> None:
    sealed = medium_of(1000, 256)
    with house(dict.fromkeys(("foreign", "longer", "bare"), sealed)) as built:
        facts = {sid: sealed.facts(built.stored.etag(sid)) for sid in built.stored.objects}
        facts["foreign"] = replace(facts["foreign"], metadata={**sealed.metadata, "x-amz-key": "A" * 340 + "AAA="})
        facts["bare"] = replace(facts["bare"], metadata={})
        for sid, size, error in (("foreign", 1000, NoKey), ("longer", 999, MediaDamaged), ("bare", 1000, MediaDamaged)):
            info = MediaInfo(MediaState.READABLE, size, encrypted=True, facts=facts[sid])
            reader = built.library.open(Medium(sid, Kind.RECORDING), info)
            for start in (0, 512):
                with pytest.raises(error):
                    built.read(reader, start, 100)
            reader.close()


def test_who_was_told_a_wrong_size_does_not_spoil_the_medium_for_who_is_told_the_right_one() -> None:
    with house({"RT": (sealed := medium_of(1000, 256))}) as built:
        facts = sealed.facts(built.stored.etag("RT"))
        wrong = MediaInfo(MediaState.READABLE, 999, encrypted=True, facts=facts)
        reader = built.library.open(Medium("RT", Kind.RECORDING), wrong)
        with pytest.raises(MediaDamaged, match="is 1000, not 999"):
            built.read(reader, 0, 100)
        reader.close()
        built.settle()
        assert sequentially(built, "RT", 1000) == sealed.plain


def test_the_content_key_is_found_once_for_all_handles_and_while_the_bytes_are_under_way() -> None:
    with house({"RT": medium_of(MIB, 256)}) as built:
        built.stored.block()
        workers = Workers()
        readers = [built.open("RT") for _ in range(3)]
        for number, reader in enumerate(readers):
            workers.run(built.read, reader, number * 300_000, 1000)
        eventually(lambda: built.unlocker.unlocked)
        assert built.stored.bytes_read == 0
        built.stored.unblock()
        assert workers.join().errors == []
        for reader in readers:
            reader.close()
        built.open("RT").close()
        assert built.unlocker.unlocked == [built.stored.etag("RT")]


def test_windows_are_summed_up_over_what_is_being_read() -> None:
    objects = {sid: medium_of(8 * MIB, None, seed) for seed, sid in enumerate(("RT", "CJ"))}
    with house(objects) as built:
        assert built.library.windows() == {"readers": 0, "streams": 0, "bytes": 0}
        readers = [built.open(sid) for sid in objects]
        for reader in readers:
            built.read(reader, 0, 128 * KIB)
        assert built.library.windows() == {"readers": 2, "streams": 2, "bytes": 0}
        built.read(readers[0], 4 * MIB, 128 * KIB)
        built.read(readers[1], 128 * KIB, 128 * KIB)
        found = built.library.windows()
        assert (found["readers"], found["streams"]) == (2, 3)
        assert found["bytes"] >= 256 * KIB
        readers[0].close()
        assert built.library.windows()["streams"] == 1
