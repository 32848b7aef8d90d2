"""An HTTP server that keeps to no rule: each request is met by the next of its manners, the last one from then on."""

import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.security.tls import relay

Manner = Callable[["Meeting"], None]

_NO_LINGER = struct.pack("ii", 1, 0)


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A whole, well-formed answer."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if headers is None or "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Meeting:
    """One request on one connection."""

    def __init__(self, plug: socket.socket, request: bytes, stopped: threading.Event) -> None:
        self.request = request
        self.plug = plug
        self.stopped = stopped

    @property
    def range(self) -> tuple[int, int]:
        """The half-open range that `Range: bytes=A-B` asks for."""
        wanted = self.request.lower().partition(b"range: bytes=")[2].split(b"\r\n")[0]
        first, _, last = wanted.partition(b"-")
        return int(first), int(last) + 1

    def send(self, data: bytes) -> None:
        self.plug.sendall(data)

    def reset(self) -> None:
        self.plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.plug.close()

    def hang_up(self) -> None:
        self.plug.shutdown(socket.SHUT_RDWR)


def saying(data: bytes) -> Manner:
    return lambda meeting: meeting.send(data)


def saying_and_closing(data: bytes) -> Manner:
    def meet(meeting: Meeting) -> None:
        meeting.send(data)
        meeting.hang_up()

    return meet


def falling_silent_after(data: bytes) -> Manner:
    def meet(meeting: Meeting) -> None:
        meeting.send(data)
        meeting.stopped.wait()

    return meet


def trickling(start: bytes, seconds: float) -> Manner:
    """`start`, then one byte after the other, for ever."""

    def meet(meeting: Meeting) -> None:
        meeting.send(start)
        while not meeting.stopped.wait(seconds):
            meeting.send(b".")

    return meet


def streaming(start: bytes, again: bytes) -> Manner:
    """`start`, then `again` as fast as it is taken, for ever."""

    def meet(meeting: Meeting) -> None:
        meeting.send(start)
        while not meeting.stopped.is_set():
            meeting.send(again * (65536 // len(again) + 1))

    return meet


def tunnelling(to_port: int) -> Manner:
    """What a proxy does with CONNECT."""

    def meet(meeting: Meeting) -> None:
        meeting.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", to_port)) as goal:
            relay(meeting.plug, goal)

    return meet


class RudeServer:
    """On 127.0.0.1, within `with`."""

    def __init__(self, *manners: Manner) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._manners = list(manners)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._plugs: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for plug in self._plugs:
            # Else a thread that waits for the next request, or for the client to take more, would stay.
            if plug.fileno() != -1:
                _shut(plug)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                plug, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._plugs.append(plug)
            thread = threading.Thread(target=self._serve, args=(plug,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plug: socket.socket) -> None:
        with plug:
            try:
                while request := _read_request(plug):
                    self._next(request)(Meeting(plug, request, self._stopped))
            except OSError:
                return

    def _next(self, request: bytes) -> Manner:
        with self._lock:
            self.requests.append(request)
            return self._manners.pop(0) if len(self._manners) > 1 else self._manners[0]


def _read_request(plug: socket.socket) -> bytes:
    """To the end of its headers at least: a body comes with them, or later."""
    request = b""
    while b"\r\n\r\n" not in request:
        piece = plug.recv(65536)
        if not piece:
            return b""
        request += piece
    return request


def _shut(plug: socket.socket) -> None:
    try:
        plug.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


NEVER_COMES_TO_ITS_END: Sequence[Manner] = (
    falling_silent_after(b""),
    falling_silent_after(b"HTTP/1.1 200 OK\r\nContent-"),
    falling_silent_after(answer(200, b"ab", {"Content-Length": "1000"})),
    falling_silent_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    trickling(b"HTTP/1.1 2", 0.05),
    trickling(b"HTTP/1.1 200 OK\r\nX: ", 0.05),
    trickling(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", 0.05),
    trickling(answer(200, b"", {"Content-Length": "100000"}), 0.05),
    trickling(b"HTTP/1.1 200 OK\r\n\r\n", 0.05),
)
"""Answers that fall silent, or trickle, at each place of an answer."""
