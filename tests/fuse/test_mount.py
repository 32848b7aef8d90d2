"""What programs see of a real mount, under both versions of libfuse."""

import ctypes
import errno
import json
import mmap
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fs.fakes import NOVEMBER_23, content_of, recording
from tests.fuse import served
from tests.fuse.mounting import (
    ROOT,
    Mounted,
    is_mounted,
    mounted,
    needs_fuse,
    needs_mdwe,
    spawn,
    take_down,
    wait_until,
)
from twfs.fs.names import inode, view_name
from twfs.resources import Medium

pytestmark = needs_fuse

BINDINGS = ("3", "2")
LARGE = recording(len(served.SIZES) - 1)
ROOM = LARGE.room_sid
_NAME_OFFSET = 19
"""Of `d_name` in glibc's struct dirent, where numbers have 64 bits."""
XATTRS = {
    *("sid", "account_sid", "kind", "status", "date_created", "duration", "codec", "container", "room_sid"),
    *("participant_sid", "track_name", "source_sid", "offset", "encrypted", "etag"),
}


@pytest.fixture(scope="module", params=["mfusepy 3.", "fusepy 2.", "mfusepy 2."])
def mount(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    package, version = request.param.split()
    without = "fuse" if package == "mfusepy" else "mfusepy"
    with mounted(tmp_path_factory.mktemp("mount"), "--fuse", version[0], without=without) as mount:
        assert mount.binding.startswith(request.param)
        yield mount


def path_of(mount: Mounted, medium: Medium) -> Path:
    return mount.path / medium.kind / medium.file_name


def errno_of(call: Callable[[], object]) -> int:
    with pytest.raises(OSError) as failure:  # noqa: PT011 - the number is what the test asks for
        call()
    assert failure.value.errno is not None
    return failure.value.errno


def test_every_readable_file_is_its_plaintext(mount: Mounted) -> None:
    for medium, info in served.readable_media().items():
        assert path_of(mount, medium).read_bytes() == content_of(medium.sid, info.plain_size)


@needs_mdwe
@pytest.mark.parametrize("version", BINDINGS)
def test_it_serves_where_memory_may_not_be_written_and_executed(version: str, tmp_path: Path) -> None:
    with mounted(tmp_path, "--fuse", version, "--deny-write-execute") as mount:
        test_every_readable_file_is_its_plaintext(mount)
        test_folders(mount)


def test_random_preads_are_the_plaintext(mount: Mounted) -> None:
    size = served.SIZES[-1]
    content, chance = content_of(LARGE.sid, size), random.Random(1)
    with path_of(mount, LARGE).open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for _ in range(500):
            offset, length = chance.randrange(size + 10), chance.choice((1, 15, 16, 17, 4096, 70_000))
            assert os.pread(file.fileno(), length, offset) == content[offset : offset + length]


def test_a_mapped_file_is_the_plaintext(mount: Mounted) -> None:
    content, chance = content_of(LARGE.sid, served.SIZES[-1]), random.Random(2)
    with path_of(mount, LARGE).open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert len(mapped) == len(content)
        for _ in range(100):
            offset = chance.randrange(len(content))
            assert mapped[offset : offset + 5000] == content[offset : offset + 5000]


def test_several_readers_at_once(mount: Mounted) -> None:
    media = list(served.readable_media().items()) * 4
    wrong: list[str] = []

    def check(medium: Medium, size: int) -> None:
        if path_of(mount, medium).read_bytes() != content_of(medium.sid, size):
            wrong.append(medium.sid)

    threads = [threading.Thread(target=check, args=(medium, info.plain_size)) for medium, info in media]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_stat_is_exact(mount: Mounted) -> None:
    for medium, info in served.readable_media().items():
        found = path_of(mount, medium).stat()
        assert found.st_mode == stat.S_IFREG | 0o440
        assert found.st_size == info.plain_size
        assert found.st_blocks == -(-info.plain_size // 512)
        assert found.st_blksize == 2**20
        assert found.st_nlink == 1
        assert found.st_ino == inode(medium.sid)
        assert (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())
        moment = medium.changed_at * 10**9
        assert (found.st_mtime_ns, found.st_ctime_ns, found.st_atime_ns) == (moment, moment, moment)


def test_a_composition_was_changed_when_it_was_completed(mount: Mounted) -> None:
    assert path_of(mount, served.COMPOSITION).stat().st_mtime == 1_511_460_000


def test_folders(mount: Mounted) -> None:
    assert sorted(os.listdir(mount.path)) == ["by-date", "by-room", "compositions", "recordings"]  # noqa: PTH208
    root = mount.path.stat()
    assert root.st_mode == stat.S_IFDIR | 0o550
    assert root.st_nlink == 2 + 4
    assert root.st_mtime == served.COMPOSITION.changed_at
    assert (mount.path / "recordings").stat().st_mtime == NOVEMBER_23 + 107
    listed = {path.name for path in (mount.path / "recordings").iterdir()}
    assert listed == {medium.file_name for medium in served.media() if medium.kind == "recordings"}


def test_listed_inodes_are_those_of_stat(mount: Mounted) -> None:
    failing = {served.UNREACHABLE.file_name, served.BROKEN.file_name}
    for folder, names, files in os.walk(mount.path):
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name not in failing:
                    assert entry.inode() == os.lstat(entry.path).st_ino
        assert names or files
    shown = subprocess.run(["ls", "-ai", mount.path], check=True, capture_output=True, text=True).stdout
    assert str(mount.path.stat().st_ino) in shown.split()


def test_links_lead_to_the_files(mount: Mounted) -> None:
    for medium in served.readable_media():
        day = "undated" if medium.created_at is None else "2017/11/23"
        link = mount.path / "by-date" / day / view_name(medium)
        assert link.is_symlink()
        assert link.resolve() == path_of(mount, medium).resolve()
        assert link.stat().st_ino == path_of(mount, medium).stat().st_ino
        assert link.lstat().st_size == len(os.readlink(link))  # noqa: PTH115
        if medium.room_sid:
            by_room = mount.path / "by-room" / medium.room_sid / view_name(medium)
            assert by_room.read_bytes() == path_of(mount, medium).read_bytes()


def test_a_hostile_track_name_stays_in_its_folder(mount: Mounted) -> None:
    names = os.listdir(mount.path / "by-room" / str(ROOM))  # noqa: PTH208
    assert f"2017-11-23T164854Z__.._etc_pas_swdgpj.exe_____{served.HOSTILE.file_name}" in names


def test_extended_attributes(mount: Mounted) -> None:
    path = path_of(mount, LARGE)
    assert {name.removeprefix("user.twilio.") for name in os.listxattr(path)} == XATTRS
    assert os.getxattr(path, "user.twilio.date_created") == b"2017-11-23T16:47:17Z"
    assert os.getxattr(path, "user.twilio.encrypted") == b"true"
    assert os.getxattr(path_of(mount, served.ABSENT), "user.twilio.media") == b"absent"
    assert errno_of(lambda: os.getxattr(path, "user.other")) == errno.ENODATA
    assert os.listxattr(mount.path / "recordings") == []


def test_labels_and_access_lists_are_asked_for_once_by_ls(mount: Mounted) -> None:
    path = path_of(mount, LARGE)
    for name in ("security.selinux", "system.posix_acl_access", "trusted.x"):
        assert errno_of(lambda name=name: os.getxattr(path, name)) == errno.EOPNOTSUPP  # type: ignore[misc]


def test_a_listing_brings_the_attributes_along(tmp_path: Path) -> None:
    """With libfuse3 `ls -l` makes no call per file; what is not known is asked for by who wants it."""
    failing = {served.UNREACHABLE.file_name, served.BROKEN.file_name}
    with mounted(tmp_path, "--fuse", "3", "--many", "500", "--attr-timeout", "600") as mount:
        with os.scandir(mount.path / "recordings") as entries:
            found = {entry.name: entry.stat() for entry in entries if entry.name not in failing}
        subprocess.run(["ls", "-l", mount.path / "recordings"], check=False, capture_output=True)
    calls = calls_of(mount)
    assert calls["readdir"] >= 2
    assert calls["getattr"] < 50
    assert calls.get("getxattr", 0) == 0
    for medium, info in served.readable_media().items():
        if medium.kind == "recordings":
            shown = found[medium.file_name]
            assert (shown.st_size, shown.st_ino) == (info.plain_size, inode(medium.sid))
            assert (shown.st_mode, shown.st_nlink) == (stat.S_IFREG | 0o440, 1)
            assert (shown.st_uid, shown.st_gid) == (os.getuid(), os.getgid())
            assert (shown.st_blocks, shown.st_mtime) == (-(-info.plain_size // 512), medium.changed_at)


def test_a_listing_again_asks_for_nothing_by_name(tmp_path: Path) -> None:
    """`ls -lR` of files and links, twice: folders are read again, the kernel keeps everything else."""
    folders = ("recordings", f"by-room/{ROOM}")
    with mounted(tmp_path, "--fuse", "3", "--many", "500", "--attr-timeout", "600") as mount:
        listed = [
            subprocess.run(["ls", "-lR", *folders], check=False, capture_output=True, cwd=mount.path).stdout
            for _ in range(2)
        ]
    calls = calls_of(mount)
    links = listed[0].count(b" -> ")
    assert links > 500
    assert listed[1] == listed[0]
    # The kernel may drop one when it is short of memory.
    assert links <= calls["readlink"] < links + 10
    assert calls["getattr"] < 60
    assert calls["opendir"] == 2 * len(folders)


def calls_of(ended: Mounted) -> dict[str, int]:
    (line,) = [line for line in ended.log().splitlines() if line.startswith(served.CALLS)]
    calls: dict[str, int] = json.loads(line.removeprefix(served.CALLS))
    return calls


@pytest.mark.parametrize("version", BINDINGS)
def test_a_large_folder_is_listed_whole_from_any_place(version: str, tmp_path: Path) -> None:
    with mounted(tmp_path, "--fuse", version, "--many", "5000") as mount:
        folder = mount.path / "recordings"
        names = os.listdir(folder)  # noqa: PTH208
        there = [medium for medium in served.media() if medium.kind == "recordings"]
        assert len(names) == len(set(names)) == 5000 + len(there)
        listed = subprocess.run(["ls", "-f", folder], check=True, capture_output=True, text=True).stdout.split("\n")
        assert set(names) == set(listed) - {".", "..", ""}
        found = {entry.name: entry.inode() for entry in os.scandir(folder)}
        many = [recording(served.FIRST_OF_MANY + number).file_name for number in range(0, 5000, 50)]
        assert {name: os.lstat(folder / name).st_ino for name in many} == {name: found[name] for name in many}


def listed_from_the_beginning(folder: Path, count: int) -> tuple[list[str], int]:
    """So many names, and where the next one stands."""
    libc = ctypes.CDLL(None)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.readdir.argtypes = libc.telldir.argtypes = libc.closedir.argtypes = (ctypes.c_void_p,)
    libc.telldir.restype = ctypes.c_long
    opened = libc.opendir(os.fsencode(folder))
    try:
        names = [os.fsdecode(ctypes.string_at(libc.readdir(opened) + _NAME_OFFSET)) for _ in range(count)]
        return names, libc.telldir(opened)
    finally:
        libc.closedir(opened)


def listed_from(folder: Path, place: int) -> list[str]:
    """By a handle of its own, as an NFS server does for each of its clients' requests."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.listdir(descriptor)  # noqa: PTH208
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("version", BINDINGS)
def test_what_is_deleted_between_two_parts_of_a_listing_hides_nothing_else(version: str, tmp_path: Path) -> None:
    with mounted(tmp_path, "--fuse", version, "--many", "300", "--allow-delete") as mount:
        folder = mount.path / "recordings"
        whole = [".", "..", *os.listdir(folder)]  # noqa: PTH208
        part, place = listed_from_the_beginning(folder, 200)
        for name in part[-5:]:
            (folder / name).unlink()
        assert part + listed_from(folder, place) == whole


def test_a_medium_without_media_is_an_empty_file(mount: Mounted) -> None:
    path = path_of(mount, served.ABSENT)
    assert path.stat().st_size == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("medium", "size", "expected"), [(served.LOCKED, 1234, errno.ENOKEY), (served.DAMAGED, 4321, errno.EIO)]
)
def test_what_cannot_be_read_is_listed_and_not_opened(mount: Mounted, medium: Medium, size: int, expected: int) -> None:
    path = path_of(mount, medium)
    assert path.stat().st_size == size
    assert errno_of(path.read_bytes) == expected
    assert medium.sid in mount.log()


@pytest.mark.parametrize("medium", [served.UNREACHABLE, served.BROKEN])
def test_a_failure_is_no_absence(mount: Mounted, medium: Medium) -> None:
    assert errno_of(path_of(mount, medium).stat) == errno.EIO
    assert errno_of(path_of(mount, medium).read_bytes) == errno.EIO
    assert "Signature" not in mount.log()


def test_missing_names(mount: Mounted) -> None:
    for name in ("none", "recordings/RT1.mkv", f"recordings/{LARGE.sid}.mp4", "by-date/2018", ".twfs/none", "a/b"):
        assert errno_of((mount.path / name).stat) == errno.ENOENT
    assert errno_of(lambda: os.stat(os.fsencode(mount.path) + b"/\xff")) == errno.ENOENT  # noqa: PTH116
    assert errno_of((path_of(mount, LARGE) / "below").stat) == errno.ENOTDIR
    assert errno_of(lambda: os.open(mount.path / "recordings", os.O_WRONLY)) == errno.EISDIR


def test_status_can_be_read_and_is_not_listed(mount: Mounted) -> None:
    assert sorted(os.listdir(mount.path / ".twfs")) == ["metrics", "status"]  # noqa: PTH208
    assert (mount.path / ".twfs/status").read_bytes() == served.STATUS
    shown = subprocess.run(["cat", mount.path / ".twfs/status"], check=True, capture_output=True)
    assert shown.stdout == served.STATUS


def test_a_virtual_file_is_written_anew_at_each_open(mount: Mounted) -> None:
    path = mount.path / ".twfs/metrics"
    with path.open("rb", buffering=0) as file:
        whole = os.pread(file.fileno(), 10_000, 0)
        again = b"".join(os.pread(file.fileno(), 1, offset) for offset in range(len(whole)))
    assert whole == again
    # The kernel still believes in the size of an earlier, shorter one.
    known_size = path.stat().st_size
    longer = path.read_bytes()
    assert longer.endswith(b"\n")
    assert len(longer) > known_size


def library_reads(mount: Mounted) -> int:
    return int((mount.path / ".twfs/metrics").read_bytes().split()[1])


def library_open_now(mount: Mounted) -> int:
    return int((mount.path / ".twfs/metrics").read_bytes().split()[2])


def test_the_page_cache_outlives_the_open_file(mount: Mounted) -> None:
    path = path_of(mount, LARGE)
    path.read_bytes()
    before = library_reads(mount)
    assert path.read_bytes() == content_of(LARGE.sid, served.SIZES[-1])
    assert library_reads(mount) == before


def changes(mount: Mounted) -> dict[str, Callable[[], object]]:
    file, folder = path_of(mount, LARGE), mount.path / "recordings"
    link = mount.path / "by-room" / str(ROOM) / view_name(LARGE)
    return {
        "open for writing": lambda: os.open(file, os.O_WRONLY),
        "open for both": lambda: os.open(file, os.O_RDWR),
        "open to truncate": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "open to append": lambda: os.open(file, os.O_WRONLY | os.O_APPEND),
        "create": lambda: os.open(folder / "new", os.O_WRONLY | os.O_CREAT),
        "create excluding": lambda: os.open(folder / "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
        "unnamed file": lambda: os.open(folder, os.O_WRONLY | os.O_TMPFILE),
        "unlink": file.unlink,
        "unlink link": link.unlink,
        "rename": lambda: file.rename(folder / "new"),
        "rename folder": lambda: folder.rename(mount.path / "new"),
        "hard link": lambda: (folder / "new").hardlink_to(file),
        "symbolic link": lambda: (folder / "new").symlink_to("target"),
        "mkdir": (folder / "new").mkdir,
        "rmdir": folder.rmdir,
        "mknod": lambda: os.mknod(folder / "new"),
        "mkfifo": lambda: os.mkfifo(folder / "new"),
        "chmod": lambda: file.chmod(0o600),
        "chmod folder": lambda: folder.chmod(0o700),
        "chown": lambda: os.chown(file, 1, 1),
        "lchown": lambda: os.lchown(link, 1, 1),
        "truncate": lambda: os.truncate(file, 0),
        "utime": lambda: os.utime(file),
        "utime of link": lambda: os.utime(link, follow_symlinks=False),
        "setxattr": lambda: os.setxattr(file, "user.twilio.sid", b"x"),
        "removexattr": lambda: os.removexattr(file, "user.twilio.sid"),
    }


def test_nothing_can_be_changed(mount: Mounted) -> None:
    results = {name: errno_of(change) for name, change in changes(mount).items()}
    assert set(results.values()) == {errno.EROFS}, results


@pytest.fixture(scope="module", params=["mfusepy 3.", "fusepy 2.", "mfusepy 2."])
def deleting_mount(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    package, version = request.param.split()
    without = "fuse" if package == "mfusepy" else "mfusepy"
    folder = tmp_path_factory.mktemp("mount")
    with mounted(folder, "--fuse", version[0], "--allow-delete", without=without) as mount:
        yield mount


@pytest.mark.skipif(os.getuid() != 0, reason="others are refused by permission bits before: EACCES")
def test_where_deleting_is_allowed_everything_else_stays_refused(deleting_mount: Mounted) -> None:
    results = {name: errno_of(change) for name, change in changes(deleting_mount).items()}
    # libfuse knows no unnamed files, so the kernel says that there are none.
    assert results.pop("unnamed file") == errno.EOPNOTSUPP
    assert results.pop("unlink") == errno.EPERM
    assert set(results.values()) == {errno.EROFS}, results


def test_where_deleting_is_allowed_folders_have_the_bit_for_it(deleting_mount: Mounted) -> None:
    assert deleting_mount.path.stat().st_mode == stat.S_IFDIR | 0o750
    assert path_of(deleting_mount, LARGE).stat().st_mode == stat.S_IFREG | 0o440
    assert "rw" in deleting_mount.mount_line()[3].split(",")


def test_what_is_proven_is_deleted_and_what_was_only_read_is_not(deleting_mount: Mounted) -> None:
    unproven, path = path_of(deleting_mount, LARGE), path_of(deleting_mount, recording(9))
    assert unproven.read_bytes() == content_of(LARGE.sid, served.SIZES[-1])
    assert errno_of(unproven.unlink) == errno.EPERM
    path.unlink()
    assert errno_of(path.stat) == errno.ENOENT
    assert path.name not in os.listdir(path.parent)  # noqa: PTH208
    log = deleting_mount.log()
    assert f"{recording(9).sid}: deleted, asked for by uid {os.getuid()}, pid {os.getpid()}" in log


def test_deleting_what_is_still_open(deleting_mount: Mounted) -> None:
    path = path_of(deleting_mount, recording(6))
    with path.open("rb", buffering=0) as file:
        assert len(file.read()) == served.SIZES[6]
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        path.unlink()
        # The kernel asks by name for what it has not kept, and there is no name any more.
        assert errno_of(lambda: os.fstat(file.fileno())) in (errno.ESTALE, errno.ENOENT)
        if " 2." in deleting_mount.binding:
            assert errno_of(lambda: os.pread(file.fileno(), 10, 0)) == errno.ENOENT
        else:
            assert os.pread(file.fileno(), 10, 0) == content_of(recording(6).sid, served.SIZES[6])[:10]
    assert errno_of(path.stat) == errno.ENOENT
    assert not [name for name in os.listdir(path.parent) if "fuse_hidden" in name]  # noqa: PTH208
    process, log_path = deleting_mount.process, deleting_mount.log_path
    wait_until("the release", lambda: library_open_now(deleting_mount) == 0, process, log_path)


def test_statfs_sums_what_is_known(mount: Mounted) -> None:
    usage = os.statvfs(mount.path)
    unknown = (served.UNREACHABLE, served.BROKEN)
    sizes = [info.plain_size for medium, info in served.media().items() if medium not in unknown]
    assert usage.f_blocks == -(-sum(sizes) // 4096)
    assert (usage.f_frsize, usage.f_bsize) == (4096, 2**20)
    assert (usage.f_bfree, usage.f_bavail, usage.f_ffree) == (0, 0, 0)
    assert usage.f_files == len(served.media())
    assert usage.f_namemax == 255


def test_mount_options(mount: Mounted) -> None:
    source, _, kind, options, *_ = mount.mount_line()
    assert (source, kind) == ("twilio:test", "fuse.twfs")
    assert {"ro", "nosuid", "nodev", "default_permissions"} <= set(options.split(","))
    assert "allow_other" not in options


@pytest.mark.parametrize("version", BINDINGS)
def test_another_object_is_not_read_from_the_page_cache(version: str, tmp_path: Path) -> None:
    changed, size = tmp_path / "changed", served.SIZES[-1]
    with mounted(tmp_path, "--fuse", version, "--changed", str(changed)) as mount:
        assert path_of(mount, LARGE).read_bytes() == content_of(LARGE.sid, size)
        changed.touch()
        assert path_of(mount, LARGE).read_bytes() == content_of(LARGE.sid, size, served.SECOND_ETAG)


@pytest.mark.parametrize("version", BINDINGS)
def test_a_reader_of_the_former_object_spoils_no_page_of_the_next(version: str, tmp_path: Path) -> None:
    changed, size = tmp_path / "changed", served.SIZES[-1]
    with (
        mounted(tmp_path, "--fuse", version, "--changed", str(changed)) as mount,
        path_of(mount, LARGE).open("rb", buffering=0) as former,
    ):
        os.posix_fadvise(former.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert os.pread(former.fileno(), 4096, 0) == content_of(LARGE.sid, size)[:4096]
        changed.touch()
        with path_of(mount, LARGE).open("rb", buffering=0) as present:
            assert errno_of(lambda: os.pread(former.fileno(), 4096, 2**20)) == errno.ESTALE
            assert present.read() == content_of(LARGE.sid, size, served.SECOND_ETAG)


@pytest.mark.parametrize("version", BINDINGS)
def test_an_object_that_has_grown_is_no_short_file(version: str, tmp_path: Path) -> None:
    changed, size = tmp_path / "changed", served.SIZES[3]
    with mounted(tmp_path, "--fuse", version, "--changed", str(changed)) as mount:
        path = path_of(mount, served.GROWN)
        assert path.stat().st_size == size
        changed.touch()
        # The kernel keeps the old size for attr_timeout.
        assert path.stat().st_size == size
        grown = size + served.GROWTH
        assert path.read_bytes() == content_of(served.GROWN.sid, grown, served.SECOND_ETAG)
        shown = subprocess.run(["cat", path], check=True, capture_output=True)
        assert len(shown.stdout) == grown


@pytest.mark.parametrize("version", BINDINGS)
def test_a_wrong_size_that_was_told_on_trust_is_right_once_the_file_is_open(version: str, tmp_path: Path) -> None:
    """Linux asks for the attributes again and opens once more: no reader notices."""
    size = served.SIZES[3]
    with mounted(tmp_path, "--fuse", version, "--excess", "700") as mount:
        path = path_of(mount, served.GROWN)
        assert path.stat().st_size == size + 700
        with path.open("rb", buffering=0) as file:
            assert os.fstat(file.fileno()).st_size == size
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                assert mapped[:] == content_of(served.GROWN.sid, size)
            assert file.read() == content_of(served.GROWN.sid, size)
        assert path.stat().st_size == size
        assert f"not {size + 700} as Twilio says" in mount.log()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can look at the kernel's side of a connection")
@pytest.mark.parametrize("version", BINDINGS)
def test_the_kernel_may_read_ahead_a_lot(version: str, tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir()
    subprocess.run(["mount", "-t", "fusectl", "fusectl", control], check=True)
    try:
        with mounted(tmp_path, "--fuse", version) as mount:
            connection = control / str(os.minor(mount.path.stat().st_dev))
            limits = [int((connection / name).read_text()) for name in ("max_background", "congestion_threshold")]
    finally:
        subprocess.run(["umount", control], check=True)
    assert limits == ([24, 18] if version == "3" else [64, 48])


@pytest.mark.parametrize("version", BINDINGS)
def test_a_read_that_outlasts_the_attributes_ends_well(version: str, tmp_path: Path) -> None:
    # The kernel asks for the attributes of the open file when they are older than attr_timeout at the end of a read;
    # a failure there made each slow file end in an error in another file system (borg, PR 10340).
    with mounted(tmp_path, "--fuse", version, "--attr-timeout", "1", "--stall", "2.5") as mount:
        source, copy = path_of(mount, LARGE), tmp_path / "copy"
        subprocess.run(["cp", source, copy], check=True)
        assert copy.read_bytes() == content_of(LARGE.sid, served.SIZES[-1])
        subprocess.run(["cat", path_of(mount, recording(0))], check=True, capture_output=True)


@pytest.mark.parametrize("version", BINDINGS)
def test_many_stalled_reads_stall_nobody_else(version: str, tmp_path: Path) -> None:
    small = [medium for medium, info in served.readable_media().items() if info.plain_size < 2**20]
    readers = 20
    with mounted(tmp_path, "--fuse", version, "--stall", "6") as mount:
        commands = [["head", "-c", "1", str(path_of(mount, small[n % len(small)]))] for n in range(readers)]
        commands += [
            ["dd", f"if={path_of(mount, medium)}", "iflag=direct", "status=none", "of=/dev/null"] for medium in small
        ]
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
        time.sleep(1)
        begin = time.monotonic()
        assert (mount.path / ".twfs/status").read_bytes() == served.STATUS
        took = time.monotonic() - begin
        assert [process.wait() for process in running] == [0] * len(running)
    assert took < 4


@pytest.mark.parametrize("version", BINDINGS)
def test_a_read_past_its_deadline_says_so(version: str, tmp_path: Path) -> None:
    with mounted(tmp_path, "--fuse", version, "--stall", "30", "--timeout", "0.2") as mount:
        begin = time.monotonic()
        assert errno_of(path_of(mount, recording(0)).read_bytes) == errno.ETIMEDOUT
        assert errno_of(path_of(mount, recording(0)).read_bytes) == errno.ETIMEDOUT
        assert time.monotonic() - begin < 20
        assert mount.log().count(recording(0).sid) == 1


@pytest.mark.parametrize("version", BINDINGS)
def test_a_signal_ends_the_mount(version: str, tmp_path: Path) -> None:
    with mounted(tmp_path, "--fuse", version) as mount:
        mount.process.send_signal(signal.SIGTERM)
        assert mount.process.wait(timeout=60) == 0
        assert not is_mounted(mount.path)


@pytest.mark.parametrize("version", BINDINGS)
def test_a_signal_lets_a_read_end(version: str, tmp_path: Path) -> None:
    with mounted(tmp_path, "--fuse", version, "--stall", "3") as mount:
        path = path_of(mount, recording(3))
        reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
        while not any(opened.resolve() == path for opened in Path(f"/proc/{reader.pid}/fd").iterdir()):
            time.sleep(0.01)
        time.sleep(0.3)
        mount.process.send_signal(signal.SIGTERM)
        assert reader.communicate(timeout=60)[0] == content_of(recording(3).sid, served.SIZES[3])
        assert mount.process.wait(timeout=60) == 0


@pytest.mark.parametrize("version", BINDINGS)
def test_what_fails_at_the_start_ends_the_mount(version: str, tmp_path: Path) -> None:
    mountpoint, _, log_path, process = spawn(tmp_path, "--fuse", version, "--fail-at-init")
    try:
        assert process.wait(timeout=60) == 1
        assert not is_mounted(mountpoint)
    finally:
        take_down(mountpoint, process)
    assert "LookupError: nothing to serve" in log_path.read_text()


@pytest.mark.parametrize("version", BINDINGS)
def test_a_mount_that_libfuse_refuses(version: str, tmp_path: Path) -> None:
    arguments = ("--fuse", version, "--ready", str(tmp_path / "ready"))
    command = [sys.executable, "-m", "tests.fuse.served", str(tmp_path / "none"), *arguments]
    failed = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert failed.returncode == 1
    assert f"ConfigError: libfuse could not mount on {tmp_path}/none: fuse: bad mount point" in failed.stderr
    assert failed.stderr.count("bad mount point") == 1
    assert not (tmp_path / "ready").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("version", BINDINGS)
def test_permission_bits_hold_for_others(version: str) -> None:
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as folder, mounted(Path(folder), "--fuse", version, "--allow-other") as mount:
        Path(folder).chmod(0o755)
        assert "allow_other" in mount.mount_line()[3]
        as_other = subprocess.run(
            ["ls", mount.path], user=65_534, group=65_534, extra_groups=[], check=False, capture_output=True, text=True
        )
        assert as_other.returncode != 0
        assert "Permission denied" in as_other.stderr
