"""What was asked of the simulator and what it sent, for tests that assert costs."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twfs.simulator.exchange import Request


@dataclass(slots=True)
class ServedRequest:
    """One request; `status` is 0 until its answer begins."""

    kind: str
    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    status: int = 0
    bytes_sent: int = 0
    """Bytes of the body handed to the socket, which may be more than the client took before it hung up."""

    @property
    def range(self) -> str | None:
        """The `Range` header."""
        return self.headers.get("range")


class Journal:
    """All requests in the order of their arrival; may be used from several threads.

    Every number is written before the bytes it counts leave, so a client that has its answer finds it counted.
    """

    def __init__(self) -> None:
        """Empty."""
        self._lock = threading.Lock()
        self._entries: list[ServedRequest] = []

    def open(self, kind: str, request: Request) -> ServedRequest:
        """Note a request's arrival."""
        entry = ServedRequest(kind, request.method, request.path, request.query_string, dict(request.headers))
        with self._lock:
            self._entries.append(entry)
        return entry

    def begin(self, entry: ServedRequest, status: int) -> None:
        """Note that the answer begins."""
        with self._lock:
            entry.status = status

    def sent(self, entry: ServedRequest, count: int) -> None:
        """Note `count` more bytes of the body."""
        with self._lock:
            entry.bytes_sent += count

    def entries(self, kind: str | None = None) -> list[ServedRequest]:
        """Copies of the requests of that kind, or of all."""
        with self._lock:
            return [replace(entry) for entry in self._entries if kind is None or _is(entry.kind, kind)]

    def clear(self) -> None:
        """Forget what was so far."""
        with self._lock:
            self._entries.clear()


def _is(kind: str, wanted: str) -> bool:
    return wanted in (kind, kind.partition(".")[0])
