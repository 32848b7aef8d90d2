"""systemd's journal, by its native protocol: entries made of fields (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

import socket
import struct
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")

_LONGEST_VALUE = 32 * 2**10
"""A datagram may have 208 KiB, by default; beyond it the entry would have to be a file."""


class Journal:
    """Writes entries. Safe for use by several threads."""

    def __init__(self, path: Path = SOCKET) -> None:
        """Nothing is sent yet.

        Raises:
            OSError: there is no journal at `path`.
        """
        self._path = str(path)
        with self._connected():
            pass

    def send(self, fields: Mapping[str, str]) -> None:
        """One entry; names are upper-case letters, digits and underscores, and begin with a letter.

        Raises:
            OSError: the journal does not take it. It never waits: a full journal must not stop a mount.
        """
        entry = b"".join(_field(name, value) for name, value in fields.items())
        with self._connected() as channel:
            channel.send(entry)

    def _connected(self) -> socket.socket:
        # A socket for each: the journal may be restarted, and a connected socket would not notice.
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            channel.connect(self._path)
        except OSError:
            channel.close()
            raise
        return channel


def _field(name: str, value: str) -> bytes:
    content = value.encode(errors="replace")[:_LONGEST_VALUE]
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"
