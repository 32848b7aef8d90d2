"""One request and its answer as libcurl hands it over: headers judged first, then the body, piece by piece."""

import asyncio
import time
from collections.abc import Callable

from twfs.clock import Deadline
from twfs.errors import Unreachable
from twfs.remote.answer_head import Head, HeadReader, Nonsense
from twfs.remote.silence import Hearing

Sink = Callable[[bytes], object]
"""Takes the next piece of a body."""

_CRUMB, _MOST_CRUMBS = 64, 2000
"""Bytes of a piece that is hardly one, and how many there may be on an average below that. A network's have a KiB and
more; chunks of a byte behind extensions of any length would keep a processor busy until the deadline."""

Judge = Callable[[Head], Sink]
"""Where the body of an answer with these headers goes; raises what the request is to fail with."""


class Exchange:
    """One request and its answer."""

    def __init__(self, where: str, judge: Judge, deadline: Deadline, attempt: int) -> None:
        self.where = where
        self.deadline = deadline
        self.began = time.monotonic()
        self.hearing = Hearing(self.began, attempt)
        self.head: Head | None = None
        self.failure: BaseException | None = None
        """What `judge` or the sink raised, or what is wrong with the headers."""
        self.over: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self.alarm: asyncio.TimerHandle | None = None
        self._judge: Judge | None = judge
        self._reader = HeadReader()
        self._sink: Sink | None = None
        self._pieces = 0
        self._size = 0

    def header(self, line: bytes) -> int | None:
        """Libcurl has the next line; what is returned ends the exchange if it is not None."""
        try:
            self.hearing.heard_at = time.monotonic()
            head = self._reader.take(line)
            if head is not None:
                self._judged(head)
        except BaseException as error:  # noqa: BLE001 - raised by `get`: libcurl cannot
            self.failure = error
            return -1
        return None

    def _judged(self, head: Head) -> None:
        if self._judge is not None:
            self._sink = self._judge(head)
        self.head = head
        self.hearing.has_headers = True

    def body(self, piece: bytes) -> int | None:
        """Libcurl has the next bytes."""
        try:
            self._count(len(piece))
            if self._sink is not None:
                self._sink(piece)
            self.hearing.heard_at = time.monotonic()
        except BaseException as error:  # noqa: BLE001 - raised by `get`: libcurl cannot
            self.failure = error
            return -1
        return None

    def _count(self, size: int) -> None:
        self._pieces += 1
        self._size += size
        if self._pieces > _MOST_CRUMBS and self._size < self._pieces * _CRUMB:
            raise Nonsense("its body comes in pieces of a few bytes, without end")

    def ended(self, error: BaseException | None) -> None:
        """It is over: well, or by `error`. Who waits for `over` goes on."""
        if self.alarm is not None:
            self.alarm.cancel()
        # libcurl's handle keeps this until it is used again: it must not keep what the bytes went to.
        self._judge = self._sink = None
        if self.over.done():
            return
        if error is not None:
            self.over.set_exception(error)
        elif self.head is not None:
            self.over.set_result(self.head)
        else:
            self.over.set_exception(Unreachable(f"{self.where}: it broke off without an answer"))
