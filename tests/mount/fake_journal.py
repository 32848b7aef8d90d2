"""A journal that keeps what it is sent, read as its protocol says."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 20.0


class FakeJournal:
    """The reading end of the journal's socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SECONDS)
        self._socket.bind(str(path))

    def entry(self) -> dict[str, str]:
        """The next one."""
        return dict(_fields(self._socket.recv(1 << 20)))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def fake_journal(path: Path) -> Iterator[FakeJournal]:
    journal = FakeJournal(path)
    try:
        yield journal
    finally:
        journal.close()


def _fields(data: bytes) -> Iterator[tuple[str, str]]:
    while data:
        line, _, rest = data.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            (size,) = struct.unpack_from("<Q", rest)
            name, value, rest = line, rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        yield name.decode(), value.decode()
        data = rest
