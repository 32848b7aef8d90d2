"""A network that answers every request with the answers it was given, in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from requests.structures import CaseInsensitiveDict

from tests.catalog.fakes import FakeClock
from twfs.clock import Deadline
from twfs.remote.http import Authorization
from twfs.remote.retry import RateLimit
from twfs.remote.store import MediaStore
from twfs.remote.twilio import TwilioApi

API = "https://video.twilio.com"
HOSTS = ("amazonaws.com", "twilio.com")
_MOST_REQUESTS = 10_000


@dataclass(frozen=True)
class Reply:
    """What a server sends."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class FakeAnswer:
    """As `twfs.remote.http.Answer`, from memory."""

    def __init__(self, reply: Reply, where: str) -> None:
        self.where = where
        self.status = reply.status
        self.headers: Mapping[str, str] = CaseInsensitiveDict(reply.headers)
        self._body = reply.body
        self.is_closed = False

    def __enter__(self) -> "FakeAnswer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_bounded(self, limit: int, deadline: Deadline) -> bytes:
        deadline.remaining()
        return self._body[:limit]

    def readinto(self, view: memoryview, deadline: Deadline) -> int:
        deadline.remaining()
        piece, self._body = self._body[: len(view)], self._body[len(view) :]
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.is_closed = True


class FakePool:
    """As `twfs.remote.http.HttpPool`; the last reply is given again and again."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.authorization = Authorization()
        self._replies = list(replies)
        self.asked: list[str] = []
        self.answers: list[FakeAnswer] = []

    def get(self, url: str, headers: Mapping[str, str], deadline: Deadline, params: Any = None) -> FakeAnswer:
        return self.request("GET", url, headers, deadline, params=params)

    def request(
        self, _method: str, url: str, _headers: Mapping[str, str], deadline: Deadline, **_more: Any
    ) -> FakeAnswer:
        deadline.remaining()
        self.asked.append(url)
        assert len(self.asked) < _MOST_REQUESTS, "it never ends"
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        self.answers.append(FakeAnswer(reply, url.partition("?")[0]))
        return self.answers[-1]


class Network:
    """Everything of `remote` above the pools."""

    def __init__(self, api: Sequence[Reply], s3: Sequence[Reply] = (Reply(),)) -> None:
        self.clock = FakeClock()
        self.api_pool, self.s3_pool = FakePool(api), FakePool(s3)
        limit = RateLimit(1000, self.clock)
        self.api = TwilioApi(self.api_pool, API, limit, self.clock, 30)  # type: ignore[arg-type]
        self.store = MediaStore(self.api, self.s3_pool, HOSTS, self.clock)  # type: ignore[arg-type]

    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30)
