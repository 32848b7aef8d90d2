"""A transport in a loop of its own, for threads that wait."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from twfs.clock import Deadline, SystemClock
from twfs.event_loop import LoopThread
from twfs.remote.answer_head import Head
from twfs.remote.transport import Transport


class Line:
    """What comes is kept, as far as the judge lets it."""

    def __init__(self, connections: int = 4) -> None:
        self.loop = LoopThread(2)
        self.transport = Transport(connections)
        self.heads: list[Head] = []
        self.bodies: list[bytearray] = []
        self.judged: BaseException | None = None
        """What the judge raises, if anything."""

    async def get(
        self, url: str, deadline: Deadline, headers: Mapping[str, str] | None = None, attempt: int = 0
    ) -> bytes:
        body = bytearray()

        def judge(head: Head) -> object:
            self.heads.append(head)
            if self.judged is not None:
                raise self.judged
            self.bodies.append(body)
            return body.extend

        await self.transport.get(url, headers or {}, judge, deadline, attempt=attempt)  # type: ignore[arg-type]
        return bytes(body)

    def fetch(self, url: str, seconds: float = 5, **more: object) -> bytes:
        """The body; as whoever asks waits for it."""
        return self.loop.call(lambda: self.get(url, within(seconds), **more))  # type: ignore[arg-type]

    def fetch_all(self, urls: Sequence[str], seconds: float = 5) -> list[bytes | BaseException]:
        """At the same time."""

        async def together() -> list[bytes | BaseException]:
            return await asyncio.gather(*(self.get(url, within(seconds)) for url in urls), return_exceptions=True)

        return self.loop.call(together)


def within(seconds: float) -> Deadline:
    return Deadline(SystemClock(), seconds)


async def closed(transport: Transport) -> None:
    transport.close()


@contextmanager
def line() -> Iterator[Line]:
    built = Line()
    yield built
    built.loop.call(lambda: closed(built.transport))
    built.loop.stop()
