import os
import stat
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import ManualClock
from tests.fs.fakes import (
    FIRST_ETAG,
    NOVEMBER_23,
    FakeCatalog,
    FakeLibrary,
    FakeRemover,
    composition,
    content_of,
    readable,
    recording,
    sid_of,
)
from tests.fs.unhurried import unhurried
from twfs.clock import Deadline
from twfs.errors import (
    BadHandle,
    CredentialsRefused,
    DeadlineExceeded,
    IsADirectory,
    MediaDamaged,
    NoKey,
    NoSuchAttribute,
    NoSuchName,
    NotADirectory,
    NotVerified,
    ObjectChanged,
    ReadOnly,
    Unreachable,
)
from twfs.fs.attributes import Usage
from twfs.fs.directory import Entry
from twfs.fs.names import inode, view_name
from twfs.fs.options import FsSettings
from twfs.fs.tree import MediumFile
from twfs.fs.vfs import Vfs
from twfs.probe import MediaInfo, MediaState
from twfs.ranges import ByteRange
from twfs.resources import Medium

MEDIUM = recording(0)
PATH = f"/recordings/{MEDIUM.file_name}"
LINK = f"/by-room/{MEDIUM.room_sid}/{view_name(MEDIUM)}"
SIZE = 1000
WHOLE = content_of(MEDIUM.sid, SIZE)


class Scene:
    """A Vfs and everything around it."""

    def __init__(
        self, media: dict[Medium, MediaInfo] | None = None, *, deleting: bool = False, **settings: int
    ) -> None:
        self.clock = ManualClock()
        self.catalog = FakeCatalog({MEDIUM: readable(SIZE)} if media is None else media)
        self.library = FakeLibrary(self.clock)
        self.renderings = 0
        values = {"uid": 10, "gid": 20, "timeout": 30} | settings
        self.remover = FakeRemover(self.catalog)
        remover = self.remover if deleting else None
        files = {"status": self.render}
        self.vfs = Vfs(self.catalog, self.library, FsSettings(**values), self.clock, files, remover=remover)

    def render(self) -> bytes:
        self.renderings += 1
        return b"#" * self.renderings

    def read(self, handle: int, size: int, plain_offset: int) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.vfs.read(handle, memoryview(buffer), plain_offset)])

    def read_path(self, path: str) -> bytes:
        handle = self.vfs.open(path, os.O_RDONLY).handle
        try:
            return self.read(handle, 2**20, 0)
        finally:
            self.vfs.release(handle)


# Attributes


def test_attributes_of_a_file() -> None:
    found = Scene().vfs.getattr(PATH)
    assert found.st_mode == stat.S_IFREG | 0o440
    assert (found.st_ino, found.st_nlink) == (inode(MEDIUM.sid), 1)
    assert (found.st_uid, found.st_gid) == (10, 20)
    assert (found.st_size, found.st_blocks, found.st_blksize) == (SIZE, 2, 2**20)
    assert found.time_ns == NOVEMBER_23 * 10**9


@unhurried
@given(st.integers(0, 2**50))
def test_blocks_hold_the_file(size: int) -> None:
    found = Scene({MEDIUM: readable(size)}).vfs.getattr(PATH)
    assert found.st_blocks * 512 - 511 <= found.st_size or size == 0
    assert 0 <= found.st_blocks * 512 - size < 512


def test_attributes_of_a_link() -> None:
    scene = Scene()
    found = scene.vfs.getattr(LINK)
    assert found.st_mode == stat.S_IFLNK | 0o777
    assert found.st_size == len(scene.vfs.readlink(LINK))
    assert found.st_ino not in (0, inode(MEDIUM.sid))
    assert found.time_ns == NOVEMBER_23 * 10**9
    assert scene.catalog.calls["info"] == 0


def test_attributes_of_folders() -> None:
    vfs = Scene().vfs
    for path, links in (("/", 6), ("/recordings", 2), ("/by-date", 3), ("/by-date/2017", 3), ("/.twfs", 2)):
        found = vfs.getattr(path)
        assert found.st_mode == stat.S_IFDIR | 0o550
        assert found.st_nlink == links
        assert found.time_ns == NOVEMBER_23 * 10**9
    assert vfs.getattr("/compositions").time_ns == 0


def test_permission_bits_are_settings() -> None:
    vfs = Scene(umask=0o007, file_mode=0o666, dir_mode=0o777).vfs
    assert stat.S_IMODE(vfs.getattr(PATH).st_mode) == 0o660
    assert stat.S_IMODE(vfs.getattr("/recordings").st_mode) == 0o770


def test_attributes_of_a_virtual_file_are_those_of_a_fresh_rendering() -> None:
    scene = Scene()
    first, second = scene.vfs.getattr("/.twfs/status"), scene.vfs.getattr("/.twfs/status")
    assert (first.st_size, second.st_size) == (1, 2)
    assert first.time_ns == round(scene.clock.wall() * 10**9)


def test_a_size_is_waited_for_no_longer_than_timeout() -> None:
    scene = Scene(timeout=7)
    scene.vfs.getattr(PATH)
    assert scene.catalog.deadlines == [7]


@pytest.mark.parametrize("failure", [Unreachable("down"), DeadlineExceeded("late"), CredentialsRefused("no")])
def test_a_size_that_cannot_be_found_out_is_a_failure(failure: Exception) -> None:
    scene = Scene({MEDIUM: readable(SIZE), recording(1): readable(2)})
    scene.catalog.failures[MEDIUM.sid] = failure
    for use in (scene.vfs.getattr, lambda path: scene.vfs.open(path, os.O_RDONLY)):
        with pytest.raises(type(failure)):
            use(PATH)
    names = [entry.name for entry in scene.vfs.readdir("/recordings")]
    assert names == [".", "..", MEDIUM.file_name, recording(1).file_name]
    assert scene.vfs.getattr(f"/recordings/{recording(1).file_name}").st_size == 2
    assert scene.vfs.open_files == 0


def test_the_same_in_every_mount() -> None:
    assert Scene().vfs.getattr(PATH) == Scene().vfs.getattr(PATH)


# Folders and links


def test_a_listing_asks_nobody() -> None:
    scene = Scene()
    entries = list(scene.vfs.readdir("/recordings"))
    cookie = entries[2].cookie
    assert entries == [
        Entry(".", stat.S_IFDIR, inode("/recordings"), 1),
        Entry("..", stat.S_IFDIR, inode("/"), 2),
        Entry(MEDIUM.file_name, stat.S_IFREG, inode(MEDIUM.sid), cookie, MediumFile(cookie, MEDIUM)),
    ]
    assert scene.catalog.calls["info"] == 0


def test_the_root_lists_no_hidden_folder() -> None:
    names = [entry.name for entry in Scene().vfs.readdir("/")]
    assert names == [".", "..", "recordings", "compositions", "by-date", "by-room"]
    assert [entry.name for entry in Scene().vfs.readdir("/.twfs")] == [".", "..", "status"]


def test_a_listing_of_links() -> None:
    vfs = Scene().vfs
    entry = list(vfs.readdir(f"/by-room/{MEDIUM.room_sid}"))[-1]
    assert (entry.name, entry.st_mode) == (view_name(MEDIUM), stat.S_IFLNK)
    assert [each.st_ino for each in vfs.readdir(f"/by-room/{MEDIUM.room_sid}")][:2] == [
        inode(f"/by-room/{MEDIUM.room_sid}"),
        inode("/by-room"),
    ]
    assert entry.st_ino == vfs.getattr(LINK).st_ino


def test_wrong_folders_and_links() -> None:
    vfs = Scene().vfs
    with pytest.raises(NotADirectory):
        vfs.readdir(PATH)
    with pytest.raises(NoSuchName):
        vfs.readdir("/none")
    with pytest.raises(NoSuchName):
        vfs.readlink(PATH)


def test_names_follow_the_catalogue() -> None:
    scene = Scene()
    scene.vfs.getattr(PATH)
    scene.catalog.replace({recording(1): readable(5)})
    assert scene.read_path(f"/recordings/{recording(1).file_name}") == content_of(sid_of(1), 5)
    with pytest.raises(NoSuchName):
        scene.vfs.getattr(PATH)


# Reading


def test_a_file_is_its_plaintext() -> None:
    scene = Scene()
    assert scene.read_path(PATH) == WHOLE
    assert scene.library.reads == [(MEDIUM.sid, 0, SIZE)]
    assert (scene.library.opened, scene.library.open_now, scene.vfs.open_files) == (1, 0, 0)


def test_a_link_opens_the_file() -> None:
    assert Scene().read_path(LINK) == WHOLE


@unhurried
@given(st.integers(0, 200), st.integers(0, 250), st.integers(1, 250))
def test_any_part_of_any_file(size: int, plain_offset: int, length: int) -> None:
    scene = Scene({MEDIUM: readable(size)})
    handle = scene.vfs.open(PATH, os.O_RDONLY).handle
    part = scene.read(handle, length, plain_offset)
    assert part == content_of(MEDIUM.sid, size)[plain_offset : plain_offset + length]
    assert len(scene.library.reads) == (1 if part else 0)


def test_nothing_is_written_past_the_end() -> None:
    scene = Scene()
    handle = scene.vfs.open(PATH, os.O_RDONLY).handle
    buffer = bytearray(b"\xaa" * 20)
    assert scene.vfs.read(handle, memoryview(buffer), SIZE - 5) == 5
    assert buffer == WHOLE[-5:] + b"\xaa" * 15


def test_a_short_answer_is_damage() -> None:
    scene = Scene()
    scene.library.shortfall = 1
    with pytest.raises(MediaDamaged, match=MEDIUM.sid):
        scene.read_path(PATH)


@pytest.mark.parametrize(
    "failure", [Unreachable("down"), ObjectChanged("new"), MediaDamaged("bad"), ZeroDivisionError()]
)
def test_a_failed_read_leaves_the_file_open(failure: Exception) -> None:
    scene = Scene()
    handle = scene.vfs.open(PATH, os.O_RDONLY).handle
    scene.library.read_failure = failure
    with pytest.raises(type(failure)):
        scene.read(handle, 10, 0)
    scene.library.read_failure = None
    assert scene.read(handle, 10, 0) == WHOLE[:10]


def test_a_read_has_a_deadline() -> None:
    scene = Scene(timeout=5)
    scene.library.stall = 6
    with pytest.raises(DeadlineExceeded):
        scene.read_path(PATH)


def test_who_waited_for_the_same_bytes_through_another_handle_has_waited_as_long() -> None:
    scene = Scene(timeout=5)
    handles = [scene.vfs.open(PATH, os.O_RDONLY).handle for _ in range(2)]
    scene.library.stall = 6
    with pytest.raises(DeadlineExceeded):
        scene.read(handles[0], SIZE, 0)
    scene.clock.now += 0.4
    scene.library.stall = 4.8
    with pytest.raises(DeadlineExceeded):
        scene.read(handles[1], 100, SIZE - 100)
    scene.clock.now += 0.6
    assert scene.read(handles[1], 100, SIZE - 100) == WHOLE[-100:]


def test_a_size_told_on_trust_is_proven_by_opening() -> None:
    scene = Scene()
    scene.catalog.claims[MEDIUM.sid] = SIZE
    assert scene.vfs.getattr(PATH).st_size == SIZE
    assert scene.catalog.calls["info"] == 0
    opened = scene.vfs.open(PATH, os.O_RDONLY)
    assert scene.catalog.calls["info"] == 1
    assert (opened.bypasses_cache, opened.is_unchanged) == (False, True)
    assert scene.read(opened.handle, 2 * SIZE, 0) == WHOLE


@pytest.mark.parametrize("claim", [SIZE - 1, SIZE + 1])
def test_a_wrong_size_told_on_trust_opens_only_after_it_is_corrected(claim: int) -> None:
    scene = Scene()
    scene.catalog.claims[MEDIUM.sid] = claim
    assert scene.vfs.getattr(PATH).st_size == claim
    with pytest.raises(ObjectChanged, match=MEDIUM.sid):
        scene.vfs.open(PATH, os.O_RDONLY)
    assert (scene.library.open_now, scene.vfs.open_files) == (0, 0)
    assert scene.vfs.getattr(PATH).st_size == SIZE
    opened = scene.vfs.open(PATH, os.O_RDONLY)
    assert not opened.bypasses_cache
    assert scene.read(opened.handle, 2 * SIZE, 0) == WHOLE


def test_who_does_not_ask_again_reads_past_the_cache() -> None:
    scene = Scene()
    scene.catalog.claims[MEDIUM.sid] = SIZE + 1
    scene.vfs.getattr(PATH)
    with pytest.raises(ObjectChanged):
        scene.vfs.open(PATH, os.O_RDONLY)
    assert scene.vfs.open(PATH, os.O_RDONLY).bypasses_cache


def test_a_medium_told_on_trust_that_has_no_media_is_no_short_file() -> None:
    scene = Scene({MEDIUM: MediaInfo(MediaState.ABSENT, 0)})
    scene.catalog.claims[MEDIUM.sid] = SIZE
    scene.vfs.getattr(PATH)
    with pytest.raises(ObjectChanged):
        scene.vfs.open(PATH, os.O_RDONLY)
    assert scene.vfs.getattr(PATH).st_size == 0
    assert scene.read_path(PATH) == b""


def test_a_released_handle_is_no_handle() -> None:
    scene = Scene()
    handle = scene.vfs.open(PATH, os.O_RDONLY).handle
    scene.vfs.release(handle)
    uses: list[Callable[[], object]] = [
        lambda: scene.read(handle, 1, 0),
        lambda: scene.vfs.release(handle),
        lambda: scene.vfs.getattr(PATH, handle),
    ]
    for use in uses:
        with pytest.raises(BadHandle):
            use()
    assert scene.library.open_now == 0


def test_an_open_file_outlives_its_medium_in_the_catalogue() -> None:
    scene = Scene()
    handle = scene.vfs.open(PATH, os.O_RDONLY).handle
    fixed = scene.vfs.getattr(PATH)
    scene.catalog.replace({})
    scene.catalog.failures[MEDIUM.sid] = Unreachable("down")
    scene.catalog.calls.clear()
    assert scene.vfs.getattr(PATH, handle) == fixed
    assert scene.vfs.getattr("/any/other", handle) == fixed
    assert scene.read(handle, SIZE, 0) == WHOLE
    assert not scene.catalog.calls
    with pytest.raises(NoSuchName):
        scene.vfs.getattr(PATH)


def test_an_empty_file_for_a_medium_without_media() -> None:
    scene = Scene({MEDIUM: MediaInfo(MediaState.ABSENT, 0)})
    assert scene.vfs.getattr(PATH).st_size == 0
    assert scene.read_path(PATH) == b""
    assert scene.library.opened == 0


@pytest.mark.parametrize(("state", "failure"), [(MediaState.LOCKED, NoKey), (MediaState.DAMAGED, MediaDamaged)])
def test_what_cannot_be_decrypted_is_not_opened(state: MediaState, failure: type[Exception]) -> None:
    scene = Scene({MEDIUM: MediaInfo(state, 99, reason="this is why")})
    assert scene.vfs.getattr(PATH).st_size == 99
    with pytest.raises(failure, match=f"{MEDIUM.sid}.*this is why"):
        scene.vfs.open(PATH, os.O_RDONLY)
    assert (scene.library.opened, scene.vfs.open_files) == (0, 0)


def test_a_library_that_refuses_leaves_nothing_open() -> None:
    scene = Scene()
    scene.library.open_failure = NoKey("no key")
    with pytest.raises(NoKey):
        scene.vfs.open(PATH, os.O_RDONLY)
    assert scene.vfs.open_files == 0


def test_what_is_cached_holds_as_long_as_the_object_is_the_same() -> None:
    scene = Scene()

    def is_unchanged() -> bool:
        opened = scene.vfs.open(PATH, os.O_RDONLY)
        scene.vfs.release(opened.handle)
        return opened.is_unchanged

    assert [is_unchanged(), is_unchanged()] == [True, True]
    scene.catalog.infos[MEDIUM.sid] = readable(SIZE, etag='"e2"')
    assert [is_unchanged(), is_unchanged()] == [False, True]


def test_a_handle_of_the_former_object_fills_no_pages_of_the_next() -> None:
    scene = Scene()
    former = scene.vfs.open(PATH, os.O_RDONLY).handle
    scene.catalog.infos[MEDIUM.sid] = readable(SIZE, etag='"e2"')
    assert scene.read(former, SIZE, 0) == WHOLE, "as long as nobody has opened the next"
    present = scene.vfs.open(LINK, os.O_RDONLY).handle
    scene.library.reads.clear()
    for plain_offset in (0, SIZE):
        with pytest.raises(ObjectChanged, match=MEDIUM.sid):
            scene.read(former, SIZE, plain_offset)
    assert scene.library.reads == []
    assert scene.vfs.getattr(PATH, former).st_size == SIZE
    assert scene.read(present, SIZE, 0) == content_of(MEDIUM.sid, SIZE, '"e2"')
    scene.vfs.release(former)
    assert scene.read(present, SIZE, 0) == content_of(MEDIUM.sid, SIZE, '"e2"')


def test_objects_without_an_etag_cannot_be_told_apart() -> None:
    scene = Scene({MEDIUM: readable(SIZE, etag="")})
    handles = [scene.vfs.open(PATH, os.O_RDONLY).handle for _ in range(2)]
    assert [scene.read(handle, SIZE, 0) for handle in handles] == [content_of(MEDIUM.sid, SIZE, "")] * 2


def test_a_size_that_was_told_wrong_is_not_relied_on() -> None:
    scene = Scene({MEDIUM: MediaInfo(MediaState.ABSENT, 0)})

    def bypasses_cache() -> bool:
        opened = scene.vfs.open(PATH, os.O_RDONLY)
        scene.vfs.release(opened.handle)
        return opened.bypasses_cache

    assert not bypasses_cache()
    assert scene.vfs.getattr(PATH).st_size == 0
    old = scene.vfs.open(PATH, os.O_RDONLY)
    scene.catalog.infos[MEDIUM.sid] = readable(SIZE)
    assert [bypasses_cache(), bypasses_cache()] == [True, True]
    assert scene.vfs.getattr(PATH).st_size == SIZE
    assert not bypasses_cache()
    assert scene.vfs.getattr(PATH, old.handle).st_size == 0
    assert bypasses_cache()


def test_proven_sizes_hold_until_one_is_another_than_was_told() -> None:
    vfs = Scene().vfs
    proofs = vfs.directory.proofs
    for _ in range(2):
        vfs.getattr(PATH)
        vfs.release(vfs.open(PATH, os.O_RDONLY).handle)
    assert vfs.directory.proofs == proofs
    *_, entry = vfs.readdir("/recordings")
    vfs.directory.tell(entry.cookie, (SIZE + 1, True))
    told_wrong = vfs.directory.proofs
    assert told_wrong != proofs
    vfs.open(PATH, os.O_RDONLY)
    assert vfs.directory.proofs not in (proofs, told_wrong)


def test_folders_are_not_opened_as_files() -> None:
    scene = Scene()
    with pytest.raises(IsADirectory):
        scene.vfs.open("/recordings", os.O_RDONLY)
    with pytest.raises(NoSuchName):
        scene.vfs.open("/recordings/none", os.O_RDONLY)


# Virtual files


def test_a_virtual_file_keeps_what_was_rendered_at_open() -> None:
    scene = Scene()
    opened = scene.vfs.open("/.twfs/status", os.O_RDONLY)
    other = scene.vfs.open("/.twfs/status", os.O_RDONLY)
    assert opened.bypasses_cache
    assert scene.renderings == 2
    assert [scene.read(opened.handle, 1, offset) for offset in (0, 1)] == [b"#", b""]
    assert scene.read(other.handle, 10, 0) == b"##"
    assert scene.vfs.getattr("/.twfs/status", other.handle).st_size == 2
    assert scene.renderings == 2


def test_a_virtual_file_can_be_read_where_deleting_is_allowed() -> None:
    scene = deleting_scene()
    assert scene.read_path("/.twfs/status") == b"#"


# Extended attributes


def xattrs_of(scene: Scene, path: str) -> dict[str, bytes]:
    return {name.removeprefix("user.twilio."): scene.vfs.getxattr(path, name) for name in scene.vfs.listxattr(path)}


def test_extended_attributes_of_a_probed_recording() -> None:
    scene = Scene()
    assert xattrs_of(scene, PATH) == {
        "sid": MEDIUM.sid.encode(),
        "account_sid": sid_of(1, "AC").encode(),
        "kind": b"recording",
        "status": b"completed",
        "date_created": b"2017-11-23T16:47:07Z",
        "duration": b"60",
        "codec": b"VP8",
        "container": b"mkv",
        "room_sid": sid_of(7, "RM").encode(),
        "participant_sid": sid_of(8, "PA").encode(),
        "track_name": b"camera",
        "source_sid": sid_of(9, "MT").encode(),
        "offset": b"0",
        "encrypted": b"true",
        "etag": b'"e1"',
    }
    assert scene.catalog.calls["info"] == 0


def test_extended_attributes_as_far_as_known() -> None:
    medium = composition(1, created_at=None)
    scene = Scene({medium: readable(1, encrypted=False, etag="")})
    path = f"/compositions/{medium.file_name}"
    expected = {"sid": medium.sid.encode(), "kind": b"composition", "status": b"completed", "container": b"mp4"}
    assert xattrs_of(scene, path) == expected | {"encrypted": b"false"}
    scene.catalog.unprobed.add(medium.sid)
    assert xattrs_of(scene, path) == expected
    assert scene.catalog.calls["info"] == 0


def test_a_medium_without_media_says_so() -> None:
    found = xattrs_of(Scene({MEDIUM: MediaInfo(MediaState.ABSENT, 0)}), PATH)
    assert found["media"] == b"absent"
    assert not {"encrypted", "etag"} & set(found)


@unhurried
@given(st.text(st.characters(), min_size=1), st.integers(-(2**63), 2**63))
def test_any_track_name_and_date(track_name: str, created_at: int) -> None:
    medium = recording(0, track_name=track_name, created_at=created_at)
    found = xattrs_of(Scene({medium: readable(1)}), PATH)
    assert found["track_name"].decode() == track_name.encode(errors="replace").decode()


def test_no_other_attributes() -> None:
    scene = Scene()
    for path in ("/recordings", LINK, "/.twfs/status"):
        assert scene.vfs.listxattr(path) == []
    for name in ("user.twilio.media", "security.selinux", "user.twilio."):
        with pytest.raises(NoSuchAttribute):
            scene.vfs.getxattr(PATH, name)
    with pytest.raises(NoSuchName):
        scene.vfs.listxattr("/none")


# The whole


def test_statfs_sums_known_sizes() -> None:
    scene = Scene({MEDIUM: readable(4096), recording(1): readable(4097), recording(2): readable(10**6)})
    scene.catalog.unprobed.add(sid_of(2))
    assert scene.vfs.statfs() == Usage(f_blocks=3, f_files=3)
    scene.catalog.unprobed.clear()
    assert scene.vfs.statfs().f_blocks == 3 + 244
    assert scene.catalog.calls["info"] == 0


@pytest.mark.parametrize(
    "flags", [os.O_WRONLY, os.O_RDWR, os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREAT]
)
@pytest.mark.parametrize("path", [PATH, "/.twfs/status", "/recordings/new"])
def test_nothing_is_opened_for_change(path: str, flags: int) -> None:
    scene = Scene()
    with pytest.raises(ReadOnly):
        scene.vfs.open(path, flags)
    assert scene.vfs.open_files == 0


def test_every_change_is_refused_with_its_path() -> None:
    with pytest.raises(ReadOnly, match=PATH):
        Scene().vfs.refuse_change(PATH)


# No lock is held while somebody waits


class WaitingCatalog(FakeCatalog):
    """Its `info` waits until a test lets it go."""

    def __init__(self, media: dict[Medium, MediaInfo]) -> None:
        super().__init__(media)
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def info(self, sid: str, deadline: Deadline) -> MediaInfo:
        self.asked.set()
        assert self.go_on.wait(10)
        return super().info(sid, deadline)


def test_one_that_waits_stalls_nobody_else() -> None:
    scene = Scene()
    catalog = WaitingCatalog({MEDIUM: readable(SIZE)})
    vfs = Vfs(catalog, scene.library, FsSettings(0, 0, 30), scene.clock, {"status": scene.render})
    sizes: list[int] = []
    waiting = threading.Thread(target=lambda: sizes.append(vfs.getattr(PATH).st_size))
    waiting.start()
    assert catalog.asked.wait(10)
    catalog.version += 1
    assert len(list(vfs.readdir("/recordings"))) == 3
    assert vfs.statfs().f_files == 1
    vfs.release(vfs.open("/.twfs/status", os.O_RDONLY).handle)
    assert sizes == []
    catalog.go_on.set()
    waiting.join()
    assert sizes == [SIZE]


# Deleting


def deleting_scene() -> Scene:
    return Scene({MEDIUM: readable(SIZE), recording(1): readable(5)}, deleting=True)


@pytest.mark.parametrize("path", [PATH, LINK, "/recordings", "/by-date", "/.twfs/status", "/"])
def test_nothing_is_deleted_unless_it_is_allowed(path: str) -> None:
    scene = Scene()
    scene.read_path(PATH)
    with pytest.raises(ReadOnly):
        scene.vfs.unlink(path, "me")


@pytest.mark.parametrize("path", [LINK, "/recordings", "/by-date", "/.twfs/status", "/"])
def test_only_the_file_of_a_medium_can_be_deleted(path: str) -> None:
    scene = deleting_scene()
    scene.read_path(PATH)
    with pytest.raises(ReadOnly):
        scene.vfs.unlink(path, "me")
    assert scene.remover.deleted == []


def test_what_is_deleted_vanishes_at_once() -> None:
    scene = deleting_scene()
    scene.vfs.unlink(PATH, "uid 7")
    assert scene.remover.deleted == [(MEDIUM.sid, "uid 7")]
    assert [entry.name for entry in scene.vfs.readdir("/recordings")][2:] == [recording(1).file_name]
    for path in (PATH, LINK):
        with pytest.raises(NoSuchName):
            scene.vfs.getattr(path)
    with pytest.raises(NoSuchName):
        scene.vfs.unlink(PATH, "uid 7")


def test_what_is_not_proven_stays_though_it_was_read_whole() -> None:
    scene = deleting_scene()
    scene.remover.unproven = {MEDIUM.sid}
    scene.read_path(PATH)
    with pytest.raises(NotVerified):
        scene.vfs.unlink(PATH, "me")
    assert scene.vfs.getattr(PATH).st_size == SIZE


def test_the_object_that_was_last_opened_is_the_one_to_be_deleted() -> None:
    scene = deleting_scene()
    scene.remover.failure = Unreachable("down")

    def unlink() -> list[str] | None:
        """Identities of the objects that may go."""
        with pytest.raises(Unreachable):
            scene.vfs.unlink(PATH, "me")
        was_read = scene.remover.was_read[-1]
        return None if was_read is None else list(filter(was_read, (FIRST_ETAG, '"e2"', "")))

    scene.vfs.getattr(PATH)
    assert unlink() is None
    scene.read_path(LINK)
    assert unlink() == [FIRST_ETAG]
    scene.catalog.infos[MEDIUM.sid] = readable(SIZE, etag='"e2"')
    assert unlink() == [FIRST_ETAG]
    scene.read_path(PATH)
    assert unlink() == ['"e2"']
    scene.catalog.infos[MEDIUM.sid] = MediaInfo(MediaState.ABSENT, 0)
    scene.read_path(PATH)
    assert unlink() == [""]


def test_a_deletion_has_as_long_as_any_operation() -> None:
    scene = deleting_scene()
    scene.vfs.unlink(PATH, "me")
    assert scene.catalog.deadlines == [30.0]


@pytest.mark.parametrize("failure", [Unreachable("down"), CredentialsRefused("no"), DeadlineExceeded("late")])
def test_a_deletion_that_is_not_confirmed_leaves_everything(failure: Exception) -> None:
    scene = deleting_scene()
    scene.read_path(PATH)
    scene.remover.failure = failure
    with pytest.raises(type(failure)):
        scene.vfs.unlink(PATH, "me")
    assert scene.read_path(PATH) == WHOLE
    scene.remover.failure = None
    scene.vfs.unlink(PATH, "me")
    assert scene.remover.deleted


def test_an_open_file_outlives_its_deletion() -> None:
    scene = deleting_scene()
    handle = scene.vfs.open(PATH, os.O_RDONLY).handle
    scene.read(handle, SIZE, 0)
    scene.vfs.unlink(PATH, "me")
    assert scene.vfs.getattr(PATH, handle).st_size == SIZE
    assert scene.read(handle, 10, 0) == WHOLE[:10]
    scene.vfs.release(handle)


def test_where_deleting_is_allowed_the_owner_may_write_to_folders_and_nobody_to_files() -> None:
    vfs = deleting_scene().vfs
    assert stat.S_IMODE(vfs.getattr("/recordings").st_mode) == 0o750
    assert stat.S_IMODE(vfs.getattr(PATH).st_mode) == 0o440
    masked = Scene(deleting=True, dir_mode=0o555, umask=0o222).vfs
    assert stat.S_IMODE(masked.getattr("/recordings").st_mode) == 0o555


class Ledger:
    """Keeps account of one reader after the other."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def opened(self, medium: Medium, path: str, plain_size: int) -> "Ledger":
        self.events.append(("opened", medium.sid, path, plain_size))
        return self

    def delivered(self, plain_range: ByteRange) -> None:
        self.events.append(("read", plain_range.start, plain_range.end))

    def closed(self) -> None:
        self.events.append(("closed",))


def accounted(*, keeps_pages: bool = True) -> tuple[Vfs, Ledger, FakeLibrary]:
    clock, ledger = ManualClock(), Ledger()
    library = FakeLibrary(clock)
    catalog = FakeCatalog({MEDIUM: readable(SIZE)})
    files = {"status": lambda: b"{}"}
    settings = FsSettings(uid=1, gid=1, timeout=30)
    return Vfs(catalog, library, settings, clock, files, readings=ledger, keeps_pages=keeps_pages), ledger, library


def test_account_is_kept_of_what_was_really_read() -> None:
    vfs, ledger, library = accounted()
    handle = vfs.open(LINK, os.O_RDONLY).handle
    vfs.read(handle, memoryview(bytearray(100)), SIZE - 40)
    vfs.read(handle, memoryview(bytearray(100)), SIZE)
    library.read_failure = Unreachable("gone")
    with pytest.raises(Unreachable):
        vfs.read(handle, memoryview(bytearray(100)), 0)
    vfs.release(handle)
    assert ledger.events == [("opened", MEDIUM.sid, LINK, SIZE), ("read", SIZE - 40, SIZE), ("closed",)]


def test_no_account_is_kept_of_what_is_not_opened_or_no_medium() -> None:
    vfs, ledger, library = accounted()
    vfs.release(vfs.open("/.twfs/status", os.O_RDONLY).handle)
    library.open_failure = NoKey("none")
    with pytest.raises(NoKey):
        vfs.open(PATH, os.O_RDONLY)
    assert ledger.events == []


def test_pages_are_kept_unless_every_reading_is_to_be_seen() -> None:
    for keeps_pages in (True, False):
        vfs, _, _ = accounted(keeps_pages=keeps_pages)
        vfs.release(vfs.open(PATH, os.O_RDONLY).handle)
        assert vfs.open(PATH, os.O_RDONLY).is_unchanged is keeps_pages
