"""Any order of opening, reading, releasing, failing and changing of the catalogue, against what must hold."""

import os
from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.clocks import ManualClock
from tests.fs.fakes import FakeCatalog, FakeLibrary, content_of, readable, recording
from tests.fs.unhurried import unhurried
from twfs.errors import NoSuchName, ObjectChanged, Unreachable
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Vfs
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Medium

numbers = st.integers(0, 4)
sizes = st.integers(0, 50)


@dataclass
class Opened:
    handle: int
    path: str
    content: bytes
    sid: str
    etag: str


def path_of(medium: Medium) -> str:
    return f"/recordings/{medium.file_name}"


class VfsMachine(RuleBasedStateMachine):
    """The model: which media there are, and the content of each handle when it was opened."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        clock = ManualClock()
        self.catalog = FakeCatalog()
        self.library = FakeLibrary(clock)
        self.vfs = Vfs(self.catalog, self.library, FsSettings(0, 0, 30), clock, {})
        self.media: dict[Medium, MediaInfo] = {}
        self.open_now: list[Opened] = []
        self.last_etag: dict[str, str] = {}

    @rule(number=numbers, size=sizes, etag=st.sampled_from(['"a"', '"b"']))
    def appear(self, number: int, size: int, etag: str) -> None:
        self.media[recording(number)] = readable(size, etag=etag) if size else MediaInfo(MediaState.ABSENT, 0)
        self.catalog.replace(self.media)

    @rule(number=numbers)
    def vanish(self, number: int) -> None:
        self.media.pop(recording(number), None)
        self.catalog.replace(self.media)

    @rule(number=numbers, is_down=st.booleans())
    def fail(self, number: int, is_down: bool) -> None:
        if is_down:
            self.catalog.failures[recording(number).sid] = Unreachable("down")
        else:
            self.catalog.failures.pop(recording(number).sid, None)

    @rule(target=handles, number=numbers)
    def open(self, number: int) -> Opened | None:
        medium = recording(number)
        try:
            opened = self.vfs.open(path_of(medium), os.O_RDONLY)
        except NoSuchName:
            assert medium not in self.media
            return None
        except Unreachable:
            assert medium.sid in self.catalog.failures
            return None
        info = self.media[medium]
        assert opened.is_unchanged == (self.last_etag.get(medium.sid, info.etag) == info.etag)
        self.last_etag[medium.sid] = info.etag
        content = content_of(medium.sid, info.plain_size, info.etag)
        file = Opened(opened.handle, path_of(medium), content, medium.sid, info.etag)
        assert file.handle not in [other.handle for other in self.open_now]
        self.open_now.append(file)
        return file

    @rule(file=handles, plain_offset=st.integers(0, 60), length=st.integers(1, 60))
    def read(self, file: Opened | None, plain_offset: int, length: int) -> None:
        if file is None or file not in self.open_now:
            return
        buffer = bytearray(length)
        try:
            count = self.vfs.read(file.handle, memoryview(buffer), plain_offset)
        except ObjectChanged:
            assert self.last_etag[file.sid] != file.etag
            return
        assert self.last_etag[file.sid] == file.etag
        assert buffer[:count] == file.content[plain_offset : plain_offset + length]
        assert self.vfs.getattr(file.path, file.handle).st_size == len(file.content)

    @rule(file=consumes(handles))
    def release(self, file: Opened | None) -> None:
        if file is not None:
            self.vfs.release(file.handle)
            self.open_now.remove(file)

    @invariant()
    def everything_open_is_accounted_for(self) -> None:
        assert self.vfs.open_files == len(self.open_now)
        assert self.library.open_now == sum(1 for file in self.open_now if file.content)

    @invariant()
    def the_listing_is_the_catalogue_whatever_fails(self) -> None:
        names = {entry.name for entry in self.vfs.readdir("/recordings")} - {".", ".."}
        assert names == {medium.file_name for medium in self.media}


TestVfsModel = VfsMachine.TestCase
TestVfsModel.settings = settings(unhurried, max_examples=60, stateful_step_count=30)
