"""Whether an object's bytes, where they are fetched again, are those that came first.

Copies are made of what came first. What is fetched again, because memory had no room for it, may be right where that
was wrong: then it proves the object, and not the copy.
"""

import threading
from array import array
from collections.abc import Hashable
from zlib import crc32


class Repeats:
    """Remembers a CRC-32 of each block that has come: 32 bytes for each MiB. Safe for use by several threads."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._first: dict[Hashable, array[int]] = {}
        """By object; 0 where nothing has come yet."""
        self._differing: set[Hashable] = set()
        self._lock = threading.Lock()

    def came(self, owner: Hashable, index: int, content: memoryview) -> None:
        """The block `index` of an object has come whole."""
        digest = crc32(content) or 1
        with self._lock:
            first = self._first.setdefault(owner, array("I"))
            first.extend([0] * (index + 1 - len(first)))
            if not first[index]:
                first[index] = digest
            elif first[index] != digest:
                self._differing.add(owner)

    def differ(self, owner: Hashable) -> bool:
        """Whether any block of the object came differently a second time."""
        with self._lock:
            return owner in self._differing
