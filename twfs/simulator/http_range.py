"""The `Range` header, as S3 reads it: one range or none."""

import re

from twfs.ranges import ByteRange

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


class Unsatisfiable(ValueError):
    """The range holds no byte of the object (416)."""


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The bytes wanted of an object of `size` bytes; None when the whole object is to be sent (200).

    A header that is malformed, or names several ranges, is ignored, as S3 does.

    Raises:
        Unsatisfiable: well formed, but no byte of the object lies in it.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise Unsatisfiable(f"{header} of {size} bytes")
    return ByteRange(start, end)
