import random
import threading

from hypothesis import given
from hypothesis import strategies as st

from tests.fs.unhurried import unhurried
from twfs.fs.coverage import MOST_PARTS, Coverage, Deliveries
from twfs.ranges import ByteRange

PARTS = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda part: ByteRange(part[0], part[0] + part[1]))


@unhurried
@given(st.lists(PARTS, max_size=30), PARTS)
def test_it_holds_what_every_byte_of_was_added(parts: list[ByteRange], wanted: ByteRange) -> None:
    coverage, model = Coverage(), set[int]()
    for part in parts:
        coverage.add(part)
        model.update(range(*part))
    assert coverage.holds(wanted) == (set(range(*wanted)) <= model)
    assert coverage.holds(ByteRange(wanted.start, wanted.start))


@unhurried
@given(st.permutations([ByteRange(start, start + 10) for start in range(0, 300, 10)]), st.integers(0, 29))
def test_any_order_of_all_parts_is_the_whole_and_one_missing_is_not(parts: list[ByteRange], missing: int) -> None:
    whole, torn = Coverage(), Coverage()
    for number, part in enumerate(parts):
        whole.add(part)
        if number != missing:
            torn.add(part)
    assert whole.holds(ByteRange(0, 300))
    assert not torn.holds(ByteRange(0, 300))
    assert len(whole._parts) == 1


def test_memory_is_bounded_and_what_is_forgotten_is_not_claimed() -> None:
    coverage, chance = Coverage(), random.Random(1)
    for start in chance.sample(range(0, 10 * MOST_PARTS, 2), 3 * MOST_PARTS):
        coverage.add(ByteRange(start, start + 1))
    assert len(coverage._parts) == MOST_PARTS
    assert sum(coverage.holds(ByteRange(byte, byte + 1)) for byte in range(10 * MOST_PARTS)) == MOST_PARTS
    coverage.add(ByteRange(0, 10 * MOST_PARTS))
    assert coverage.holds(ByteRange(0, 10 * MOST_PARTS))


def test_of_too_many_parts_the_smallest_is_forgotten() -> None:
    coverage = Coverage()
    coverage.add(ByteRange(0, 1000))
    for number in range(MOST_PARTS):
        start = 2000 + 10 * number
        coverage.add(ByteRange(start, start + 2 + (number != 7)))
    assert coverage.holds(ByteRange(0, 1000))
    assert not coverage.holds(ByteRange(2070, 2072))
    assert len(coverage._parts) == MOST_PARTS


def test_parts_of_two_objects_are_no_whole_one() -> None:
    deliveries = Deliveries()
    deliveries.note("RT1", '"e1"', ByteRange(0, 5))
    deliveries.note("RT1", '"e2"', ByteRange(5, 10))
    assert not deliveries.has_all("RT1", '"e1"', 10)
    assert not deliveries.has_all("RT1", '"e2"', 10)
    deliveries.note("RT1", '"e2"', ByteRange(0, 5))
    assert deliveries.has_all("RT1", '"e2"', 10)
    assert not deliveries.has_all("RT2", '"e2"', 10)
    deliveries.forget("RT1")
    assert not deliveries.has_all("RT1", '"e2"', 10)


def test_an_object_without_an_etag_is_never_whole_and_an_empty_one_always() -> None:
    deliveries = Deliveries()
    deliveries.note("RT1", "", ByteRange(0, 10))
    assert not deliveries.has_all("RT1", "", 10)
    assert not deliveries.has_all("RT1", "", 0)
    assert deliveries.has_all("RT1", '"e1"', 0)


def test_readers_at_once_lose_nothing() -> None:
    deliveries = Deliveries()

    def read(reader: int) -> None:
        for start in range(reader * 200, (reader + 1) * 200):
            deliveries.note("RT1", '"e1"', ByteRange(start, start + 1))

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert deliveries.has_all("RT1", '"e1"', 1600)
