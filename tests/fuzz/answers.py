"""A network that answers every request with the answers it was given, in turn."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from requests.structures import CaseInsensitiveDict

from tests.catalog.fakes import FakeClock
from twfs.clock import Deadline
from twfs.remote import s3 as remote
from twfs.remote.answer_head import Head, Headers
from twfs.remote.exchange import Judge
from twfs.remote.http import Authorization
from twfs.remote.retry import RateLimit
from twfs.remote.store import MediaStore
from twfs.remote.twilio import TwilioApi

T = TypeVar("T")

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


class FakeTransport:
    """As `twfs.remote.transport.Transport`; the last reply is given again and again."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = list(replies)
        self.asked: list[str] = []

    async def get(
        self, url: str, _headers: Mapping[str, str], judge: Judge, deadline: Deadline, *, attempt: int = 0
    ) -> Head:
        deadline.remaining()
        self.asked.append(url)
        assert len(self.asked) < _MOST_REQUESTS, "it never ends"
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        head = Head(reply.status, Headers(reply.headers))
        sink = judge(head)
        for start in range(0, len(reply.body), 100):
            sink(reply.body[start : start + 100])
        return head


class OwnLoop:
    """As `twfs.event_loop.LoopThread`, without a thread."""

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run(work())

    async def blocking(self, call: Callable[..., T], *arguments: object) -> T:
        return call(*arguments)


class Network:
    """Everything of `remote` above the pools."""

    def __init__(self, api: Sequence[Reply], s3: Sequence[Reply] = (Reply(),)) -> None:
        self.clock = FakeClock()
        self.api_pool, self.transport = FakePool(api), FakeTransport(s3)
        limit = RateLimit(1000, self.clock)
        self.api = TwilioApi(self.api_pool, API, limit, self.clock, 30)  # type: ignore[arg-type]
        self.loop = OwnLoop()
        network = remote.Network(self.transport, self.loop)  # type: ignore[arg-type]
        self.store = MediaStore(self.api, network, HOSTS, self.clock)

    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30)
