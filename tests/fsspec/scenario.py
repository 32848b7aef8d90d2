"""`TwilioFileSystem` over names of the test's choosing: the real class, with a small file system behind it."""

import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from twfs.errors import NoSuchName, NotADirectory
from twfs.fs.attributes import Attributes
from twfs.fs.directory import Entry
from twfs.fs.open_table import OpenedFile
from twfs.fsspec import TwilioFileSystem
from twfs.fsspec.account import OpenFile


class MemoryVfs:
    """As `Vfs`: folders and files by path; no links."""

    def __init__(self) -> None:
        self.folders: set[str] = {""}
        self.files: dict[str, bytes] = {}
        self.handles: dict[int, bytes] = {}

    def add(self, path: str, content: bytes | None) -> None:
        """A file, or with None a folder; and the folders it is in."""
        parts = path.split("/")
        folders = parts if content is None else parts[:-1]
        self.folders.update("/" + "/".join(folders[: length + 1]) for length in range(len(folders)))
        if content is not None:
            self.files[f"/{path}"] = content

    def drop(self, path: str) -> None:
        below = f"/{path}/"
        self.folders = {folder for folder in self.folders if folder != f"/{path}" and not folder.startswith(below)}
        self.files = {
            name: held for name, held in self.files.items() if name != f"/{path}" and not name.startswith(below)
        }

    def readdir(self, path: str) -> Iterator[Entry]:
        folder = path.rstrip("/")
        if self._is_file(folder):
            raise NotADirectory(path)
        return iter([Entry(".", stat.S_IFDIR, 1, 1), Entry("..", stat.S_IFDIR, 1, 2), *self._entries(folder)])

    def getattr(self, path: str, handle: int | None = None) -> Attributes:
        if handle is not None:
            return _attributes(stat.S_IFREG, len(self.handles[handle]))
        is_file = self._is_file(path.rstrip("/"))
        return _attributes(stat.S_IFREG, len(self.files[path])) if is_file else _attributes(stat.S_IFDIR, 0)

    def listxattr(self, path: str) -> list[str]:
        self._is_file(path.rstrip("/"))
        return []

    def open(self, path: str, flags: int) -> OpenedFile:
        assert flags == os.O_RDONLY
        assert self._is_file(path)
        handle = len(self.handles) + 1
        self.handles[handle] = self.files[path]
        return OpenedFile(handle, bypasses_cache=False, is_unchanged=True)

    def read(self, handle: int, view: memoryview, plain_offset: int) -> int:
        part = self.handles[handle][plain_offset : plain_offset + len(view)]
        view[: len(part)] = part
        return len(part)

    def release(self, handle: int) -> None:
        self.handles[handle] = b""

    def _is_file(self, path: str) -> bool:
        if path not in self.files and path not in self.folders:
            raise NoSuchName(path)
        return path in self.files

    def _entries(self, folder: str) -> Iterator[Entry]:
        for paths, mode in ((self.folders, stat.S_IFDIR), (set(self.files), stat.S_IFREG)):
            for path in sorted(paths - {""}):
                parent, _, name = path.rpartition("/")
                if parent == folder:
                    yield Entry(name, mode, 1, 3)


class ScenarioAccount:
    """As `Account`, of a `MemoryVfs`."""

    connections = 2

    def __init__(self) -> None:
        self.vfs = MemoryVfs()

    def look_again(self, *, now: bool = False) -> bool:
        return False

    def ask(self, question: Callable[[Any], Any]) -> Any:
        return question(self.vfs)

    def open(self, path: str) -> OpenFile:
        handle = self.vfs.open(path, os.O_RDONLY).handle
        return OpenFile(self, handle, self.vfs.getattr(path, handle).st_size, None)  # type: ignore[arg-type]

    @property
    def pid(self) -> int:
        return os.getpid()


class ScenarioFileSystem(TwilioFileSystem):
    """Read through `TwilioFileSystem`; what fsspec's fixtures write goes straight behind it."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.behind = ScenarioAccount()

    def _connected(self) -> Any:
        return self.behind

    def touch(self, path: str) -> None:  # type: ignore[override]  # refused there
        self.behind.vfs.add(self._strip_protocol(path), b"")

    def pipe(self, path: str, value: bytes) -> None:  # type: ignore[override]  # refused there
        self.behind.vfs.add(self._strip_protocol(path), value)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # type: ignore[override]  # refused there
        self.behind.vfs.add(self._strip_protocol(path), None)

    mkdir = makedirs  # type: ignore[assignment]  # as above

    def rm(self, path: str, recursive: bool = False) -> None:  # type: ignore[override]  # refused there
        self.behind.vfs.drop(self._strip_protocol(path))


def _attributes(kind: int, size: int) -> Attributes:
    return Attributes(st_mode=kind | 0o440, st_ino=1, st_nlink=1, st_uid=0, st_gid=0, st_size=size, time_ns=0)
