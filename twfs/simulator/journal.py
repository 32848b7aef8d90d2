"""What was asked of the simulator and what it sent, for tests that assert costs."""

import threading
from collections import Counter, deque
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
    The newest `remembered` requests are kept one by one, the totals for ever.
    """

    def __init__(self, remembered: int = 20_000) -> None:
        """Empty."""
        self._lock = threading.Lock()
        self._entries: deque[ServedRequest] = deque(maxlen=remembered)
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def open(self, kind: str, request: Request) -> ServedRequest:
        """Note a request's arrival."""
        entry = ServedRequest(kind, request.method, request.path, request.query_string, dict(request.headers))
        with self._lock:
            self._entries.append(entry)
            self._counts[kind] += 1
        return entry

    def begin(self, entry: ServedRequest, status: int) -> None:
        """Note that the answer begins."""
        with self._lock:
            entry.status = status

    def sent(self, entry: ServedRequest, count: int) -> None:
        """Note `count` more bytes of the body."""
        with self._lock:
            entry.bytes_sent += count
            self._bytes[entry.kind] += count

    def entries(self) -> list[ServedRequest]:
        """Copies of the requests that are remembered."""
        with self._lock:
            return [replace(entry) for entry in self._entries]

    def count(self, kind: str) -> int:
        """Requests of that kind; `api` and `s3` are all of that service."""
        with self._lock:
            return _total(self._counts, kind)

    def bytes_sent(self, kind: str) -> int:
        """Bytes of bodies sent in answer to requests of that kind."""
        with self._lock:
            return _total(self._bytes, kind)

    def clear(self) -> None:
        """Forget what was so far."""
        with self._lock:
            self._entries.clear()
            self._counts.clear()
            self._bytes.clear()


def _total(numbers: Mapping[str, int], wanted: str) -> int:
    return sum(number for kind, number in numbers.items() if wanted in (kind, kind.partition(".")[0]))
