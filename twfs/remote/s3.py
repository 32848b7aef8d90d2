"""Stored objects: looked at by their last 32 bytes, and read by ranges that survive what networks do.

Facts used: the URLs are signed for GET, so there is no HEAD; an expired one answers 403 (or 400 ExpiredToken) with an
XML body; S3 sends all metadata headers with each 206; a ranged GET of an empty object is 416.
"""

import re
from collections.abc import Mapping
from typing import NoReturn

from twfs.clock import Deadline
from twfs.errors import MediaAbsent, MediaDamaged, NotFound, ObjectChanged, RemoteError, Unreachable
from twfs.probe import STORE_ENCRYPTION, TAIL_SIZE, ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.evidence import ends_otherwise, is_replaced
from twfs.remote.hosts import check_media_url, joined
from twfs.remote.http import Answer, HttpPool, NotSent
from twfs.remote.lease import SignedUrl, UrlLease
from twfs.remote.retry import Transient, attempts_left, pause_before_retry, retry_after, retrying

_METADATA_PREFIX = "x-amz-meta-"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_LENGTH = re.compile(r"[0-9]{1,18}")
_EMPTY_RANGE = re.compile(r"bytes \*/0")
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
_LARGEST_ERROR = 16 * 2**10
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


class S3Object:
    """The stored object of one medium, behind its lease. Safe for use by several threads."""

    def __init__(self, sid: str, http: HttpPool, lease: UrlLease, hosts: tuple[str, ...]) -> None:
        """`http` must carry no credentials: S3 refuses them, and they are none of its business."""
        self.sid = sid
        self._http = http
        self._lease = lease
        self._hosts = hosts

    def inspect(self, deadline: Deadline) -> ObjectFacts:
        """Size, ETag, metadata and last bytes, in one request (two for an empty object).

        Raises:
            MediaAbsent: Twilio has no media for it.
            RemoteError, CredentialsRefused, MediaDamaged: no usable answer.
        """
        return retrying(lambda: self._inspect_once(deadline), deadline)

    def _inspect_once(self, deadline: Deadline) -> ObjectFacts:
        with self._get({"Range": f"bytes=-{TAIL_SIZE}"}, deadline) as answer:
            if answer.status != 416:
                return self._facts(answer, deadline)
            answer.read_bounded(_LARGEST_ERROR, deadline)
            if not _EMPTY_RANGE.fullmatch(answer.headers.get("Content-Range", "bytes */0")):
                raise Transient(f"{self.sid}: S3 refused to send the last bytes of an object that has some")
        with self._get({}, deadline) as answer:
            if answer.headers.get("Content-Length") != "0":
                raise Transient(f"{self.sid}: S3 contradicts itself on whether the object is empty")
            return ObjectFacts(0, answer.headers.get("ETag", ""), _metadata(answer.headers), b"")

    def _facts(self, answer: Answer, deadline: Deadline) -> ObjectFacts:
        part, total = self._part(answer)
        if part != ByteRange(max(0, total - TAIL_SIZE), total):
            raise Transient(f"{self.sid}: S3 sent another range than the last {TAIL_SIZE} bytes")
        tail = bytearray(part.size)
        filled = 0
        while filled < part.size:
            filled += _receive(memoryview(tail)[filled:], answer, deadline)
        return ObjectFacts(total, answer.headers.get("ETag", ""), _metadata(answer.headers), bytes(tail))

    def open(self, stored_range: ByteRange, facts: ObjectFacts) -> "RangeStream":
        """A stream of the object's bytes `stored_range`; nothing is asked for before the first read."""
        return RangeStream(self, stored_range, facts)

    def get_range(self, stored_range: ByteRange, facts: ObjectFacts, deadline: Deadline) -> Answer:
        """One ranged GET of the object that `facts` describe, headers checked, body to be read.

        Raises:
            ObjectChanged: it is another object now, or gone.
            Transient, Unreachable, DeadlineExceeded, CredentialsRefused: no usable answer this time.
        """
        headers = {"Range": f"bytes={stored_range.start}-{stored_range.end - 1}"}
        if facts.etag:
            headers["If-Match"] = facts.etag
        try:
            answer = self._get(headers, deadline)
        except (_Gone, MediaAbsent):
            raise ObjectChanged(f"{self.sid}: the media were deleted while open") from None
        try:
            self._check(answer, stored_range, facts)
        except BaseException:
            answer.close()
            raise
        return answer

    def _check(self, answer: Answer, stored_range: ByteRange, facts: ObjectFacts) -> None:
        if answer.status == 416:
            raise ObjectChanged(f"{self.sid}: the object is shorter than when it was opened")
        part, total = self._part(answer)
        if is_replaced(facts, total, answer.headers.get("ETag", ""), _metadata_of(answer.headers)):
            raise ObjectChanged(f"{self.sid}: the object changed while open")
        if part != stored_range:
            raise Transient(f"{self.sid}: S3 sent another range than was asked for")

    def _part(self, answer: Answer) -> tuple[ByteRange, int]:
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

    def _get(self, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        """A GET that has an answer of 200, 206 or 416, with one fresh URL if the first is refused."""
        signed_url = self._lease.get(deadline)
        try:
            return self._get_signed(signed_url, headers, deadline)
        except NotSent:
            self._lease.leads_nowhere(signed_url)
            raise
        except _Refused:
            fresh = self._lease.refused(signed_url, deadline)
        try:
            return self._get_signed(fresh, headers, deadline)
        except _Refused as error:
            raise Transient(f"{self.sid}: S3 refuses a fresh pre-signed URL ({error})") from None

    def _get_signed(self, signed_url: SignedUrl, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        url = signed_url.url
        for _ in range(_MOST_REDIRECTS):
            check_media_url(url, self._hosts)
            answer = self._http.get(url, {"Accept-Encoding": "identity", **headers}, deadline)
            if answer.status in (200, 206, 416):
                return answer
            with answer:
                location = answer.headers.get("Location")
                if answer.status not in _REDIRECTS or not location:
                    self._fail(answer, deadline)
            url = joined(url, location)
        raise RemoteError(f"{self.sid}: the media URL leads from one host to the next without end")

    def _fail(self, answer: Answer, deadline: Deadline) -> NoReturn:
        match = _ERROR_CODE.search(answer.read_bounded(_LARGEST_ERROR, deadline))
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


class RangeStream:
    """The bytes of one range in order; where a connection breaks it goes on, on another one, from the same byte."""

    def __init__(self, stored_object: S3Object, stored_range: ByteRange, facts: ObjectFacts) -> None:
        """Nothing is asked for yet."""
        self._object = stored_object
        self._facts = facts
        self._position = stored_range.start
        self._end = stored_range.end
        self._answer: Answer | None = None

    def readinto(self, view: memoryview, deadline: Deadline) -> None:
        """Fill `view` whole with the next bytes of the range; it must not reach beyond the range's end.

        After an error the next bytes are the same still.

        Raises:
            ObjectChanged: the object is another one now.
            RemoteError, CredentialsRefused: it cannot be had, after retries, by the deadline.
        """
        start = self._position
        try:
            self._fill(view, deadline)
        except BaseException:
            self.close()
            self._position = start
            raise

    def _fill(self, view: memoryview, deadline: Deadline) -> None:
        failures = filled = 0
        while filled < len(view):
            try:
                filled += self._read_some(view[filled:], deadline)
                failures = 0
            except Unreachable as error:
                self.close()
                if not attempts_left(failures):
                    raise
                pause_before_retry(failures, error, deadline)
                failures += 1
        if ends_otherwise(self._facts, self._position, view):
            raise ObjectChanged(f"{self._object.sid}: the object does not end as it did when it was looked at")

    def _read_some(self, view: memoryview, deadline: Deadline) -> int:
        if self._answer is None:
            self._answer = self._object.get_range(ByteRange(self._position, self._end), self._facts, deadline)
        count = _receive(view, self._answer, deadline)
        self._position += count
        return count

    def close(self) -> None:
        """Done with it, at whatever byte. A connection with bytes left on it is dropped."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def _receive(view: memoryview, answer: Answer, deadline: Deadline) -> int:
    count = answer.readinto(view, deadline)
    if count == 0:
        raise Transient("the connection closed before the promised length")
    return count


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
