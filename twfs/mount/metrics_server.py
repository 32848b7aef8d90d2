"""`-o metrics=HOST:PORT`: `.twfs/metrics` over HTTP. Figures only: no names, no SIDs of media."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from twfs.config.observing import Address
from twfs.errors import ConfigError
from twfs.log import log

_SILENCE_SECONDS = 10.0
"""A client that says nothing for so long is dropped."""


class MetricsServer:
    """Listens from the beginning, so that a wrong address is told at once; answers from `begin` on."""

    def __init__(self, address: Address, handler: type[BaseHTTPRequestHandler]) -> None:
        """Binds the port; no thread yet.

        Raises:
            ConfigError: it cannot be had.
        """
        patient = type("PatientHandler", (handler,), {"timeout": _SILENCE_SECONDS})
        try:
            self._server = _server(address, patient)
        except OSError as error:
            raise ConfigError(f"metrics={address}: cannot listen there: {error.strerror}") from None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the figures are."""
        host, port = self._server.server_address[:2]
        return f"http://{Address(str(host), int(port))}/metrics"

    def begin(self) -> None:
        """Answer from now on; after the daemonising fork."""
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        log.info("metrics: %s", self.url)

    def end(self) -> None:
        """Stop, and give the port back."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


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


def _server(address: Address, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    family, _, _, _, place = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    kind = type("Server", (_Server,), {"address_family": family})
    server: ThreadingHTTPServer = kind(place[:2], handler)
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the stock version's question to the DNS for this machine's full name."""
        TCPServer.server_bind(self)

    def handle_error(self, _request: object, client_address: object) -> None:
        """A scraper that goes away is no event, and must not print a traceback."""
        log.debug("metrics: a request of %s broke off", client_address, exc_info=True)
