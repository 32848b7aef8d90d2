"""File system, catalogue and reading together, without kernel and network: any order of events equals the model."""

import os
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.soak.world import Generation, World
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, NoSuchName, ObjectChanged, TwfsError, Unreachable
from twfs.media.block_cache import BLOCK_SIZE
from twfs.resources import Kind

SIZES = st.sampled_from([0, 1, 15, 16, 17, 5000, BLOCK_SIZE - 1, BLOCK_SIZE, 2 * BLOCK_SIZE + 33, 9 * BLOCK_SIZE + 1])
KINDS = st.sampled_from(list(Kind))
TROUBLES = st.sampled_from([Unreachable("down"), CredentialsRefused("refused")])


@dataclass(eq=False)
class Opened:
    """A file as it was when it was opened: that is what reading it must give, or an error."""

    handle: int
    path: str
    generation: Generation


class Promises(RuleBasedStateMachine):
    """The model: what Twilio has, which media have been shown, and the content of each open file."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        for kind, size in ((Kind.RECORDING, 5000), (Kind.RECORDING, 9 * BLOCK_SIZE + 1), (Kind.COMPOSITION, 17)):
            self.world.create(kind, "completed", size)
        self.world.catalog.first_listing()
        self.open_now: list[Opened] = []
        self.shown: set[str] = set()

    # At Twilio

    @rule(kind=KINDS, status=st.sampled_from(["processing", "completed", "completed", "failed"]), size=SIZES)
    def create(self, kind: Kind, status: str, size: int) -> None:
        self.world.create(kind, status, size)

    @precondition(lambda self: self.processing())
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        self.world.twilio.complete(data.draw(st.sampled_from(self.processing())))

    @precondition(lambda self: self.stored())
    @rule(data=st.data(), size=st.one_of(st.none(), SIZES))
    def replace(self, data: st.DataObject, size: int | None) -> None:
        """By one of the same size, perhaps."""
        sid = data.draw(st.sampled_from(self.stored()))
        self.world.replace(sid, len(self.world.bucket.objects[sid].plain) if size is None else size)

    @precondition(lambda self: self.stored())
    @rule(data=st.data(), forget=st.booleans())
    def delete(self, data: st.DataObject, forget: bool) -> None:
        self.world.delete(data.draw(st.sampled_from(self.stored())), forget=forget)

    # Trouble

    @rule(kind=KINDS, page=st.integers(0, 2), trouble=TROUBLES)
    def lists_fail(self, kind: Kind, page: int, trouble: TwfsError) -> None:
        self.world.twilio.fail_page[kind] = (page, trouble)

    @rule(trouble=TROUBLES)
    def looks_fail(self, trouble: TwfsError) -> None:
        self.world.twilio.fail_fetch = self.world.twilio.probe_down = trouble

    @rule()
    def urls_fail(self) -> None:
        self.world.bucket.is_down = True

    @precondition(lambda self: self.stored())
    @rule(data=st.data(), trouble=TROUBLES)
    def reads_fail(self, data: st.DataObject, trouble: TwfsError) -> None:
        sid = data.draw(st.sampled_from(self.stored()))
        size = len(self.world.bucket.objects[sid].stored)
        self.world.bucket.failures[sid] = (data.draw(st.integers(0, size)), trouble)

    @rule()
    def recover(self) -> None:
        self.world.recover()

    # Time

    @rule(seconds=st.sampled_from([1, 61, 601, 4000, 22_000]), expires=st.booleans())
    def time_passes(self, seconds: int, expires: bool) -> None:
        self.world.clock.advance(seconds)
        if expires:
            self.world.bucket.expire()

    @rule(full=st.booleans())
    def refresh(self, full: bool) -> None:
        self.world.catalog._refresher.round(full=full)
        if full and not self.is_troubled():
            assert set(self.world.catalog.media()) == self.world.twilio.completed()

    @rule()
    def background(self) -> None:
        self.world.work()

    @rule()
    def remount(self) -> None:
        """Another process with the same state folder: the same list, without a request."""
        before = self.world.catalog.media()
        for opened in self.open_now:
            self.world.vfs.release(opened.handle)
        self.open_now.clear()
        self.world.twilio.requests.clear()
        self.world.mount()
        assert self.world.catalog.load()
        assert self.world.catalog.media() == before
        assert not self.world.twilio.requests

    # Readers

    @precondition(lambda self: self.world.count)
    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        sid = data.draw(st.sampled_from(sorted(generation.sid for generation in self.world.generations.values())))
        opened = self.try_to_open(sid)
        if opened is not None:
            self.open_now.append(opened)

    @precondition(lambda self: self.open_now)
    @rule(data=st.data(), length=st.sampled_from([1, 16, 4096, BLOCK_SIZE, 3 * BLOCK_SIZE]))
    def read(self, data: st.DataObject, length: int) -> None:
        opened = data.draw(st.sampled_from(self.open_now))
        self.check_read(opened, data.draw(st.integers(0, len(opened.generation.plain) + 5)), length)

    @rule(data=st.data(), block=st.integers(0, 9))
    def take_a_look(self, data: st.DataObject, block: int) -> None:
        """Open, read a little, close: what is read stays in memory."""
        sid = data.draw(st.sampled_from(sorted(self.world.catalog.media()) or [""]))
        opened = self.try_to_open(sid) if sid else None
        if opened is not None:
            self.check_read(opened, block * BLOCK_SIZE, 100)
            self.world.vfs.release(opened.handle)

    @precondition(lambda self: self.open_now)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        opened = data.draw(st.sampled_from(self.open_now))
        self.open_now.remove(opened)
        self.world.vfs.release(opened.handle)

    @rule()
    def all_is_well_in_the_end(self) -> None:
        """Without trouble, and after some time, every medium that Twilio has is there and can be read, as it is now."""
        self.world.recover()
        for _ in range(2):
            self.world.clock.advance(4000)
            self.world.catalog._refresher.round(full=True)
            self.world.work()
        assert set(self.world.catalog.media()) == self.world.twilio.completed()
        for sid in self.world.catalog.media():
            assert any(self.comes_right(sid) for _ in range(2)), sid

    # What holds

    @invariant()
    def a_listing_loses_nothing_that_exists_and_invents_nothing(self) -> None:
        listed = {
            entry.name.partition(".")[0]
            for kind in Kind
            for entry in self.world.vfs.readdir(f"/{kind}")
            if entry.name[0] != "."
        }
        assert self.shown & self.world.twilio.completed() <= listed
        assert listed <= {generation.sid for generation in self.world.generations.values()}
        self.shown |= listed

    @invariant()
    def open_files_keep_their_size(self) -> None:
        for opened in self.open_now:
            attributes = self.world.vfs.getattr(opened.path, opened.handle)
            assert attributes.st_size == len(opened.generation.plain)

    def teardown(self) -> None:
        for opened in self.open_now:
            self.world.vfs.release(opened.handle)
        self.world.close()

    # Help

    def processing(self) -> list[str]:
        return [sid for sid in self.stored() if self.world.twilio.records[sid]["status"] == "processing"]

    def stored(self) -> list[str]:
        return sorted(self.world.bucket.objects)

    def is_troubled(self) -> bool:
        twilio = self.world.twilio
        return bool(twilio.fail_page or twilio.fail_fetch or twilio.probe_down)

    def try_to_open(self, sid: str) -> Opened | None:
        """The file, or None for an error that the model has, too."""
        medium = self.world.catalog.media().get(sid)
        path = f"/{medium.kind}/{medium.file_name}" if medium else f"/recordings/{sid}.mka"
        try:
            handle = self.world.vfs.open(path, os.O_RDONLY).handle
        except NoSuchName:
            assert medium is None
            return None
        except (Unreachable, CredentialsRefused):
            assert self.world.twilio.probe_down is not None
            return None
        assert medium is not None
        info = self.world.catalog.known_info(sid)
        assert info is not None
        if info.facts is None:
            assert sid not in self.world.bucket.objects, "media that are there were taken for absent"
            return Opened(handle, path, Generation(sid, "", b""))
        return Opened(handle, path, self.world.generations[info.etag])

    def read_a_little_of_the_largest(self) -> Opened:
        """That medium, open; its beginning is in memory now."""
        sid = max(self.stored(), key=lambda sid: len(self.world.bucket.objects[sid].plain))
        opened = self.try_to_open(sid)
        assert opened is not None
        assert self.check_read(opened, 0, 100)
        return opened

    def check_read(self, opened: Opened, start: int, length: int) -> bool:
        """Whether the bytes came; if not, there is a reason."""
        generation = opened.generation
        buffer = bytearray(b"\xaa" * length)
        try:
            count = self.world.vfs.read(opened.handle, memoryview(buffer), start)
        except ObjectChanged:
            assert self.world.current(generation.sid) is not generation
            return False
        except (Unreachable, CredentialsRefused):
            assert self.world.bucket.is_down or generation.sid in self.world.bucket.failures
            return False
        assert bytes(buffer[:count]) == generation.plain[start : start + length]
        assert bytes(buffer[count:]) == b"\xaa" * (length - count)
        return True

    def comes_right(self, sid: str) -> bool:
        """Whether it can be read as it is now; who notices a change says so, and the next one sees the new object.

        What is in memory whole, or has no bytes, is served without a request: then nobody notices.
        """
        asked = len(self.world.bucket.ranges)
        opened = self.try_to_open(sid)
        assert opened is not None
        try:
            is_right = self.check_read(opened, 0, len(opened.generation.plain) + 1)
        finally:
            self.world.vfs.release(opened.handle)
        self.world.clock.advance(11)
        self.world.work()
        was_asked = len(self.world.bucket.ranges) > asked
        return is_right and (not was_asked or opened.generation is self.world.current(sid))


Promises.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestPromises = Promises.TestCase


def test_what_was_read_before_a_replacement_is_not_mixed_with_what_comes_after() -> None:
    promises = Promises()
    opened = promises.read_a_little_of_the_largest()
    promises.world.vfs.release(opened.handle)
    promises.world.replace(opened.generation.sid, len(opened.generation.plain))
    assert [promises.comes_right(opened.generation.sid) for _ in range(2)] == [False, True]
    promises.teardown()


def test_what_is_in_memory_comes_though_time_is_up() -> None:
    promises = Promises()
    opened = promises.read_a_little_of_the_largest()
    asked = list(promises.world.bucket.ranges)
    buffer = bytearray(100)
    medium = promises.world.vfs._open._handles.get(opened.handle).source
    assert medium.read_into(memoryview(buffer), 0, Deadline(promises.world.clock, -1)) == 100
    assert bytes(buffer) == opened.generation.plain[:100]
    assert promises.world.bucket.ranges == asked
    promises.teardown()
