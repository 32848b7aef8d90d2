"""Every system call that would change something, on every kind of entry of a real mount."""

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import both_bindings, customer, mounted, needs_fuse
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject

pytestmark = needs_fuse

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_FALLOC_FL_PUNCH_HOLE = 0x03
_FS_IOC_SETFLAGS = 0x40086602
Change = Callable[[], object]

ANSWERS = {errno.EROFS}
"""What a change is answered."""
OTHER_ANSWERS = {
    # Of a descriptor that is not open for writing, Linux says so before it looks at the file system.
    "write": {errno.EBADF},
    "pwrite": {errno.EBADF},
    "ftruncate": {errno.EINVAL},
    "fallocate": {errno.EBADF},
    "punch a hole": {errno.EBADF},
    "copy_file_range": {errno.EBADF},
    "splice into it": {errno.EBADF},
    "map it for writing": {errno.EACCES},
    # Neither a flag nor a lease of a kind that FUSE knows.
    "set inode flags": {errno.ENOTTY, errno.ENOSYS, errno.EROFS, errno.EPERM},
    # Of links and folders, Linux refuses first what no file system could do.
    "unlink a folder": {errno.EISDIR, errno.EROFS},
    "rmdir a file": {errno.ENOTDIR, errno.EROFS},
    "rmdir the root": {errno.EBUSY, errno.EROFS},
    "rename the root": {errno.EBUSY, errno.EXDEV, errno.EROFS},
    "truncate a folder": {errno.EISDIR},
    "open a folder for writing": {errno.EISDIR},
    "set an attribute of a link": {errno.EPERM, errno.EROFS},
    "remove an attribute of a link": {errno.EPERM, errno.EROFS},
    # Nobody has O_TMPFILE but the file system, and nothing is asked of FUSE.
    "hard link over a file": {errno.EEXIST, errno.EROFS},
    "mkdir over a folder": {errno.EEXIST},
    "symlink over a link": {errno.EEXIST},
    "mknod over a file": {errno.EEXIST},
}


@dataclass(frozen=True)
class Places:
    """One of each kind of entry."""

    root: Path
    file: Path
    folder: Path
    link: Path
    status: Path

    @property
    def everything(self) -> dict[str, Path]:
        """All of them by kind."""
        return {"file": self.file, "folder": self.folder, "link": self.link, "status": self.status, "root": self.root}


@contextmanager
def descriptor(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """The file, open while the block runs."""
    found = os.open(path, flags)
    try:
        yield found
    finally:
        os.close(found)


def through(path: Path, change: Callable[[int], object]) -> Change:
    """The change by a descriptor that is open for reading."""

    def work() -> None:
        with descriptor(path) as found:
            change(found)

    return work


def libc(name: str, *arguments: object) -> Change:
    """A call that Python does not offer."""

    def work() -> None:
        if getattr(_LIBC, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return work


def renameat2(source: Path, target: Path, flags: int) -> Change:
    """renameat2(2)."""
    return libc("renameat2", _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags)


def splice_into(found: int) -> None:
    """From a pipe."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"x")
        os.splice(reading, found, 1)  # type: ignore[attr-defined, unused-ignore]
    finally:
        os.close(reading)
        os.close(writing)


def of_metadata(places: Places) -> dict[str, Change]:
    """Attributes of each kind of entry, those of links themselves included."""
    found: dict[str, Change] = {}
    for kind, path in places.everything.items():
        follows = kind != "link"
        found |= {
            f"chown of the {kind}": partial(os.chown, path, 1, 1, follow_symlinks=follows),
            f"utime of the {kind}": partial(os.utime, path, (1, 1), follow_symlinks=follows),
        }
        if kind != "link":
            found |= {
                f"chmod of the {kind}": partial(path.chmod, 0o777),
                f"fchmod of the {kind}": through(path, lambda item: os.fchmod(item, 0o777)),
                f"fchown of the {kind}": through(path, lambda item: os.fchown(item, 1, 1)),
                f"futimens of the {kind}": through(path, lambda item: os.utime(item, (1, 1))),
                f"setxattr of the {kind}": partial(os.setxattr, path, "user.twilio.sid", b"x"),
                f"removexattr of the {kind}": partial(os.removexattr, path, "user.twilio.sid"),
                f"fsetxattr of the {kind}": through(path, lambda item: os.setxattr(item, "user.new", b"x")),
            }
    link = places.link
    return found | {
        "set an attribute of a link": lambda: os.setxattr(link, "user.x", b"x", follow_symlinks=False),
        "remove an attribute of a link": lambda: os.removexattr(link, "user.x", follow_symlinks=False),
    }


def of_names(places: Places) -> dict[str, Change]:
    """What makes, moves and removes entries."""
    file, folder, link, status, root = places.file, places.folder, places.link, places.status, places.root
    new = folder / "new"
    found: dict[str, Change] = {
        "create": lambda: os.open(new, os.O_WRONLY | os.O_CREAT),
        "create exclusively": lambda: os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL),
        "create for reading": lambda: os.open(new, os.O_RDONLY | os.O_CREAT),
        "create in the root": lambda: os.open(root / "new", os.O_WRONLY | os.O_CREAT),
        "create beside status": lambda: os.open(status.parent / "new", os.O_WRONLY | os.O_CREAT),
        "create beside links": lambda: os.open(link.parent / "new", os.O_WRONLY | os.O_CREAT),
        "unnamed file": lambda: os.open(folder, os.O_WRONLY | os.O_TMPFILE),
        "mkdir": new.mkdir,
        "mkdir in the root": (root / "new").mkdir,
        "mkdir over a folder": lambda: os.mkdir(folder),  # noqa: PTH102 - Path.mkdir tells another error
        "mknod": lambda: os.mknod(new),
        "mknod over a file": lambda: os.mknod(file),
        "mkfifo": lambda: os.mkfifo(new),
        "symlink": lambda: new.symlink_to("target"),
        "symlink over a link": lambda: link.symlink_to("target"),
        "hard link": lambda: new.hardlink_to(file),
        "hard link over a file": lambda: file.hardlink_to(link),
        "rename the root": lambda: root.rename(root.with_name("new")),
        "rename over another": lambda: file.rename(folder / "other"),
        "rename without replacing": renameat2(file, new, _RENAME_NOREPLACE),
        "exchange": renameat2(file, link, _RENAME_EXCHANGE),
        "rmdir a file": file.rmdir,
        "rmdir a folder": folder.rmdir,
        "rmdir the root": root.rmdir,
        "unlink a folder": folder.unlink,
    }
    for kind, path in {"file": file, "link": link, "status": status}.items():
        found |= {
            f"unlink the {kind}": path.unlink,
            f"rename the {kind}": partial(path.rename, path.with_name("new")),
        }
    return found | {"rename the folder": lambda: folder.rename(root / "new")}


def of_content(places: Places) -> dict[str, Change]:
    """What would change bytes."""
    file, folder, status = places.file, places.folder, places.status
    found: dict[str, Change] = {}
    for kind, path in {"file": file, "status": status, "link": places.link}.items():
        for name, flags in {
            "write": os.O_WRONLY,
            "read and write": os.O_RDWR,
            "truncate": os.O_RDONLY | os.O_TRUNC,
        }.items():
            found[f"open the {kind} to {name}"] = partial(os.open, path, flags)
        found[f"truncate the {kind}"] = partial(os.truncate, path, 0)
    return found | {
        "write": through(file, lambda item: os.write(item, b"x")),
        "pwrite": through(file, lambda item: os.pwrite(item, b"x", 0)),
        "ftruncate": through(file, lambda item: os.ftruncate(item, 0)),
        "fallocate": through(file, lambda item: os.posix_fallocate(item, 0, 100)),
        "punch a hole": through(
            file, lambda item: libc("fallocate", item, _FALLOC_FL_PUNCH_HOLE, 0, ctypes.c_long(4096))()
        ),
        "copy_file_range": through(file, lambda item: os.copy_file_range(item, item, 10, 0, 100)),
        "splice into it": through(file, splice_into),
        "map it for writing": through(file, lambda item: mmap.mmap(item, 0, prot=mmap.PROT_WRITE)),
        "set inode flags": through(file, lambda item: fcntl.ioctl(item, _FS_IOC_SETFLAGS, b"\x10\0\0\0")),
        "truncate a folder": lambda: os.truncate(folder, 0),
        "open a folder for writing": lambda: os.open(folder, os.O_WRONLY),
    }


def answer(change: Change) -> int | None:
    """The errno; None if nothing refused it."""
    try:
        change()
    except OSError as failure:
        return failure.errno
    return None


def picture(root: Path) -> dict[str, tuple[int, ...]]:
    """Every entry below `root` with its inode, mode, owner, size and times."""
    found: dict[str, tuple[int, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            entry = (Path(folder) / name).lstat()
            who = (entry.st_mode, entry.st_uid, entry.st_gid, entry.st_size)
            found[str(Path(folder) / name)] = (entry.st_ino, *who, entry.st_mtime_ns)
    return found


@both_bindings
def test_nothing_can_be_changed_by_any_call(tmp_path: Path, private_key: RSAPrivateKey, fuse: str) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(StoredObject(b"what was said" * 1000))
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse) as mount:
        file = mount.file(sid)
        (link,) = (path for path in (mount.path / "by-room").rglob("*") if path.is_symlink())
        places = Places(mount.path, file, file.parent, link, mount.path / ".twfs" / "status")
        before = picture(mount.path)
        changes = of_metadata(places) | of_names(places) | of_content(places)
        answers = {name: answer(change) for name, change in changes.items()}
        wrong = {name: got for name, got in answers.items() if got not in OTHER_ANSWERS.get(name, ANSWERS)}
        assert {name: got and errno.errorcode[got] for name, got in wrong.items()} == {}
        assert picture(mount.path) == before
        assert file.read_bytes() == b"what was said" * 1000
    assert mount.log.count("warning") == 0, mount.log


def test_every_exception_is_one_of_a_change() -> None:
    path = Path("/nowhere")
    places = Places(path, path, path, path, path)
    assert set(OTHER_ANSWERS) <= set(of_metadata(places) | of_names(places) | of_content(places))
