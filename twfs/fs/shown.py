"""What callers have been told of each medium, and may have kept: the kernel keeps sizes and pages for long.

Everything must be remembered, for a size that is not the one told makes the kernel cut a file short. So it is two
numbers by a medium's cookie, 16 bytes for each medium that was ever told or opened: 16 MiB for a million.
"""

from array import array
from collections.abc import Callable
from hashlib import blake2b


class Shown:
    """Sizes that were told, and objects that were opened. Safe for use by several threads."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._sizes = _Numbers()
        self._objects = _Numbers()
        self.surprise: object = object()
        """Another object each time that a size is not the one that was told before."""

    def tell(self, cookie: int, size: int, *, is_proven: bool = True) -> None:
        """A medium was told to have `size` bytes; `is_proven` says whether a probe found that."""
        before = self._sizes.get(cookie)
        self._sizes.set(cookie, _packed(size, is_proven=is_proven))
        if before and _size(before) != size:
            self.surprise = object()

    def contradicted(self, cookie: int, size: int) -> int | None:
        """The size that was told on trust, if it is another one than `size`, the right one.

        Once: who goes on without asking for the attributes again passes the cache by instead.
        """
        told = self._sizes.get(cookie)
        if not told or _size(told) == size or _is_proven(told):
            return None
        self._sizes.set(cookie, _packed(_size(told), is_proven=True))
        return _size(told)

    def open(self, cookie: int, size: int, identity: str) -> tuple[bool, bool]:
        """The object of that `identity` was opened, and has `size` bytes.

        Returns:
            Whether another size was told; whether it is the object that was opened before, if any was.
        """
        told = self._sizes.get(cookie)
        if not told:
            self._sizes.set(cookie, _packed(size, is_proven=True))
        digest = object_digest(identity)
        is_unchanged = self._objects.get(cookie) in (0, digest)
        self._objects.set(cookie, digest)
        differs = told != 0 and _size(told) != size
        if differs:
            self.surprise = object()
        return differs, is_unchanged

    def is_last_opened(self, cookie: int, digest: int) -> bool:
        """Whether the object opened last of this medium is that one (`object_digest`)."""
        return self._objects.get(cookie) == digest

    def was_read(self, cookie: int) -> Callable[[str], bool] | None:
        """Tells of an identity whether it is that of the object opened last; None if none was."""
        digest = self._objects.get(cookie)
        return None if digest == 0 else lambda identity: object_digest(identity) == digest


def object_digest(identity: str) -> int:
    """In `[1, 2**64)`; an identity is an ETag, or a digest itself, or empty."""
    return int.from_bytes(blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1


def _packed(size: int, *, is_proven: bool) -> int:
    """Never 0, which is of a medium that was never told."""
    return (size << 1 | is_proven) + 1


def _size(packed: int) -> int:
    return packed - 1 >> 1


def _is_proven(packed: int) -> bool:
    return bool(packed - 1 & 1)


_CHUNK = 2**12
"""Numbers that are made room for at once: 32 KiB of them."""


class _Numbers:
    """A number in `[0, 2**64)` at each place, 0 where none was set."""

    def __init__(self) -> None:
        self._chunks: dict[int, array[int]] = {}

    def get(self, place: int) -> int:
        chunk = self._chunks.get(place // _CHUNK)
        return 0 if chunk is None else chunk[place % _CHUNK]

    def set(self, place: int, number: int) -> None:
        index = place // _CHUNK
        chunk = self._chunks.get(index)
        if chunk is None:
            chunk = self._chunks.setdefault(index, array("Q", bytes(8 * _CHUNK)))
        chunk[place % _CHUNK] = number
