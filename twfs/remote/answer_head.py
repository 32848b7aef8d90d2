"""Status and headers of an HTTP answer, from its lines as they come: bounded, and nothing believed that is not said."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twfs.errors import Unreachable

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?:[ \r\n]|$)")

_LARGEST = 64 * 2**10
"""Bytes of all headers of an answer, of interim ones before it and of trailers: S3 sends 1 to 6 KiB."""

_MOST_INTERIM = 16


class Headers(Mapping[str, str]):
    """By name, in whatever case; what came several times is joined by commas (RFC 9110, 5.3)."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Of an answer."""
        self._values = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        """The value; KeyError if there is none."""
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        """Names, in lower case."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Head:
    """An answer without its body."""

    status: int
    headers: Mapping[str, str]
    """Names in whatever case."""


class Nonsense(Unreachable):
    """What came is no answer that can be understood."""


class HeadReader:
    """Makes a `Head` of the lines of one answer."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._size = 0
        self._interim = 0
        self._status: int | None = None
        self._fields: dict[str, str] = {}
        self._is_whole = False

    def take(self, line: bytes) -> Head | None:
        """The next line, its end included; the head, once, with its empty line. Interim answers and trailers are none.

        Raises:
            Nonsense: it is no header line, or there are too many.
        """
        self._size += len(line)
        if self._size > _LARGEST:
            raise Nonsense("its headers never end")
        if self._is_whole:
            return None
        text = line.rstrip(b"\r\n")
        if not text:
            return self._ended()
        if self._status is None:
            self._begin(line)
        else:
            self._field(text)
        return None

    def _begin(self, line: bytes) -> None:
        match = _STATUS.match(line)
        if match is None:
            raise Nonsense("its first line is none of HTTP/1")
        self._status = int(match[1])
        self._fields = {}

    def _field(self, text: bytes) -> None:
        name, colon, value = text.decode("latin-1").partition(":")
        if not colon:
            raise Nonsense("one of its headers is none")
        name, value = name.strip().lower(), value.strip()
        self._fields[name] = f"{self._fields[name]}, {value}" if name in self._fields else value

    def _ended(self) -> Head | None:
        status, self._status = self._status, None
        if status is None:
            raise Nonsense("it has no first line")
        if status < 200:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise Nonsense("interim answers without end")
            return None
        self._is_whole = True
        return Head(status, Headers(self._fields))
