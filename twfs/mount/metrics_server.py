"""`-o metrics=HOST:PORT`: `.twfs/metrics` over HTTP. Figures only: no names, no SIDs of media.

One thread serves all, however many connect: connections and seconds are bounded, one request is answered on each, and
when there are too many, the oldest makes way for the newest, so that idle ones never keep a scraper out.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any

from twfs.config.observing import Address
from twfs.errors import ConfigError
from twfs.event_loop import LoopThread
from twfs.log import log

MOST_CONNECTIONS = 32
"""Scrapers are one or two; each connection costs a descriptor, of which a mount may have 1,024 by default."""

_SECONDS = 10.0
"""From being accepted to the last byte that a client has taken; Prometheus' own `scrape_timeout` is 10 s."""

_LARGEST_REQUEST = 16 * 2**10
"""Bytes; a scraper sends some hundred."""


class MetricsServer:
    """Listens from the beginning, so that a wrong address is told at once; answers from `begin` on."""

    def __init__(self, address: Address, handler: type[BaseHTTPRequestHandler], seconds: float = _SECONDS) -> None:
        """Binds the port; no thread yet. A client may take `seconds` in all.

        Raises:
            ConfigError: it cannot be had.
        """
        try:
            self._socket = _listening(address)
        except OSError as error:
            raise ConfigError(f"metrics={address}: cannot listen there: {error.strerror}") from None
        self._handler = handler
        self._seconds = seconds
        self._loop = LoopThread(1)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, None] = {}
        """The oldest first."""

    @property
    def url(self) -> str:
        """Where the figures are."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{Address(str(host), int(port))}/metrics"

    def begin(self) -> None:
        """Answer from now on; after the daemonising fork.

        Raises:
            NoMoreThreads: the machine refuses the thread.
        """
        self._loop.call(self._begin)
        log.info("metrics: %s", self.url)

    def end(self) -> None:
        """Stop, and give the port back."""
        if self._server is not None:
            self._loop.call(self._end)
        self._loop.stop()
        self._socket.close()

    async def _begin(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, limit=_LARGEST_REQUEST)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._connections:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from beginning to end."""
        self._connections[writer] = None
        if len(self._connections) > MOST_CONNECTIONS:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.transport.abort()
        try:
            async with asyncio.timeout(self._seconds):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(self._handler, request))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            # A scraper that goes away, or is silent, is no event.
            log.debug("metrics: a request broke off: %r", error)
        finally:
            self._connections.pop(writer, None)
            writer.transport.abort()


@contextmanager
def metrics_server(address: Address | None, handler: type[BaseHTTPRequestHandler]) -> Iterator[MetricsServer | None]:
    """A server while the block runs, if an address is given.

    Raises:
        ConfigError: as `MetricsServer`.
    """
    if address is None:
        yield None
        return
    server = MetricsServer(address, handler)
    try:
        yield server
    finally:
        server.end()


def _listening(address: Address) -> socket.socket:
    family, _, _, _, place = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(place[:2], family=family, backlog=MOST_CONNECTIONS)


def _answer(handler: type[BaseHTTPRequestHandler], request: bytes) -> bytes:
    """What the handler says to a request that is there as a whole."""
    written = BytesIO()

    class Exchange(handler):  # type: ignore[misc, valid-type]
        """Reads from memory and writes there."""

        def setup(self) -> None:
            """In place of a socket's streams."""
            self.rfile, self.wfile = BytesIO(request), written

        def finish(self) -> None:
            """There is nothing to flush or close."""

        def log_message(self, *_arguments: Any) -> None:
            """Requests are no events."""

    Exchange(request, ("", 0), None)
    return written.getvalue()
