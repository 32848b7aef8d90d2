"""How long a read may take that is not the first of its system call.

What the kernel's read-ahead could not get it asks for again before the system call returns, page by page: once for
read(2), two or three times for a page fault, which begins anew whatever came of it (filemap_update_page and
filemap_fault in mm/filemap.c, Linux 6.18). So does everybody else who waited for these pages, through whatever handle:
the page cache belongs to the file. To the file system these are requests like any others, milliseconds after the one
that failed.

What comes after a success cannot be told from the next read(2), so each of these has all of `timeout`.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from twfs.clock import Clock, Deadline
from twfs.errors import DeadlineExceeded, TwfsError, without_traceback
from twfs.ranges import ByteRange

_SAME_CALL = 0.5
"""Seconds after a failure in which what is asked for again counts as waited for since the first request began: with 30
busy processes on 2 cores some follow after 0.2 s. Who comes by chance just then has less time than others, or the
same error."""

_LAST_LOOK = 0.1
"""Seconds after a failure that there are at least, though time is up. Who asks still later is given what is in memory:
often that is all, for a read-ahead fails as a whole, even if only its last bytes could not be had. Everybody who waits
for a page asks for it after the other, so all together must not take longer than this."""

T = TypeVar("T")


class _Failure(NamedTuple):
    st_ino: int
    wanted: ByteRange
    began: float
    """When the first request did."""
    ended: float
    error: TwfsError


class Patience:
    """Gives reads that one system call consists of one `timeout`. Safe for use by several threads."""

    def __init__(self, clock: Clock, timeout: float) -> None:
        """`timeout` in seconds."""
        self._clock = clock
        self._timeout = timeout
        self._failures: tuple[_Failure, ...] = ()
        """Of the last `_SAME_CALL`, and older ones that nobody has looked at since."""
        self._lock = threading.Lock()

    def read(self, st_ino: int, wanted: ByteRange, work: Callable[[Deadline], T]) -> T:
        """What `work` makes of bytes `wanted` of a file, until the deadline that it is given, which may be over.

        Raises:
            TwfsError: what `work` raises; where it follows a failure and has no time, that failure once more.
        """
        now = self._clock.monotonic()
        before = self._before(st_ino, wanted, now) if self._failures else None
        began = now if before is None else before.began
        end = began + self._timeout
        last_look = 0.0 if before is None else before.ended + _LAST_LOOK
        try:
            return work(Deadline(self._clock, max(end, last_look) - now))
        except TwfsError as error:
            # That time is up says less than what took it.
            reason = before.error if before is not None and isinstance(error, DeadlineExceeded) else error
            # What is asked for when time is up is not noted: who tries again without a pause has all of it some time.
            if now < end:
                self._note(_Failure(st_ino, wanted, began, self._clock.monotonic(), without_traceback(reason)))
            if reason is error:
                raise
            raise without_traceback(reason) from None

    def _note(self, failure: _Failure) -> None:
        with self._lock:
            self._failures = (*self._recent(failure.ended), failure)

    def _recent(self, now: float) -> tuple[_Failure, ...]:
        return tuple(failure for failure in self._failures if now - failure.ended <= _SAME_CALL)

    def _before(self, st_ino: int, wanted: ByteRange, now: float) -> _Failure | None:
        """The first of the recent failures that this may be the same system call as."""
        with self._lock:
            self._failures = self._recent(now)
            same = [
                failure
                for failure in self._failures
                if failure.st_ino == st_ino and failure.wanted.start < wanted.end and wanted.start < failure.wanted.end
            ]
        return min(same, key=lambda failure: failure.began, default=None)
