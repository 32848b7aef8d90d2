"""A real file system that refuses what some destinations refuse: `python -m tests.transfer.awkward DIR BACKING JSON`.

JSON: `refused`, errno by the name of a callback (`utimens`, `flock`, `fsync`, `fsyncdir`, `create`, `write`, `rename`);
`step`, seconds of times, 0 for none kept; `mode`, permission bits that every file shows, whatever it was given (FAT);
`uid`, its owner (NFS all_squash).
"""

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy


@dataclass(frozen=True)
class Ways:
    """How it differs from ext4."""

    refused: dict[str, int] = field(default_factory=dict)
    step: int = 1
    mode: int | None = None
    uid: int | None = None


class Awkward(mfusepy.Operations):  # type: ignore[misc]  # it has no types
    """The files of `backing`, in its own ways."""

    use_ns = True

    def __init__(self, backing: str, ways: Ways) -> None:
        self._backing = backing
        self._ways = ways

    def getattr(self, path: str, _fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self._at(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        shown = {name: getattr(status, name) for name in names}
        shown |= {name: getattr(status, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")}
        if stat.S_ISREG(status.st_mode):
            if self._ways.mode is not None:
                shown["st_mode"] = stat.S_IFREG | self._ways.mode
            if self._ways.uid is not None:
                shown["st_uid"] = self._ways.uid
        return shown

    def readdir(self, path: str, _fh: int) -> Any:
        return [".", "..", *(each.name for each in Path(self._at(path)).iterdir())]

    def create(self, path: str, mode: int, _info: Any = None) -> int:
        self._refuse("create")
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path: str, _flags: int) -> int:
        return os.open(self._at(path), os.O_RDWR)

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
        self._refuse("write")
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, _fh: int | None = None) -> None:
        os.truncate(self._at(path), length)

    def release(self, _path: str, fh: int) -> None:
        os.close(fh)

    def fsync(self, _path: str, _datasync: int, _fh: int) -> None:
        self._refuse("fsync")

    def fsyncdir(self, _path: str, _datasync: int, _fh: int) -> None:
        self._refuse("fsyncdir")

    def flock(self, _path: str, fh: int, operation: int) -> int:
        self._refuse("flock")
        fcntl.flock(fh, operation)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        self._refuse("utimens")
        step = self._ways.step * 10**9
        if step and times:
            os.utime(self._at(path), ns=(times[0] // step * step, times[1] // step * step))
        return 0

    def rename(self, old: str, new: str) -> None:
        # What is removed while it is open, libfuse renames.
        if not new.startswith("/.fuse_hidden"):
            self._refuse("rename")
        Path(self._at(old)).replace(self._at(new))

    def unlink(self, path: str) -> None:
        Path(self._at(path)).unlink()

    def mkdir(self, path: str, mode: int) -> None:
        Path(self._at(path)).mkdir(mode)

    def rmdir(self, path: str) -> None:
        Path(self._at(path)).rmdir()

    def _at(self, path: str) -> str:
        return self._backing + path

    def _refuse(self, name: str) -> None:
        if name in self._ways.refused:
            raise mfusepy.FuseOSError(self._ways.refused[name])


@contextmanager
def awkward(folder: Path, ways: Ways) -> Iterator[Path]:
    """One of these, mounted below `folder` while the block runs."""
    place, backing = folder / "awkward", folder / "backing"
    for each in (place, backing):
        each.mkdir()
    words = [str(place), str(backing), json.dumps(vars(ways))]
    server = subprocess.Popen([sys.executable, "-m", "tests.transfer.awkward", *words], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        server.communicate(timeout=30)


class _Telling(Awkward):
    def init(self, _path: str) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    where, what, how = sys.argv[1:]
    # Times and permissions are asked for anew each time, as over a network.
    mfusepy.FUSE(_Telling(what, Ways(**json.loads(how))), where, foreground=True, nothreads=True, attr_timeout=0)
