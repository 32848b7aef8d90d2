"""libfuse's callbacks: each calls `Vfs`, and every failure becomes an errno, here and nowhere else.

The same object serves both bindings. fusepy and mfusepy register a callback only if the attribute exists, so what is
missing here (`access`, which `default_permissions` leaves to the kernel, and `ioctl`, `lock`, …) the kernel decides
itself. Both are used with `raw_fi`: for files they hand over libfuse's `fuse_file_info` itself.
Callbacks run on libfuse's threads, several at once.
"""

import errno
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from twfs import errors
from twfs.clock import SystemClock
from twfs.fs.attributes import Attributes
from twfs.fs.handles import HandleTable
from twfs.fs.vfs import Vfs
from twfs.fuse.listing import Listing, Listings, Taker
from twfs.log import OncePerTrouble, log
from twfs.metrics import CallMeter

ERRNO: Mapping[type[errors.TwfsError], int] = MappingProxyType(
    {
        errors.TwfsError: errno.EIO,
        errors.ConfigError: errno.EIO,
        errors.NoSuchName: errno.ENOENT,
        errors.NotADirectory: errno.ENOTDIR,
        errors.IsADirectory: errno.EISDIR,
        errors.NoSuchAttribute: errno.ENODATA,
        errors.BadHandle: errno.EBADF,
        errors.ReadOnly: errno.EROFS,
        errors.NotVerified: errno.EPERM,
        errors.ProofPending: errno.EBUSY,
        errors.NoMoreThreads: errno.EAGAIN,
        errors.NoKey: errno.ENOKEY,
        errors.CredentialsRefused: errno.EACCES,
        errors.RemoteError: errno.EIO,
        errors.Unreachable: errno.EIO,
        errors.DeadlineExceeded: errno.ETIMEDOUT,
        # A medium that is listed and cannot be had has failed: only `NoSuchName` means that there is none.
        errors.NotFound: errno.EIO,
        errors.MediaAbsent: errno.EIO,
        errors.ObjectChanged: errno.ESTALE,
        errors.MediaDamaged: errno.EIO,
        errors.BadResource: errno.EIO,
    }
)
"""What a caller sees of each failure. A class without a row counts as the nearest of its bases."""

_CALLERS_OWN = (
    errors.NoSuchName,
    errors.NotADirectory,
    errors.IsADirectory,
    errors.NoSuchAttribute,
    errors.BadHandle,
    errors.ReadOnly,
)
"""Answers to a wrong question rather than troubles: not worth a line of the log."""

P = ParamSpec("P")
R = TypeVar("R")


class FileInfo(Protocol):
    """The fields of libfuse's `struct fuse_file_info` that are used here."""

    flags: int
    fh: int
    direct_io: int
    keep_cache: int


@dataclass(slots=True)
class _OpenFolder:
    listing: Listing | None = None
    """What was in it when it was last read from its beginning."""


def _answered(
    callback: "Callable[Concatenate[Operations, str, P], R]",
) -> "Callable[Concatenate[Operations, str, P], R]":
    """The callback, whatever it raises turned into an `OSError` that both bindings hand to the kernel."""

    @functools.wraps(callback)
    def answer(self: "Operations", path: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        began = self.calls.now()
        try:
            return callback(self, path, *args, **kwargs)
        except BaseException as failure:  # noqa: BLE001 - what escapes reads as EINVAL, or as an empty file
            raise self.os_error(path, callback.__name__, failure) from None
        finally:
            self.calls.ended(callback.__name__, began)

    return answer


class Operations:
    """What libfuse calls."""

    use_ns = True
    """Times are whole nanoseconds."""

    def __init__(
        self,
        vfs: Vfs,
        caller: Callable[[], str] = lambda: "an unknown process",
        calls: CallMeter | None = None,
    ) -> None:
        """Serves `vfs`; `caller` names who makes the call that is being served, for the log.

        `calls` are told how long each callback took, by its name, and the errno's name of each that failed.
        """
        self._vfs = vfs
        self.calls = calls or CallMeter(SystemClock().monotonic)
        self._caller = caller
        self._complaints = OncePerTrouble()
        self._listings = Listings(vfs.directory)
        self._folders: HandleTable[_OpenFolder] = HandleTable()

    # Names and attributes

    @_answered
    def getattr(self, path: str, info: FileInfo | None = None) -> dict[str, int]:
        """The fields of `struct stat`."""
        return _stat_fields(self._vfs.getattr(path, info.fh if info else None))

    @_answered
    def readlink(self, path: str) -> str:
        """Where a symbolic link leads."""
        return self._vfs.readlink(path)

    @_answered
    def opendir(self, _path: str) -> int:
        """A handle to read a folder by. What is in it is found out when it is asked for: opening is quick."""
        return self._folders.add(_OpenFolder())

    @_answered
    def releasedir(self, _path: str, handle: int) -> int:
        """The folder is not read any more."""
        self._folders.remove(handle)
        return 0

    @_answered
    def readdir(self, path: str, handle: int, start: int, taker: Taker) -> None:
        """Hand entries to `taker`, from behind the one whose cookie is `start`, until it has no more room.

        From the beginning to the end of a folder, and with another handle from where the first one came to, each name
        that stays comes once, whatever else comes and goes meanwhile.
        """
        folder = self._folders.get(handle)
        if start == 0 or folder.listing is None:
            folder.listing = self._listings.of(path)
        folder.listing.tell(taker, start)

    @_answered
    def listxattr(self, path: str) -> list[str]:
        """Names of the extended attributes."""
        return self._vfs.listxattr(path)

    @_answered
    def getxattr(self, path: str, name: str) -> bytes:
        """The value of an extended attribute."""
        return self._vfs.getxattr(path, name)

    @_answered
    def statfs(self, _path: str) -> dict[str, int]:
        """The fields of `struct statvfs`."""
        usage = self._vfs.statfs()
        return {name: getattr(usage, name) for name in usage.__slots__}

    # Files

    @_answered
    def open(self, path: str, info: FileInfo) -> int:
        """Open a file; its handle goes into `info`."""
        opened = self._vfs.open(path, info.flags)
        info.fh = opened.handle
        info.direct_io = int(opened.bypasses_cache)
        info.keep_cache = int(opened.is_unchanged)
        return 0

    @_answered
    def read(self, path: str, view: memoryview, plain_offset: int, handle: int) -> int:
        """Fill `view`, which is libfuse's reply buffer itself.

        Returns:
            Bytes written.
        """
        count = self._vfs.read(handle, view, plain_offset)
        self._complaints.settle(path, f"{path}: can be read again")
        return count

    @_answered
    def release(self, _path: str, info: FileInfo) -> int:
        """The file is not read any more."""
        self._vfs.release(info.fh)
        return 0

    def flush(self, _path: str, _info: FileInfo) -> int:
        """Called at each close(2): there is nothing to write."""
        return 0

    def fsync(self, _path: str, _datasync: int, _info: FileInfo) -> int:
        """There is nothing to write."""
        return 0

    # Changes

    @_answered
    def unlink(self, path: str) -> int:
        """Delete a medium, where that is allowed."""
        self._vfs.unlink(path, self._caller())
        return 0

    @_answered
    def change(self, path: str, *_args: Any) -> int:
        self._vfs.refuse_change(path)

    mknod = mkdir = rmdir = symlink = rename = link = create = change
    chmod = chown = truncate = utimens = write = setxattr = removexattr = change

    # Failures

    def os_error(self, path: str, callback: str, failure: BaseException) -> OSError:
        """`failure` as an `OSError` with the errno that the caller is to see; troubles are logged."""
        number = _errno_of(failure)
        self.calls.outcomes.add((callback, errno.errorcode[number]))
        if not isinstance(failure, errors.TwfsError):
            log.debug("%s of %s failed", callback, path, exc_info=failure)
        if not isinstance(failure, _CALLERS_OWN):
            # A refused deletion is not over when the file can be read.
            subject = (callback, path) if callback == "unlink" else path
            self._complaints.warn(subject, f"{path}: {callback} failed ({os.strerror(number)}): {_reason(failure)}")
        return OSError(number, os.strerror(number))


def _errno_of(failure: BaseException) -> int:
    if isinstance(failure, errors.TwfsError):
        return next(ERRNO[base] for base in type(failure).__mro__ if base in ERRNO)
    if isinstance(failure, OSError) and failure.errno and failure.errno > 0:
        # Some file of twfs' own is missing, not the one that was asked for.
        return errno.EIO if failure.errno == errno.ENOENT else failure.errno
    return errno.EIO


def _reason(failure: BaseException) -> str:
    # The text of an error that twfs did not raise may hold a URL with its query.
    return " ".join(str(failure).split()) if isinstance(failure, errors.TwfsError) else type(failure).__name__


def _stat_fields(attributes: Attributes) -> dict[str, int]:
    return {
        "st_mode": attributes.st_mode,
        "st_ino": attributes.st_ino,
        "st_nlink": attributes.st_nlink,
        "st_uid": attributes.st_uid,
        "st_gid": attributes.st_gid,
        "st_size": attributes.st_size,
        "st_blksize": attributes.st_blksize,
        "st_blocks": attributes.st_blocks,
        "st_atime": attributes.time_ns,
        "st_mtime": attributes.time_ns,
        "st_ctime": attributes.time_ns,
    }
