"""A file system with one file of zeros on the binding that twfs uses: `python -m tests.benchmarks.null_fs DIR SIZE`.

What it reaches is the limit of the binding; the rest up to twfs' own speed is what twfs does.
"""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from twfs.fuse.binding import READ_AHEAD, load_binding
from twfs.fuse.operations import Operations
from twfs.mount.system import find_mount, raise_read_ahead

FILE = "zeros"
_ZEROS = bytes(2**20)


class Zeros:
    """As much of `Operations` as reading takes."""

    use_ns = True

    def __init__(self, size: int) -> None:
        self._size = size

    def getattr(self, path: str, _info: Any = None) -> dict[str, int]:
        """The folder, or the file."""
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o555, "st_ino": 1, "st_nlink": 2}
        return {"st_mode": stat.S_IFREG | 0o444, "st_ino": 2, "st_nlink": 1, "st_size": self._size}

    def readdir(self, _path: str, _handle: int) -> Iterator[tuple[str, dict[str, int], int]]:
        """The one file."""
        return iter([(FILE, {"st_mode": stat.S_IFREG, "st_ino": 2}, 0)])

    def open(self, _path: str, info: Any) -> int:
        """Always."""
        info.keep_cache = 1
        return 0

    def read(self, _path: str, view: memoryview, plain_offset: int, _handle: int) -> int:
        """Zeros, copied as any file system copies its bytes."""
        count = max(0, min(len(view), self._size - plain_offset))
        view[:count] = _ZEROS[:count]
        return count


def main(place: Path, size: int) -> None:
    """Mount, and serve until it is unmounted."""
    binding = load_binding()

    def raise_limit() -> None:
        entry = find_mount(place)
        if entry is not None and binding.is_libfuse3:
            raise_read_ahead(entry, READ_AHEAD // 1024)

    operations = cast(Operations, Zeros(size))
    binding.run(operations, str(place), fsname="zeros", attr_timeout=60.0, on_init=raise_limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
