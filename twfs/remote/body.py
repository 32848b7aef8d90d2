"""Where the bodies of S3's answers go: bytes of an object to who takes them, of anything else a little is kept."""

from collections.abc import Callable, Mapping

from twfs.clock import Deadline
from twfs.ranges import ByteRange
from twfs.remote.answer_head import Head
from twfs.remote.exchange import Judge, Sink
from twfs.remote.retry import Transient
from twfs.remote.transport import Transport

_LARGEST_ERROR = 16 * 2**10

TAKEN = (200, 206)
"""Answers with bytes of the object; others have bodies that are S3's words."""


class Body:
    """The bytes of a range, on their way to who takes them."""

    def __init__(
        self,
        stored_range: ByteRange,
        take: Callable[[bytes], object],
        check: Callable[[int, bytes], object] = lambda _start, _piece: None,
    ) -> None:
        """Nothing has come yet; `check` is given each piece, with its place in the object, before `take`."""
        self.rest = stored_range
        self._take = take
        self._check = check

    def take(self, piece: bytes) -> None:
        """The next bytes.

        Raises:
            Transient: more come than were asked for.
            Exception: what `check` or `take` raises.
        """
        start, end = self.rest
        if len(piece) > end - start:
            raise Transient("S3 sent more than it said")
        self._check(start, piece)
        self.rest = ByteRange(start + len(piece), end)
        self._take(piece)


class _Enough(Exception):
    """The rest of a page is not read."""


class Page:
    """One answer: what is about the object goes on, of anything else a little is kept."""

    def __init__(self, judge: Judge) -> None:
        """`judge` is asked of answers about the object."""
        self.body = bytearray()
        self._judge = judge
        self._head: Head | None = None

    async def fetched(
        self, transport: Transport, url: str, headers: Mapping[str, str], deadline: Deadline, attempt: int
    ) -> Head:
        """Its headers, once the body has come, or enough of it.

        Raises:
            Exception: as `Transport.get`.
        """
        sent = {"Accept-Encoding": "identity", **headers}
        try:
            return await transport.get(url, sent, self._judged, deadline, attempt=attempt)
        except _Enough:
            if self._head is None:
                raise AssertionError("a body without headers") from None
            return self._head

    def _judged(self, head: Head) -> Sink:
        self._head = head
        return self._judge(head) if head.status in TAKEN else self._keep

    def _keep(self, piece: bytes) -> None:
        self.body += piece[: _LARGEST_ERROR - len(self.body)]
        if len(self.body) == _LARGEST_ERROR:
            raise _Enough
