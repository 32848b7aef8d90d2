"""An open medium as a Python file object."""

from typing import Any

from fsspec.spec import AbstractBufferedFile

from twfs.fsspec.account import ObjectKey, OpenFile
from twfs.fsspec.failures import changed, os_errors


class MediumFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """Reads through the same block cache and prefetching as a mount, so fsspec's own caches are left out."""

    def __init__(
        self,
        fs: Any,
        path: str,
        block_size: int | None = None,
        size: int | None = None,
        object_key: ObjectKey | None = None,
    ) -> None:
        """Open it; its size is fixed from now on.

        Args:
            fs: the `TwilioFileSystem` it is in.
            path: its name there.
            block_size: bytes that `readline` reads at once.
            size: what it must be; None: whatever it is.
            object_key: of the object that it must be; None: whichever it is.

        Raises:
            OSError: it cannot be opened, or is another object or of another size (ESTALE).
        """
        # First, for `__del__` of one that could not be opened.
        self._opened: OpenFile | None = None
        self._opened = fs.open_medium(path, object_key)
        self._object_key = self._opened.object_key
        super().__init__(fs, path, "rb", block_size, cache_type="none", size=self._opened.size)
        if size not in (None, self.size):
            self.close()
            raise changed(path)

    def readinto(self, buffer: Any) -> int:
        """Fill the caller's buffer without a copy in between; bytes written, fewer than fit only at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        view = memoryview(buffer).cast("B")
        wanted: int = max(0, min(len(view), self.size - self.loc))
        self._fill(view[:wanted], self.loc)
        self.loc += wanted
        return wanted

    def close(self) -> None:
        """Give back what it holds."""
        opened, self._opened = self._opened, None
        if opened is not None and not opened.is_inherited:
            opened.close()
        super().close()

    def __reduce__(self) -> Any:
        """Elsewhere it is opened anew, at the same place, if it is still the same object."""
        return _reopened, (self.fs, self.path, self.blocksize, self._object_key, self.loc)

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Bytes `[start, end)`, less what is beyond the end."""
        buffer = bytearray(max(0, min(end, self.size) - start))
        self._fill(memoryview(buffer), start)
        return bytes(buffer)

    def _fill(self, view: memoryview, start: int) -> None:
        if len(view) == 0:
            return
        with os_errors(self.path):
            # `Vfs.read` fills all of it or raises.
            self._medium().read_into(view, start)

    def _medium(self) -> OpenFile:
        """The open file; in a forked child one of its own."""
        opened = self._opened
        if opened is None:
            raise ValueError("I/O operation on closed file")
        if opened.is_inherited:
            anew: OpenFile = self.fs.open_medium(self.path, self._object_key)
            self._opened = anew
            return anew
        return opened


def _reopened(fs: Any, path: str, block_size: int, object_key: ObjectKey | None, loc: int) -> MediumFile:
    file = MediumFile(fs, path, block_size, object_key=object_key)
    file.seek(loc)
    return file
