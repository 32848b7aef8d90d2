"""A file's data put on the disk while more of it is written: else all of it would have to be waited for at the end."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from twfs.threads import starting

SYNC_SIZE = 64 * 2**20
"""Bytes that may be left for the end: less than a tenth of a second, half a second where the disk is slow."""


class WriteBehind:
    """Syncs one file on a thread beside, whenever enough was written; once at a time, so that it never holds it up."""

    def __init__(self, handle: int, sync: Callable[[int], object] = os.fdatasync) -> None:
        """No thread before there is enough to do. `sync` is given the handle."""
        self._handle = handle
        self._sync_data = sync
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._sync: Future[object] | None = None
        self._pending = 0

    def advance(self, count: int) -> None:
        """So many more bytes are written.

        Raises:
            OSError: earlier ones did not reach the disk. The kernel says so once: a later fsync may well succeed.
            NoMoreThreads: the machine refuses the thread.
        """
        self._pending += count
        if self._pending >= SYNC_SIZE and (self._sync is None or self._sync.done()):
            self.wait()
            self._pending = 0
            with starting():
                self._sync = self._pool.submit(self._sync_data, self._handle)

    def wait(self) -> None:
        """Until nothing is on its way.

        Raises:
            OSError: as `advance`.
        """
        if self._sync is not None:
            self._sync.result()

    def close(self) -> None:
        """End the thread; before the file is closed."""
        self._pool.shutdown()
