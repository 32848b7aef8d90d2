"""The adapter against a file system that raises on demand, without a mount."""

import errno
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import ManualClock
from tests.fs.fakes import FakeCatalog, FakeLibrary, FakeRemover, content_of, readable, recording, sid_of
from tests.fs.unhurried import unhurried
from tests.fuse.taking import Buffer, Told
from twfs import errors
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Vfs
from twfs.fuse.operations import ERRNO, Operations
from twfs.metrics import CallMeter
from twfs.probe import MediaInfo
from twfs.resources import Medium

MEDIUM = recording(0)
PATH = f"/recordings/{MEDIUM.file_name}"
SIZE = 1000

ERROR_CLASSES = [
    member for member in vars(errors).values() if isinstance(member, type) and issubclass(member, errors.TwfsError)
]

CONTRACT = {
    errors.NoSuchName: errno.ENOENT,
    errors.NoKey: errno.ENOKEY,
    errors.CredentialsRefused: errno.EACCES,
    errors.Unreachable: errno.EIO,
    errors.DeadlineExceeded: errno.ETIMEDOUT,
    errors.ObjectChanged: errno.ESTALE,
    errors.MediaDamaged: errno.EIO,
    errors.ReadOnly: errno.EROFS,
    errors.NotVerified: errno.EPERM,
    errors.NoSuchAttribute: errno.ENODATA,
    errors.NotFound: errno.EIO,
    errors.MediaAbsent: errno.EIO,
}
"""What users are promised."""


@dataclass
class FileInfo:
    """As libfuse's struct."""

    flags: int = os.O_RDONLY
    fh: int = 0
    direct_io: int = 0
    keep_cache: int = 0


class FailingVfs(Vfs):
    """Everything fails the same way."""

    def __init__(self, failure: BaseException) -> None:
        clock = ManualClock()
        super().__init__(FakeCatalog(), FakeLibrary(clock), FsSettings(0, 0, 30), clock, {})
        self.failure = failure
        self.directory.folder = self._fail  # type: ignore[assignment]

    def _fail(self, *_: object) -> object:
        raise self.failure

    getattr = readdir = readlink = open = read = release = _fail  # type: ignore[assignment]
    listxattr = getxattr = statfs = unlink = refuse_change = _fail  # type: ignore[assignment]


def working(failure_of_reads: BaseException | None = None) -> tuple[Operations, FakeLibrary]:
    clock = ManualClock()
    library = FakeLibrary(clock)
    library.read_failure = failure_of_reads
    catalog = FakeCatalog({MEDIUM: readable(SIZE)})
    return Operations(Vfs(catalog, library, FsSettings(1, 2, 30), clock, {"status": lambda: b"{}"})), library


def calls(operations: Operations) -> dict[str, Callable[[], object]]:
    return {
        "getattr": lambda: operations.getattr(PATH),
        "getattr of an open file": lambda: operations.getattr(PATH, FileInfo()),
        "readlink": lambda: operations.readlink(PATH),
        "readdir": lambda: list_into([], operations, "/"),
        "listxattr": lambda: operations.listxattr(PATH),
        "getxattr": lambda: operations.getxattr(PATH, "user.x"),
        "statfs": lambda: operations.statfs("/"),
        "open": lambda: operations.open(PATH, FileInfo()),
        "read": lambda: operations.read(PATH, memoryview(bytearray(9)), 0, 1),
        "release": lambda: operations.release(PATH, FileInfo()),
        **changes(operations),
    }


def list_into(found: list[Told], operations: Operations, path: str, *, with_attributes: bool = True) -> None:
    """As libfuse3 does, two entries at a time."""
    handle = operations.opendir(path)
    try:
        while part := taken(operations, path, handle, end_of(found), with_attributes=with_attributes):
            found.extend(part)
    finally:
        operations.releasedir(path, handle)


def taken(
    operations: Operations, path: str, handle: int, start: int, *, room: int = 2, with_attributes: bool = True
) -> list[Told]:
    """What one call of the kernel's gets."""
    buffer = Buffer(room)
    operations.readdir(path, handle, start, buffer.taker(wants_attributes=with_attributes))
    return buffer.told


def end_of(found: list[Told]) -> int:
    """Where the listing goes on."""
    return found[-1].cookie if found else 0


def changes(operations: Operations) -> dict[str, Callable[[], object]]:
    return {
        "mknod": lambda: operations.mknod(PATH, 0, 0),
        "mkdir": lambda: operations.mkdir(PATH, 0),
        "unlink": lambda: operations.unlink(PATH),
        "rmdir": lambda: operations.rmdir(PATH),
        "symlink": lambda: operations.symlink(PATH, "target"),
        "rename": lambda: operations.rename(PATH, "/new"),
        "link": lambda: operations.link(PATH, "/new"),
        "chmod": lambda: operations.chmod(PATH, 0),
        "chown": lambda: operations.chown(PATH, 0, 0),
        "truncate": lambda: operations.truncate(PATH, 0),
        "ftruncate": lambda: operations.truncate(PATH, 0, FileInfo()),
        "utimens": lambda: operations.utimens(PATH, None),
        "setxattr": lambda: operations.setxattr(PATH, "user.x", b"", 0),
        "removexattr": lambda: operations.removexattr(PATH, "user.x"),
        "create": lambda: operations.create(PATH, 0, FileInfo()),
        "write": lambda: operations.write(PATH, b"x", 0, FileInfo()),
    }


def errno_of(call: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is what the test asks for
        call()
    return raised.value.errno


def test_every_error_has_a_row() -> None:
    assert set(ERRNO) == set(ERROR_CLASSES)
    assert all(number > 0 for number in ERRNO.values())


@pytest.mark.parametrize(("error", "number"), CONTRACT.items())
def test_errors_are_what_users_are_promised(error: type[errors.TwfsError], number: int) -> None:
    assert ERRNO[error] == number


@pytest.mark.parametrize("error", ERROR_CLASSES)
def test_every_callback_maps_every_error(error: type[errors.TwfsError]) -> None:
    for name, call in calls(Operations(FailingVfs(error("why")))).items():
        assert errno_of(call) == ERRNO[error], name


def test_a_class_without_a_row_counts_as_its_nearest_base() -> None:
    class Late(errors.DeadlineExceeded):
        pass

    class Gone(errors.NoSuchName, ValueError):
        pass

    assert errno_of(calls(Operations(FailingVfs(Late())))["read"]) == errno.ETIMEDOUT
    assert errno_of(calls(Operations(FailingVfs(Gone())))["getattr"]) == errno.ENOENT


@pytest.mark.parametrize(
    ("failure", "number"),
    [
        (OSError(errno.EMFILE, "too many"), errno.EMFILE),
        (PermissionError(errno.EPERM, "no"), errno.EPERM),
        (FileNotFoundError(errno.ENOENT, "key.pem"), errno.EIO),
        (OSError("without a number"), errno.EIO),
        (OSError(0, "zero"), errno.EIO),
        (OSError(-5, "negative"), errno.EIO),
        (TimeoutError(), errno.EIO),
        (ZeroDivisionError(), errno.EIO),
        (MemoryError(), errno.EIO),
        (SystemExit(1), errno.EIO),
        (KeyboardInterrupt(), errno.EIO),
    ],
)
def test_every_callback_maps_whatever_else_is_raised(failure: BaseException, number: int) -> None:
    for name, call in calls(Operations(FailingVfs(failure))).items():
        assert errno_of(call) == number, name


def test_every_change_is_refused() -> None:
    for name, call in changes(working()[0]).items():
        assert errno_of(call) == errno.EROFS, name


def test_unlink_names_the_caller_and_every_other_change_stays_refused() -> None:
    clock = ManualClock()
    catalog = FakeCatalog({MEDIUM: readable(SIZE)})
    remover = FakeRemover(catalog, {MEDIUM.sid})
    vfs = Vfs(catalog, FakeLibrary(clock), FsSettings(1, 2, 30), clock, {}, remover=remover)
    operations = Operations(vfs, lambda: "uid 7, pid 8")
    for name, call in changes(operations).items():
        assert errno_of(call) == (errno.EPERM if name == "unlink" else errno.EROFS), name
    remover.unproven = ()
    assert operations.unlink(PATH) == 0
    assert remover.deleted == [(MEDIUM.sid, "uid 7, pid 8")]
    assert errno_of(lambda: operations.unlink(PATH)) == errno.ENOENT


@pytest.mark.parametrize(
    ("failure", "number", "text"),
    [
        (errors.NotVerified, errno.EPERM, "Operation not permitted"),
        (errors.ProofPending, errno.EBUSY, "Device or resource busy"),
    ],
)
def test_a_refused_deletion_is_one_clear_line(
    caplog: pytest.LogCaptureFixture, failure: type[errors.TwfsError], number: int, text: str
) -> None:
    caplog.set_level(logging.INFO, "twfs")
    operations = Operations(FailingVfs(failure(f"{MEDIUM.sid} is not deleted: so it is")))
    for _ in range(2):
        assert errno_of(lambda: operations.unlink(PATH)) == number
    assert lines(caplog) == [f"{PATH}: unlink failed ({text}): {MEDIUM.sid} is not deleted: so it is"]


def test_no_callback_that_the_kernel_should_decide() -> None:
    # fusepy and mfusepy register whatever is there.
    operations = working()[0]
    assert not [name for name in ("access", "bmap", "ioctl", "lock", "flag_nopath") if hasattr(operations, name)]
    assert not callable(operations)
    assert operations.use_ns


def test_a_read_fills_the_buffer() -> None:
    operations, library = working()
    info = FileInfo()
    assert operations.open(PATH, info) == 0
    assert (info.fh > 0, info.direct_io, info.keep_cache) == (True, 0, 1)
    buffer = bytearray(SIZE + 10)
    assert operations.read(PATH, memoryview(buffer), 0, info.fh) == SIZE
    assert buffer[:SIZE] == content_of(MEDIUM.sid, SIZE)
    assert operations.read(PATH, memoryview(buffer), SIZE, info.fh) == 0
    assert operations.getattr(PATH, info) == operations.getattr(PATH)
    assert operations.flush(PATH, info) == operations.fsync(PATH, 0, info) == operations.release(PATH, info) == 0
    assert library.open_now == 0


def test_virtual_files_pass_the_page_cache_by() -> None:
    info = FileInfo()
    working()[0].open("/.twfs/status", info)
    assert (info.direct_io, info.keep_cache) == (1, 0)


def test_stat_and_statvfs_fields() -> None:
    operations = working()[0]
    found = operations.getattr(PATH)
    moment = MEDIUM.changed_at * 10**9
    assert {found["st_atime"], found["st_mtime"], found["st_ctime"]} == {moment}
    assert (found["st_size"], found["st_blocks"], found["st_uid"], found["st_gid"]) == (SIZE, 2, 1, 2)
    assert operations.statfs("/")["f_files"] == 1


def test_a_listing_in_parts_has_known_attributes() -> None:
    media = {recording(number): readable(number) for number in range(7)}
    clock, catalog = ManualClock(), FakeCatalog(media)
    catalog.unprobed.add(recording(3).sid)
    operations = Operations(Vfs(catalog, FakeLibrary(clock), FsSettings(1, 2, 30), clock, {}))
    found: list[Told] = []
    list_into(found, operations, "/recordings")
    assert [told.name for told in found] == [".", "..", *(medium.file_name for medium in media)]
    sizes = [told.attributes and told.attributes["st_size"] for told in found]
    assert sizes == [None, None, 0, 1, 2, None, 4, 5, 6]
    assert catalog.calls["info"] == 0
    for told in found[2:]:
        attributes = operations.getattr(f"/recordings/{told.name}")
        assert told.st_ino == attributes["st_ino"]
        assert told.attributes in (None, attributes)
    names: list[Told] = []
    list_into(names, operations, "/recordings", with_attributes=False)
    assert [told.name for told in names] == [told.name for told in found]
    assert {told.attributes is None for told in names} == {True}


def test_attributes_of_folders_and_links_come_with_a_listing() -> None:
    operations = working()[0]
    for path in ("/", "/by-date", f"/by-room/{MEDIUM.room_sid}", "/.twfs"):
        found: list[Told] = []
        list_into(found, operations, path)
        for told in found[2:]:
            attributes = operations.getattr(f"{path.rstrip('/')}/{told.name}")
            assert told.attributes == (None if path == "/.twfs" else attributes)
        assert len(found) > 2


def test_a_folder_that_changes_while_it_is_read_is_one_list() -> None:
    media = {recording(number): readable(number) for number in range(7)}
    clock, catalog = ManualClock(), FakeCatalog(media)
    operations = Operations(Vfs(catalog, FakeLibrary(clock), FsSettings(1, 2, 30), clock, {}))
    handle = operations.opendir("/recordings")

    def part(start: int) -> list[Told]:
        return taken(operations, "/recordings", handle, start, room=3)

    before = part(0)
    catalog.replace({recording(6): readable(6)})
    assert names(before + part(end_of(before))) == [".", "..", *(recording(number).file_name for number in range(4))]
    assert names(part(0)) == [".", "..", recording(6).file_name], "from its beginning it is read anew"
    operations.releasedir("/recordings", handle)
    assert errno_of(lambda: operations.releasedir("/recordings", handle)) == errno.EBADF


def names(found: list[Told]) -> list[str]:
    return [told.name for told in found]


def read_on(operations: Operations, path: str, start: int, room: int) -> list[Told]:
    """As an NFS server does, which opens the folder for each of its clients' requests."""
    handle = operations.opendir(path)
    try:
        return taken(operations, path, handle, start, room=room)
    finally:
        operations.releasedir(path, handle)


def media_of(numbers: Iterable[int]) -> dict[Medium, MediaInfo]:
    """Each in a room of its own."""
    return {recording(number, room_sid=sid_of(number, "RM")): readable(number) for number in numbers}


@unhurried
@given(
    st.sampled_from(["/recordings", "/by-room", "/by-date/2017/11/23"]),
    st.lists(st.tuples(st.permutations(range(8)), st.integers(1, 8), st.integers(1, 5)), min_size=1),
)
def test_who_goes_on_with_another_handle_misses_nothing_that_stays(
    path: str, steps: list[tuple[list[int], int, int]]
) -> None:
    """Whatever comes, goes and changes places between the parts, and though the last entry told is gone."""
    clock, catalog = ManualClock(), FakeCatalog(media_of(range(8)))
    vfs = Vfs(catalog, FakeLibrary(clock), FsSettings(1, 2, 30), clock, {})
    operations = Operations(vfs)
    stays = {entry.name for entry in vfs.readdir(path)}
    found: list[Told] = []
    for order, count, room in steps:
        catalog.replace(media_of(order[:count]))
        stays &= {entry.name for entry in vfs.readdir(path)}
        found += read_on(operations, path, end_of(found), room)
    assert sorted(told.cookie for told in found) == [told.cookie for told in found]
    found += read_on(operations, path, end_of(found), 100)
    assert stays <= set(names(found))


# The log


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


def test_a_failing_read_is_one_line_until_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "twfs")
    operations, library = working(errors.MediaDamaged(f"{MEDIUM.sid}: the padding\nis wrong"))
    info = FileInfo()
    operations.open(PATH, info)

    def read() -> int:
        return operations.read(PATH, memoryview(bytearray(5)), 0, info.fh)

    for _ in range(3):
        assert errno_of(read) == errno.EIO
    assert lines(caplog) == [f"{PATH}: read failed (Input/output error): {MEDIUM.sid}: the padding is wrong"]
    library.read_failure = None
    assert [read(), read()] == [5, 5]
    assert len(lines(caplog)) == 2
    library.read_failure = errors.Unreachable("down")
    assert errno_of(read) == errno.EIO
    assert "down" in lines(caplog)[-1]
    assert len(lines(caplog)) == 3


@pytest.mark.parametrize("error", [errors.NoSuchName, errors.NoSuchAttribute, errors.ReadOnly, errors.NotADirectory])
def test_wrong_questions_are_not_logged(error: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "twfs")
    assert errno_of(lambda: Operations(FailingVfs(error())).getattr(PATH))
    assert lines(caplog) == []


def test_an_unknown_failure_keeps_its_text_for_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "twfs")
    assert errno_of(lambda: Operations(FailingVfs(LookupError("?X-Amz-Signature=secret"))).getattr(PATH))
    assert lines(caplog) == [f"{PATH}: getattr failed (Input/output error): LookupError"]
    (debug,) = [record for record in caplog.records if record.levelno == logging.DEBUG]
    assert debug.exc_info


def test_each_callback_is_timed_and_each_failure_counted() -> None:
    vfs = working()[0]._vfs
    times = iter(range(100))
    operations = Operations(vfs, calls=CallMeter(lambda: float(next(times))))
    operations.getattr("/")
    for _ in range(2):
        with pytest.raises(OSError, match="No such"):
            operations.getattr("/nothing")
    with pytest.raises(OSError, match="Read-only"):
        operations.mkdir("/new", 0o700)
    found = operations.calls.durations()
    assert {name: (times.count, times.seconds) for name, times in found.items()} == {
        "getattr": (3, 3.0),
        "change": (1, 1.0),
    }
    assert operations.calls.outcomes.snapshot() == {("getattr", "ENOENT"): 2, ("change", "EROFS"): 1}
