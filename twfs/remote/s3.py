"""Stored objects: looked at by their last 32 bytes, and read by ranges that survive what networks do.

Facts used: the URLs are signed for GET, so there is no HEAD; an expired one answers 403 (or 400 ExpiredToken) with an
XML body; S3 sends all metadata headers with each 206; a ranged GET of an empty object is 416.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from twfs.clock import Deadline
from twfs.errors import (
    DeadlineExceeded,
    MediaAbsent,
    MediaDamaged,
    NotFound,
    ObjectChanged,
    RemoteError,
    TwfsError,
    Unreachable,
    without_traceback,
)
from twfs.event_loop import LoopThread
from twfs.probe import STORE_ENCRYPTION, TAIL_SIZE, ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.answer_head import Head
from twfs.remote.body import TAKEN, Body, Page
from twfs.remote.evidence import ends_otherwise, is_replaced
from twfs.remote.exchange import Judge, Sink
from twfs.remote.hosts import check_media_url, joined
from twfs.remote.http import NotSent
from twfs.remote.lease import SignedUrl, UrlLease
from twfs.remote.retry import (
    Transient,
    attempts_left,
    pause_task_before_retry,
    retry_after,
    retrying,
)
from twfs.remote.transport import Transport

_METADATA_PREFIX = "x-amz-meta-"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_LENGTH = re.compile(r"[0-9]{1,18}")
_EMPTY_RANGE = re.compile(r"bytes \*/0")
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
_LARGEST_METADATA = 16 * 2**10
"""S3 allows 2 KiB of user metadata; a wrapped key of 16384 bits takes 2.7 KiB."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_WORN_OUT = ("ExpiredToken", "TokenRefreshRequired", "InvalidToken", "RequestExpired")
"""What S3 answers with 400 when the credentials that signed the URL have died before it (S3's list of error codes)."""

_TOO_SLOW = "RequestTimeout"
"""What S3 answers with 400, and others with 408, where a request did not come whole in time: it is to be sent anew."""


class _Refused(Exception):
    """S3 does not take this URL (any more)."""


class _Gone(NotFound):
    """S3 has no such object."""


class Network:
    """How objects are asked for: connections in a loop, and threads beside it for what blocks."""

    def __init__(self, transport: Transport, loop: LoopThread) -> None:
        """`transport` is used in `loop` only, and carries no credentials."""
        self.transport = transport
        self.loop = loop

    def close(self) -> None:
        """Drop all connections and end the loop."""

        async def drop() -> None:
            self.transport.close()

        self.loop.end(drop)


class S3Object:
    """The stored object of one medium, behind its lease. Safe for use by several threads."""

    def __init__(self, sid: str, network: Network, lease: UrlLease, hosts: tuple[str, ...]) -> None:
        """Nothing is asked for yet."""
        self.sid = sid
        self._network = network
        self._lease = lease
        self._hosts = hosts
        self._renewal: asyncio.Future[SignedUrl] | None = None

    def inspect(self, deadline: Deadline) -> ObjectFacts:
        """Size, ETag, metadata and last bytes, in one request (two for an empty object). The calling thread waits.

        Raises:
            MediaAbsent: Twilio has no media for it.
            RemoteError, CredentialsRefused, MediaDamaged: no usable answer.
        """
        return retrying(lambda: self._network.loop.call(lambda: self._inspect_once(deadline)), deadline)

    def read(self, stored_range: ByteRange, facts: ObjectFacts, deadline: Deadline) -> bytes:
        """A few bytes of the object that `facts` describe. The calling thread waits.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: as `fetch`.
        """
        body = bytearray()
        self._network.loop.call(lambda: self.fetch(stored_range, facts, body.extend, deadline))
        return bytes(body)

    async def _inspect_once(self, deadline: Deadline) -> ObjectFacts:
        tail = bytearray()

        def judge(head: Head) -> Sink:
            part, total = self._part(head)
            if part != ByteRange(max(0, total - TAIL_SIZE), total):
                raise Transient(f"{self.sid}: S3 sent another range than the last {TAIL_SIZE} bytes")
            _metadata(head.headers)
            return Body(part, tail.extend).take

        head = await self._ask({"Range": f"bytes=-{TAIL_SIZE}"}, judge, deadline, 0)
        if head.status == 416:
            return await self._inspect_empty(head, deadline)
        _, total = self._part(head)
        if len(tail) < min(TAIL_SIZE, total):
            raise Transient(f"{self.sid}: the connection closed before the promised length")
        return ObjectFacts(total, head.headers.get("ETag", ""), _metadata(head.headers), bytes(tail))

    async def _inspect_empty(self, head: Head, deadline: Deadline) -> ObjectFacts:
        if not _EMPTY_RANGE.fullmatch(head.headers.get("Content-Range", "bytes */0")):
            raise Transient(f"{self.sid}: S3 refused to send the last bytes of an object that has some")

        def judge(head: Head) -> Sink:
            if head.headers.get("Content-Length") != "0":
                raise Transient(f"{self.sid}: S3 contradicts itself on whether the object is empty")
            return Body(ByteRange(0, 0), lambda _: None).take

        whole = await self._ask({}, judge, deadline, 0)
        if whole.status == 416:
            raise Transient(f"{self.sid}: S3 contradicts itself on whether the object is empty")
        return ObjectFacts(0, whole.headers.get("ETag", ""), _metadata(whole.headers), b"")

    async def fetch(
        self, stored_range: ByteRange, facts: ObjectFacts, take: Callable[[bytes], object], deadline: Deadline
    ) -> None:
        """Give `take` the bytes of a range in order; where a connection breaks go on, on another one, from that byte.

        Raises:
            ObjectChanged: it is another object now, or gone.
            RemoteError, CredentialsRefused: it cannot be had, after retries, by the deadline, which may be renewed.
            Exception: what `take` raises.
        """

        def check(start: int, piece: bytes) -> None:
            if ends_otherwise(facts, start, piece):
                raise ObjectChanged(f"{self.sid}: the object does not end as it did when it was looked at")

        body = Body(stored_range, take, check)
        failures = 0
        while body.rest.size:
            before = body.rest
            try:
                await self._fetch_once(body, facts, deadline, failures)
            except Unreachable as error:
                failures = failures if body.rest == before else 0
                if not attempts_left(failures):
                    raise
                await pause_task_before_retry(failures, error, deadline)
                failures += 1

    async def _fetch_once(self, body: Body, facts: ObjectFacts, deadline: Deadline, attempt: int) -> None:
        wanted = body.rest
        headers = {"Range": f"bytes={wanted.start}-{wanted.end - 1}"}
        if facts.etag:
            headers["If-Match"] = facts.etag

        def judge(head: Head) -> Sink:
            self._check(head, wanted, facts)
            return body.take

        try:
            head = await self._ask(headers, judge, deadline, attempt)
        except (_Gone, MediaAbsent):
            raise ObjectChanged(f"{self.sid}: the media were deleted while open") from None
        if head.status == 416:
            raise ObjectChanged(f"{self.sid}: the object is shorter than when it was opened")
        if body.rest.size:
            raise Transient(f"{self.sid}: the connection closed before the promised length")

    async def _ask(self, headers: Mapping[str, str], judge: Judge, deadline: Deadline, attempt: int) -> Head:
        """The headers of a 200, 206 or 416, whose body went where `judge` says; with a fresh URL if one is refused."""
        signed_url = self._lease.at_hand() or await self._renewed(self._lease.get, deadline)
        try:
            return await self._ask_signed(signed_url, headers, judge, deadline, attempt)
        except NotSent:
            self._lease.leads_nowhere(signed_url)
            raise
        except _Refused:
            fresh = await self._renewed(self._lease.refused, deadline, signed_url)
        try:
            return await self._ask_signed(fresh, headers, judge, deadline, attempt)
        except _Refused as error:
            raise Transient(f"{self.sid}: S3 refuses a fresh pre-signed URL ({error})") from None

    async def _renewed(self, renew: Callable[..., SignedUrl], deadline: Deadline, *worn: SignedUrl) -> SignedUrl:
        """What a thread beside gets from Twilio; of all who want one, one asks, and the others join it."""
        while True:
            joined_another = self._renewal is not None
            if self._renewal is None:
                self._renewal = asyncio.ensure_future(self._network.loop.blocking(renew, *worn, deadline))
                self._renewal.add_done_callback(self._renewal_ended)
            try:
                return await asyncio.shield(self._renewal)
            except TwfsError as error:
                # Whoever asked may have run out of time; this one has its own.
                if joined_another and isinstance(error, DeadlineExceeded):
                    deadline.remaining()
                    continue
                # Its own for each: tasks that raise one and the same write into each other's traceback.
                raise without_traceback(error) from None

    def _renewal_ended(self, renewal: "asyncio.Future[SignedUrl]") -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # or asyncio complains of one that nobody waited for

    async def _ask_signed(
        self, signed_url: SignedUrl, headers: Mapping[str, str], judge: Judge, deadline: Deadline, attempt: int
    ) -> Head:
        url = signed_url.url
        for _ in range(_MOST_REDIRECTS):
            check_media_url(url, self._hosts)
            page = Page(judge)
            head = await page.fetched(self._network.transport, url, headers, deadline, attempt)
            if head.status in (*TAKEN, 416):
                return head
            location = head.headers.get("Location")
            if head.status not in _REDIRECTS or not location:
                self._raise_failure(head, bytes(page.body))
            url = joined(url, location)
        raise RemoteError(f"{self.sid}: the media URL leads from one host to the next without end")

    def _check(self, answer: Head, stored_range: ByteRange, facts: ObjectFacts) -> None:
        part, total = self._part(answer)
        if is_replaced(facts, total, answer.headers.get("ETag", ""), _metadata_of(answer.headers)):
            raise ObjectChanged(f"{self.sid}: the object changed while open")
        if part != stored_range:
            raise Transient(f"{self.sid}: S3 sent another range than was asked for")

    def _part(self, answer: Head) -> tuple[ByteRange, int]:
        """Which part of how large an object a 200 or 206 carries."""
        length = answer.headers.get("Content-Length", "")
        if answer.status == 200 and _LENGTH.fullmatch(length):
            return ByteRange(0, int(length)), int(length)
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if answer.status != 206 or match is None:
            raise Transient(f"{self.sid}: S3 does not say which range it sends")
        first, last, total = (int(number) for number in match.groups())
        part = ByteRange(first, last + 1)
        if length and length != str(part.size):
            # Some proxy's own page under S3's headers, perhaps: its bytes must not be taken for the object's.
            raise Transient(f"{self.sid}: S3's answer is not as long as the range that it says it sends")
        if not length and answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            # Of an object that is stored encoded S3 itself says so, and how long it is: these bytes are a proxy's.
            raise Transient(f"{self.sid}: the answer was compressed on its way; is a proxy in between?")
        return part, total

    def _raise_failure(self, answer: Head, body: bytes) -> NoReturn:
        match = _ERROR_CODE.search(body)
        code = match[1].decode() if match else "no code"
        if answer.status == 403 or code in _WORN_OUT:
            raise _Refused(f"HTTP {answer.status}, {code}")
        if answer.status == 404 and match:
            # Not MediaAbsent: that is what Twilio says of a track without media; this one should be there.
            raise _Gone(f"{self.sid}: S3 has no such object, though Twilio points to it")
        if answer.status == 412:
            raise ObjectChanged(f"{self.sid}: the object changed while open")
        message = f"{self.sid}: S3 answered HTTP {answer.status}, {code}"
        if answer.status == 404:
            # What a gateway says of its own routes is no word about the object.
            raise Transient(f"{message}; is a proxy in between?")
        if answer.status >= 500 or answer.status in (408, 429) or code == _TOO_SLOW:
            raise Transient(message, retry_after(answer.headers.get("Retry-After")))
        raise RemoteError(message)


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    found = _metadata_of(headers)
    if sum(len(name) + len(value) for name, value in found.items()) > _LARGEST_METADATA:
        raise MediaDamaged("the object's metadata are larger than S3 allows")
    return found


def _metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.lower()[len(_METADATA_PREFIX) :]: value
        for name, value in headers.items()
        if name.lower().startswith(_METADATA_PREFIX)
    } | {name: headers[name] for name in STORE_ENCRYPTION if name in headers}
