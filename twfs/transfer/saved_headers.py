"""Response headers as `wget -S` or `curl -D`/`-i` print them, read back.

wget indents them, and writes lines of its own between; a file holds several responses where there were redirects or
retries; after `curl -i` the body follows. All that is passed over: what counts is the last response that has an
envelope.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twfs.errors import ConfigError
from twfs.probe import STORE_ENCRYPTION

_LONGEST_FILE = 32 * 2**20
"""Bytes looked at: wget's log of a download of hours has its headers within the first few, a body never ends there."""
_LONGEST_LINE = 16 * 2**10

_STATUS = re.compile(r"HTTP/[0-9.]{1,4} [0-9]{3}\b")
# RFC 9110, 5.6.2: a field's name is a token.
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
_METADATA_PREFIX = "x-amz-meta-"
_ENVELOPE_PREFIX = "x-amz-meta-x-amz-"
_LENGTH = re.compile(r"[0-9]{1,19}")
_TOTAL = re.compile(r"bytes [0-9]{1,19}-[0-9]{1,19}/([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class SavedHeaders:
    """What one response said of the object."""

    metadata: dict[str, str] = field(default_factory=dict)
    """As in `ObjectFacts`."""
    stored_size: int | None = None
    etag: str = ""


def read_saved_headers(path: Path) -> SavedHeaders:
    """The last response with an envelope in a file.

    Raises:
        ConfigError: there is none, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE).removeprefix(BOM_UTF8).decode("latin-1")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    found = parse_saved_headers(text)
    if found is None:
        raise ConfigError(f"{path} holds no header {_ENVELOPE_PREFIX}key; save them with wget -S or curl -D")
    return found


def parse_saved_headers(text: str) -> SavedHeaders | None:
    """The last response of `text` that has an envelope; None if none has."""
    found = None
    for fields in _responses(text.split("\n")):
        if any(name.startswith(_ENVELOPE_PREFIX) for name in fields):
            found = fields
    return None if found is None else _saved(found)


def _responses(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """The fields of each response; lines before the first status line are one, too: people copy parts."""
    fields: dict[str, str] = {}
    for line in (line.strip() for line in lines if len(line) <= _LONGEST_LINE):
        if _STATUS.match(line):
            yield fields
            fields = {}
        elif match := _FIELD.fullmatch(line):
            fields[match[1].lower()] = match[2]
    yield fields


def _saved(fields: dict[str, str]) -> SavedHeaders:
    metadata = {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in fields.items()
        if name.startswith(_METADATA_PREFIX)
    } | {name: fields[name] for name in STORE_ENCRYPTION if name in fields}
    part = _TOTAL.fullmatch(fields.get("content-range", ""))
    length = part[1] if part else fields.get("content-length", "")
    return SavedHeaders(metadata, int(length) if _LENGTH.fullmatch(length) else None, fields.get("etag", ""))
