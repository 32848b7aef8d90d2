"""A SOCKS5 proxy (RFC 1928) that lets through or refuses, on 127.0.0.1, within `with`."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.security.tls import relay

NO_AUTHENTICATION, NONE_ACCEPTED = b"\x05\x00", b"\x05\xff"


@contextmanager
def socks_proxy(method: bytes = NO_AUTHENTICATION, reply: int = 0, trickle: float = 0) -> Iterator[str]:
    """Its place, HOST:PORT; `method` answers the greeting, `reply` the request (0: it connects).

    Or it says without end where it has connected to, a byte each `trickle` seconds.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    plugs: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                plug, _ = listener.accept()
            except OSError:
                return
            plugs.append(plug)
            threads.append(threading.Thread(target=_serve, args=(plug, method, reply, trickle)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for plug in plugs:
            with suppress(OSError):
                plug.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def _serve(plug: socket.socket, method: bytes, reply: int, trickle: float) -> None:
    with plug, plug.makefile("rb") as requests:
        requests.read(requests.read(2)[1])
        plug.sendall(method)
        if method == NONE_ACCEPTED:
            return
        kind = requests.read(4)[3]
        host = requests.read(requests.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(requests.read(4))
        (port,) = struct.unpack("!H", requests.read(2))
        if trickle:
            _trickle(plug, trickle)
            return
        plug.sendall(bytes((5, reply, 0, 1, 127, 0, 0, 1, 0, 0)))
        if reply == 0:
            with socket.create_connection((host, port)) as goal:
                relay(plug, goal)


def _trickle(plug: socket.socket, seconds: float) -> None:
    """The answer of a proxy that has connected to a host with a name of 255 characters."""
    with suppress(OSError):
        plug.sendall(bytes((5, 0, 0, 3, 255)))
        while True:
            plug.sendall(b"x")
            time.sleep(seconds)
