"""What lies in the simulated bucket; used by the account, the bucket and the sealing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class BucketObject(Protocol):
    """An object of the bucket, wherever its bytes come from: memory, or arithmetic for very large ones."""

    @property
    def size(self) -> int:
        """Bytes stored."""

    @property
    def etag(self) -> str:
        """Without quotes."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """`x-amz-meta-*` headers, names without that prefix."""

    @property
    def content_type(self) -> str:
        """As S3 would answer it."""

    def read(self, start: int, end: int) -> bytes:
        """Bytes `[start, end)`, `0 <= start <= end <= size`; called in the server's event loop, so it must not wait."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object held in memory."""

    data: bytes = field(repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/octet-stream"
    part_size: int | None = None
    """Not None: uploaded in parts of so many bytes, which shows in the ETag."""
    plain: bytes | None = field(default=None, repr=False)
    """What was sealed, for whoever has to compare; never served."""
    etag: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Compute the ETag once."""
        object.__setattr__(self, "etag", _etag(self.data, self.part_size))

    @property
    def size(self) -> int:
        """Bytes stored."""
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        """Bytes `[start, end)`."""
        return self.data[start:end]


def _etag(data: bytes, part_size: int | None) -> str:
    """MD5 in hex; of a multipart upload, the MD5 of the parts' MD5s and the number of parts (as S3 computes it)."""
    if part_size is None:
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    starts = range(0, len(data) or 1, part_size)
    digests = [hashlib.md5(data[at : at + part_size], usedforsecurity=False).digest() for at in starts]
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
