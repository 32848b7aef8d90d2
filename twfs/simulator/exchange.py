"""A request and its answer, apart from any HTTP library; used by the API, the bucket, the faults and the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

from twfs.ranges import ByteRange
from twfs.simulator.objects import BucketObject


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    """As sent, percent-encoding kept."""
    query_string: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    body: bytes = field(default=b"", repr=False)
    to_bucket: bool = False
    """Whether it came to S3's address, not to the API's."""

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """Decoded parameters of the URL, in order, repeated names kept."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The same by name; of a repeated name the last."""
        return dict(self.query)

    @cached_property
    def form(self) -> dict[str, str]:
        """Decoded parameters of an `application/x-www-form-urlencoded` body."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an object as a body, read while it is sent."""

    source: BucketObject
    wanted: ByteRange

    def __len__(self) -> int:
        """Bytes of the body."""
        return self.wanted.size

    def read(self, start: int, end: int) -> bytes:
        """Bytes `[start, end)` of the body."""
        return self.source.read(self.wanted.start + start, self.wanted.start + end)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Slice = b""
