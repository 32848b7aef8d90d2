"""libfuse through Python: which version, with which options, and reads straight into its reply buffer.

mfusepy (fusepy's maintained fork) serves libfuse3 and libfuse2, fusepy only libfuse2. Both load their libfuse when they
are imported, so they are imported here on demand. Their untyped world ends at this module's borders.
No thread is started before libfuse's own: `on_init` is the place for that.
"""

import codecs
import ctypes
import errno
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from twfs.errors import ConfigError, NoMoreThreads
from twfs.fuse.answers import answering
from twfs.fuse.listing import Taker
from twfs.fuse.operations import Operations
from twfs.fuse.overheard import Overheard
from twfs.fuse.parallel import ParallelLookups
from twfs.invocation import pip_remedy, twfs_command
from twfs.log import log
from twfs.threads import reached_limits

Choice = Literal["auto", "3", "2"]

MAX_BACKGROUND = 64
"""Read-ahead requests that the kernel may have under way; its default of 12 starves parallel ranged requests."""

MAX_BACKGROUND_OF_LIBFUSE3 = 24
"""The same where each may be of 1 MiB, for which libfuse holds memory from its beginning to its end: 64 files read at
once took 128 MiB more than `cache_size` with 64, and 94 MiB with 24."""

MAX_THREADS = 64
"""Requests served at once; libfuse 3.12 and later stop at 10, so that ten stalled reads would stall `ls` too."""

READ_AHEAD = 2**20
"""Bytes that the kernel may read ahead if `read_ahead_kb` of the mount allows as much (it takes the smaller of both
when INIT is answered): the largest request that libfuse 3 passes on."""

_LOOP_FAILED = 8
"""What libfuse3's main returns when a signal has ended it (fuse_main_real in helper.c: the loop's result is not 0)."""

_NAMELESS = b"(deleted)"
"""A file that was deleted while open has no path any more."""

_READDIR_PLUS = 1
"""Attributes are wanted (enum fuse_readdir_flags of libfuse3's fuse.h)."""

_CACHE_SYMLINKS = 1 << 23
"""The kernel may keep where links lead (FUSE_CAP_CACHE_SYMLINKS of libfuse3's fuse_common.h): each one's name says so,
so that the target of one path is always the same."""

_Fill2 = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64)
_Fill3 = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
)

_PATH_ENCODING = "twfs_path"
_PyBUF_WRITE = 0x200

_view_of_memory: Callable[[int, int, int], memoryview] = ctypes.pythonapi.PyMemoryView_FromMemory
_view_of_memory.restype = ctypes.py_object  # type: ignore[attr-defined]
_view_of_memory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Binding:
    """One usable libfuse."""

    name: str
    """The Python package: `mfusepy` or `fusepy`."""
    libfuse_version: str
    """`3.14`, `2.9`."""
    module: Any
    """The imported package."""

    @property
    def is_libfuse3(self) -> bool:
        """Whether it is libfuse 3."""
        return self.libfuse_version.startswith("3.")

    def run(
        self,
        operations: Operations,
        mountpoint: str,
        *,
        fsname: str,
        attr_timeout: float,
        noforget: bool = False,
        allow_other: bool = False,
        allow_root: bool = False,
        read_only: bool = True,
        on_init: Callable[[], None] = lambda: None,
    ) -> None:
        """Mount, serve, and return when the file system is unmounted or a signal has ended it.

        Runs in the calling thread, which should be the main one: there libfuse ends on SIGINT, SIGTERM and SIGHUP.

        Args:
            operations: the callbacks.
            mountpoint: an existing directory.
            fsname: what mount(8) and findmnt show as the source.
            attr_timeout: seconds the kernel may keep names and attributes.
            noforget: remember every name that was looked up until the end: an NFS server's file handles outlive the
                kernel's interest in their files.
            allow_other: let all users in, as the permission bits say.
            allow_root: let root in.
            read_only: let the kernel refuse every change, without asking.
            on_init: called once, when the kernel has accepted the mount and before it asks for anything.

        Raises:
            ConfigError: libfuse cannot mount there, or not so.
            Exception: what `on_init` raised.
        """
        options = self._options(
            fsname, attr_timeout, allow_other=allow_other, allow_root=allow_root, read_only=read_only
        )
        options["noforget"] = noforget
        session = _Session(operations, on_init, self.module.fuse_exit, self._parallel_lookups())
        try:
            self._fuse_class()(session, _as_utf8(mountpoint), raw_fi=True, foreground=True, **options)
        except RuntimeError as failure:
            session.judge_end(mountpoint, failure.args[0])
        finally:
            session.pass_on()
        if session.failure is not None:
            raise session.failure

    def caller(self) -> str:
        """Who makes the call that this thread serves just now; numbers as the mounting process sees them."""
        uid, thread = self.calling_thread()
        return f"uid {uid}, pid {thread}"

    def calling_thread(self) -> tuple[int, int]:
        """The same as numbers: the user, and the thread, whose number is the process' only if it is its first one.

        The thread is 0 if the mounting process cannot see it (another PID name space).
        """
        uid, _gid, thread = self.module.fuse_get_context()
        return uid, thread

    def _options(
        self, fsname: str, attr_timeout: float, *, allow_other: bool, allow_root: bool, read_only: bool
    ) -> dict[str, Any]:
        if "," in fsname or not fsname:
            raise ConfigError(f"{fsname!r} cannot be the source of a mount: it must be a name without commas")
        common = {
            "fsname": _as_utf8(fsname),
            "subtype": "twfs",
            "ro": read_only,
            # Else libfuse would rename a file that is still open instead of deleting it, which is always refused.
            "hard_remove": not read_only,
            "nosuid": True,
            "nodev": True,
            "default_permissions": True,
            "use_ino": True,
            "attr_timeout": attr_timeout,
            "entry_timeout": attr_timeout,
            "negative_timeout": 0,
            "allow_other": allow_other,
            "allow_root": allow_root,
        }
        return common | (self._libfuse3_options() if self.is_libfuse3 else _LIBFUSE2_OPTIONS)

    def _libfuse3_options(self) -> dict[str, Any]:
        minor = int(self.libfuse_version.split(".")[1])
        # 3.12 and later complain on stderr of their own default of idle threads.
        return {"max_threads": MAX_THREADS, "max_idle_threads": MAX_THREADS} if minor >= 12 else {}

    def _parallel_lookups(self) -> ParallelLookups | None:
        """libfuse2 has no such thing."""
        version = tuple(map(int, self.libfuse_version.split(".")))
        return ParallelLookups(self.module, version) if self.is_libfuse3 else None

    def _fuse_class(self) -> Any:
        if self.is_libfuse3:
            return type("Fuse3", (_ListsWithAttributes, _Shortcuts, self.module.FUSE), {"binding": self.module})
        own: dict[str, Any] = {"binding": self.module}
        if self.name == "mfusepy":
            return type("Fuse2", (_Shortcuts, self.module.FUSE), own | {"readdir_fuse_2": _list_names})
        return type("Fuse2", (_CallsByName, _Shortcuts, self.module.FUSE), own | {"readdir": _list_names})


def _congestion_threshold(max_background: int) -> int:
    """From here on the kernel holds read-ahead back: three quarters, as the kernel's own default is."""
    return max_background * 3 // 4


_LIBFUSE2_OPTIONS = {
    # libfuse3 mounts over a folder that is not empty, as mount(8) does everywhere else.
    "nonempty": True,
    "max_background": MAX_BACKGROUND,
    "congestion_threshold": _congestion_threshold(MAX_BACKGROUND),
}


def load_binding(choice: Choice = "auto") -> Binding:
    """The best libfuse at hand: 3 before 2, 2 through fusepy before mfusepy.

    Args:
        choice: a version of libfuse, or `auto`.

    Raises:
        ConfigError: there is none, and which package would bring it.
        NoMoreThreads: the machine refuses the process that looks for it.
    """
    missing = []
    for name, major in _CANDIDATES[choice]:
        try:
            return _load(name, major)
        except (ImportError, OSError, AttributeError) as failure:
            log.debug("no libfuse%d through %s: %s", major, name, failure)
            missing.append(f"{name}: {failure}")
    if reached := reached_limits():
        # Python finds libraries by running ldconfig, and takes one that cannot be started for one that finds nothing.
        raise NoMoreThreads(f"can't look for libfuse: can't start new process: {'; '.join(reached)}")
    raise ConfigError(f"no usable libfuse; {_remedy(choice)} ({'; '.join(missing)})")


_CANDIDATES: dict[Choice, tuple[tuple[str, int], ...]] = {
    "3": (("mfusepy", 3),),
    "2": (("fusepy", 2), ("mfusepy", 2)),
    "auto": (("mfusepy", 3), ("fusepy", 2), ("mfusepy", 2)),
}


def libfuse3_remedy() -> str:
    """What brings libfuse 3 and its binding."""
    return f"install the Debian package fuse3, and the Python package mfusepy; {pip_remedy('mfusepy')}"


def _remedy(choice: Choice) -> str:
    libfuse2 = "install the Debian package libfuse2 (libfuse2t64 where that is its name)"
    return {"3": libfuse3_remedy(), "2": libfuse2, "auto": f"{libfuse2}; or {libfuse3_remedy()}"}[choice]


def _load(name: str, major: int) -> Binding:
    """Import a binding together with its libfuse.

    Raises:
        ImportError, OSError, AttributeError: it is not there, its libfuse is not, or is another version.
    """
    if name == "mfusepy":
        # Left alone it takes libfuse2 when both are there.
        os.environ["FUSE_LIBRARY_NAME"] = "fuse3" if major == 3 else "fuse"
    module: Any = importlib.import_module("fuse" if name == "fusepy" else name)
    if not hasattr(module, "FUSE"):
        raise ImportError("another package of that name is installed")
    version = _version(module._libfuse.fuse_version())  # noqa: SLF001 - the loaded library has no other name
    if not version.startswith(f"{major}."):
        raise ImportError(f"it has loaded libfuse {version}")
    if not hasattr(module.fuse_operations, "callbacks"):
        # The structure that FUSE() fills in: there is no other place where a binding lets its callbacks be made.
        module.fuse_operations = answering(module.fuse_operations)
    return Binding(name, version, module)


def _version(number: int) -> str:
    # 29 is 2.9, 314 is 3.14 (FUSE_MAKE_VERSION in fuse_common.h).
    return f"{number // 10}.{number % 10}" if number < 100 else f"{number // 100}.{number % 100}"


def _decoded(path: bytes) -> str:
    """A path inside the mount, by the rule of `_PATH_ENCODING`: names are UTF-8 whatever the locale."""
    return path.decode("utf-8", "surrogateescape")


def _as_utf8(text: str) -> str:
    """What was decoded by the locale's rule, as what `_PATH_ENCODING` makes the same bytes of."""
    return _decoded(os.fsencode(text))


class _Session:
    """The operations as a binding sees them, and the beginning and end of their service."""

    def __init__(
        self,
        operations: Operations,
        on_init: Callable[[], None],
        leave: Callable[[], None],
        parallel_lookups: ParallelLookups | None,
    ) -> None:
        self._operations = operations
        self._on_init = on_init
        self._leave = leave
        self._parallel_lookups = parallel_lookups
        self._is_started = False
        self._overheard = Overheard()
        self.failure: BaseException | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operations, name)

    def init(self, _path: str) -> None:
        """As fusepy calls it."""
        self._is_started = True
        self.pass_on()
        try:
            self._on_init()
        except BaseException as failure:  # noqa: BLE001 - libfuse cannot be told: `run` raises it when it has ended
            self.failure = failure
            self._leave()

    def init_with_config(self, connection: Any, config: Any) -> None:
        """As mfusepy calls it; `config` is there with libfuse3 only, which has no mount options for these limits."""
        if config is not None:
            connection.want |= connection.capable & _CACHE_SYMLINKS
            connection.max_readahead = READ_AHEAD
            connection.max_background = MAX_BACKGROUND_OF_LIBFUSE3
            connection.congestion_threshold = _congestion_threshold(MAX_BACKGROUND_OF_LIBFUSE3)
        if self._parallel_lookups is not None:
            self._parallel_lookups.ask(connection)
        self.init("/")

    def pass_on(self) -> None:
        """Whatever libfuse has said goes to the log, and from now on to standard error."""
        said = self._overheard.end()
        if said:
            log.warning("libfuse: %s", said)

    def judge_end(self, mountpoint: str, code: int) -> None:
        """What libfuse's exit code means.

        Raises:
            ConfigError: it never came to serve.
        """
        if not self._is_started:
            why = self._overheard.end() or f"it gives no reason but code {code}"
            why = "; ".join([why, *reached_limits()])
            raise ConfigError(f"libfuse could not mount on {mountpoint}: {why}; {twfs_command('doctor')} may know more")
        if code != _LOOP_FAILED:
            log.warning("libfuse ended with code %d", code)


class _Shortcuts:
    """A binding's FUSE class that reads without a copy, and asks nobody for what is never there."""

    operations: Any

    def _wrapper(self, callback: Callable[..., int | None], *arguments: Any) -> int:
        """`Operations` raises nothing but an `OSError` with an errno; for what escapes there is `answers`.

        Both stock versions log, which may fail where there is no memory, and tell EINVAL or end the mount.
        """
        try:
            return callback(*arguments) or 0
        except OSError as failure:
            return -(failure.errno or errno.EIO)

    def getxattr(self, path: bytes, name: bytes, value: Any, size: int, *rest: Any) -> int:
        """`ls -l` wants security labels and access lists; at "not supported" it stops after the first file."""
        if not name.startswith(b"user."):
            return -errno.EOPNOTSUPP
        count: int = super().getxattr(path, name, value, size, *rest)  # type: ignore[misc]
        return count

    def read(self, path: bytes | None, buffer: Any, size: int, plain_offset: int, info: Any) -> int:
        """Both stock versions copy twice: into a `bytes`, and from there into libfuse's reply buffer."""
        shown = _decoded(path or _NAMELESS)
        with _view_of_memory(ctypes.addressof(buffer.contents), size, _PyBUF_WRITE) as view:
            count: int = self.operations.read(shown, view, plain_offset, info.contents.fh)
        return count


class _ListsWithAttributes:
    """mfusepy's FUSE class with libfuse3, whose folders tell attributes together with names (READDIRPLUS)."""

    operations: Any
    binding: Any

    def readdir_fuse_3(  # noqa: PLR0917 - libfuse's
        self, path: bytes | None, buffer: int, fill: Any, offset: int, info: Any, flags: int
    ) -> int:
        """As much as the kernel has room for; entries have offsets, without which libfuse drops the attributes."""
        taker = Taker(partial(_quick(fill, _Fill3), buffer), self.binding.c_stat, bool(flags & _READDIR_PLUS))
        self.operations.readdir(_decoded(path or _NAMELESS), info.contents.fh, offset, taker)
        return 0


def _list_names(  # noqa: PLR0917 - libfuse's
    self: Any, path: bytes | None, buffer: int, fill: Any, offset: int, info: Any
) -> int:
    """The same of libfuse2: names, types and inode numbers.

    Both stock versions hand over the whole list at once; libfuse then has positions in it for offsets.
    """
    quick = partial(_quick(fill, _Fill2), buffer)
    taker = Taker(
        lambda name, record, cookie, _flags: quick(name, record, cookie), self.binding.c_stat, wants_attributes=False
    )
    self.operations.readdir(_decoded(path or _NAMELESS), info.contents.fh, offset, taker)
    return 0


def _quick(fill: Any, kind: Any) -> Callable[..., int]:
    """The same fuse_fill_dir_t, called without letting the interpreter go, and with a record's address.

    It waits for nothing that needs Python, and lasts less than a hand-over to another thread.
    """
    quick: Callable[..., int] = kind(ctypes.cast(fill, ctypes.c_void_p).value)
    return quick


class _CallsByName:
    """fusepy's FUSE class, which calls `operations(name, *arguments)` and chokes on paths that are no UTF-8."""

    def __init__(self, operations: _Session, mountpoint: str, **options: Any) -> None:
        super().__init__(_Callable(operations), mountpoint, encoding=_PATH_ENCODING, **options)  # type: ignore[call-arg]


class _Callable:
    """fusepy's way of calling; mfusepy warns of an object that can be called."""

    def __init__(self, session: _Session) -> None:
        self._session = session

    def __call__(self, name: str, *arguments: Any) -> Any:
        return getattr(self._session, name)(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name != _PATH_ENCODING:
        return None
    return codecs.CodecInfo(
        encode=lambda text, _errors="strict": codecs.utf_8_encode(text, "surrogateescape"),
        decode=lambda data, _errors="strict": codecs.utf_8_decode(data, "surrogateescape"),
        name=_PATH_ENCODING,
    )


codecs.register(_find_codec)
