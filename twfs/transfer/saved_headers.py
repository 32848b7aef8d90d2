"""Response headers as `wget -S` or `curl -D`/`-i`/`-v` print them, read back.

wget indents them, and writes lines of its own between. `curl -v` marks what it received by `< `, what it sent by `> `,
and the rest by `* `, `{ ` or `} `; its progress meter may stand before such a mark. A file holds several responses
where there were redirects or retries; after `curl -i` the body follows. What counts is the last response that has an
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

_STATUS = re.compile(r"HTTP/[0-9.]{1,4} ([0-9]{3})\b")
# The meter ends with the time left and the speed; it has no line end of its own.
_METER = re.compile(r"\A.{0,100}(?:--:--:--|[0-9]+:[0-9]{2}:[0-9]{2}) +[0-9.]+[kMGTP]?(?=[<>*{}] )")
_CURLS_OWN = ("> ", "* ", "{ ", "} ")
# RFC 9110, 5.6.2: a field's name is a token.
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
_METADATA_PREFIX = "x-amz-meta-"
_ENVELOPE_PREFIX = "x-amz-meta-x-amz-"
_LENGTH = re.compile(r"[0-9]{1,19}")
_TOTAL = re.compile(r"bytes [0-9]{1,19}-[0-9]{1,19}/([0-9]{1,19})")
# In each answer of S3, and of other stores that speak its protocol.
_MARK_OF_S3 = "x-amz-request-id"

Fields = dict[str, str]
"""Headers of one response by their names in lower case."""


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
        raise ConfigError(f"{path}: {_why_none(text)}")
    return found


def parse_saved_headers(text: str) -> SavedHeaders | None:
    """The last response of `text` that has an envelope; None if none has."""
    found = None
    for _, fields in _responses(text):
        if any(name.startswith(_ENVELOPE_PREFIX) for name in fields):
            found = fields
    return None if found is None else _saved(found)


def _why_none(text: str) -> str:
    """What the last response of S3 says, or that there is none."""
    statuses = [status for status, fields in _responses(text) if _MARK_OF_S3 in fields]
    if not statuses:
        return f"there is no header {_ENVELOPE_PREFIX}key; save the headers of S3's answer with wget -S or curl -L -D"
    if statuses[-1] >= 300:
        return f"S3 answered {statuses[-1]} and sent no object; fetch the medium again, with a fresh URL"
    return f"S3 sent the object without {_ENVELOPE_PREFIX}key: it is not encrypted; use the downloaded file as it is"


def _responses(text: str) -> Iterator[tuple[int, Fields]]:
    """Status and fields of each response; lines before the first status line are one, too: people copy parts."""
    status, fields = 0, Fields()
    for line in _received(text.split("\n")):
        if match := _STATUS.match(line):
            yield status, fields
            status, fields = int(match[1]), Fields()
        elif match := _FIELD.fullmatch(line):
            fields[match[1].lower()] = match[2]
    yield status, fields


def _received(lines: Iterable[str]) -> Iterator[str]:
    """Lines without what tools put before them, less those that say at once that they are no header."""
    for line in (line.strip() for line in lines if len(line) <= _LONGEST_LINE):
        # The meter is written over itself.
        bare = _METER.sub("", line.rpartition("\r")[2], count=1)
        if not bare.startswith(_CURLS_OWN):
            yield bare.removeprefix("< ")


def _saved(fields: Fields) -> SavedHeaders:
    metadata = {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in fields.items()
        if name.startswith(_METADATA_PREFIX)
    } | {name: fields[name] for name in STORE_ENCRYPTION if name in fields}
    part = _TOTAL.fullmatch(fields.get("content-range", ""))
    length = part[1] if part else fields.get("content-length", "")
    return SavedHeaders(metadata, int(length) if _LENGTH.fullmatch(length) else None, fields.get("etag", ""))
