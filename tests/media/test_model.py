"""Reader, cache, prefetching and fetching together over a bucket that fails: any order of events."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.media.fakes import MIB, House, Sealed, Workers, check_buffers, plain_object, random_bytes, sealed_object
from twfs.clock import Deadline
from twfs.errors import ObjectChanged, TwfsError, Unreachable
from twfs.media.block_cache import BLOCK_SIZE
from twfs.media.reader import MediumReader

SIZES = {"RT1": 3 * MIB + 17, "RT2": 700_000, "RT3": 31, "RT4": 5 * MIB}
READ_SIZES = [1, 16, 4096, 65_536, BLOCK_SIZE, 300_001, MIB]

sids = st.sampled_from(list(SIZES))


def generation(sid: str, number: int) -> Sealed:
    plain = random_bytes(SIZES[sid], number)
    return plain_object(plain) if sid == "RT2" else sealed_object(plain, 128 + 64 * (number % 3))


class ReadingModel(RuleBasedStateMachine):
    """What a read returns is the plaintext as it was opened, all of it; or it raises an error of twfs."""

    def __init__(self) -> None:
        super().__init__()
        self.generations = dict.fromkeys(SIZES, 0)
        self.house = House({sid: generation(sid, 0) for sid in SIZES}, cache_size=4 * MIB, connections=3)
        self.readers: list[tuple[MediumReader, str, Sealed, int]] = []
        self.places: dict[MediumReader, int] = {}
        self.told: set[tuple[int, str]] = set()

    @rule(sid=sids)
    def open(self, sid: str) -> None:
        reader = self.house.open(sid)
        self.readers.append((reader, sid, self.house.stored.objects[sid], self.generations[sid]))
        self.places[reader] = 0

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), size=st.sampled_from(READ_SIZES))
    def read_anywhere(self, data: st.DataObject, size: int) -> None:
        reader, sid, sealed, number = data.draw(st.sampled_from(self.readers))
        self._read((reader, sid, sealed, number), data.draw(st.integers(0, SIZES[sid] + 20)), size)

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), size=st.sampled_from(READ_SIZES), times=st.integers(1, 12))
    def read_on(self, data: st.DataObject, size: int, times: int) -> None:
        opened = data.draw(st.sampled_from(self.readers))
        for _ in range(times):
            self._read(opened, self.places[opened[0]], size)

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), size=st.sampled_from(READ_SIZES))
    def read_by_all_at_once(self, data: st.DataObject, size: int) -> None:
        workers = Workers()
        for opened in self.readers:
            workers.run(self._read, opened, data.draw(st.integers(0, SIZES[opened[1]])), size)
        assert [error for error in workers.join().errors if isinstance(error, AssertionError)] == []

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        opened = data.draw(st.sampled_from(self.readers))
        self.readers.remove(opened)
        opened[0].close()

    @rule(sid=sids, data=st.data())
    def fail_from_now_on(self, sid: str, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, SIZES[sid]))
        self.house.stored.failures[sid] = (at, data.draw(st.sampled_from([Unreachable("down"), RuntimeError("odd")])))

    @rule()
    def mend(self) -> None:
        """Once what prefetching began before has come to its end, nothing may fail any more."""
        self.house.settle()
        self.house.stored.failures.clear()

    @rule(sid=sids)
    def replace(self, sid: str) -> None:
        self.generations[sid] += 1
        self.house.stored.replace(sid, generation(sid, self.generations[sid]))

    def _read(self, opened: tuple[MediumReader, str, Sealed, int], start: int, size: int) -> None:
        reader, sid, sealed, number = opened
        buffer = bytearray(b"\xaa" * size)
        try:
            count = reader.read_into(memoryview(buffer), start, Deadline(self.house.clock, 20))
        except ObjectChanged:
            assert number < self.generations[sid]
            self.told.add((id(reader), sid))
            return
        except Unreachable:
            assert sid in self.house.stored.failures
            return
        except TwfsError as error:
            raise AssertionError(f"{type(error)} is none of a reader's errors") from error
        expected = sealed.plain[start : start + size]
        assert count == len(expected)
        assert bytes(buffer[:count]) == expected
        assert bytes(buffer[count:]) == b"\xaa" * (size - count)
        self.places[reader] = start + count

    @invariant()
    def changes_were_told_once_to_each(self) -> None:
        assert sorted(self.house.changed) == sorted(sid for _, sid in self.told)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.house.cache._made <= self.house.cache._count

    def teardown(self) -> None:
        for reader, *_ in self.readers:
            reader.close()
        self.house.settle()
        self.house.stop()
        check_buffers(self.house.cache)
        assert self.house.stored.open_streams == 0


ReadingModel.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestReadingModel = ReadingModel.TestCase
