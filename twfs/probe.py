"""What one look at a stored object tells, before and after it is interpreted; shared by media, catalog and remote.

A probe is one `Range: bytes=-32`: it returns all metadata headers, the total length and the two blocks that
prove key and padding. `ObjectFacts` holds just that; nothing in it is secret, so it may be stored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

TAIL_SIZE = 32
"""Two AES blocks: the last one, and the one that is its IV."""

STORE_ENCRYPTION = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm")
"""Response headers that tell how the bucket encrypts at rest, and that it does so with a customer's own key."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """A stored object as S3 describes it."""

    stored_size: int
    """Bytes in the bucket: ciphertext if encrypted, else plaintext."""
    etag: str
    """As sent, quotes included; empty if S3 sent none."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """`x-amz-meta-*` headers, names in lower case without that prefix; and those of `STORE_ENCRYPTION`, whole."""
    tail: bytes = b""
    """The last `min(32, stored_size)` bytes."""

    @property
    def is_under_store_key(self) -> bool:
        """Whether the bucket encrypts it with a key of KMS or of a customer (SSE-KMS, DSSE-KMS, SSE-C).

        The ETag of such an object looks like an MD5 and is none; with S3's own keys (AES256) it is one (AWS, S3 API
        reference, Common Response Headers).
        """
        how, customers = STORE_ENCRYPTION
        return customers in self.metadata or self.metadata.get(how, "AES256") != "AES256"

    @property
    def has_strong_etag(self) -> bool:
        """Whether equal ETags mean equal bytes: S3 sent one, and not a weak one (RFC 9110, 8.8.1)."""
        return self.etag not in ("", '""') and not self.etag.startswith("W/")

    @property
    def fingerprint(self) -> str:
        """A digest of all that S3 says of the object: length, ETag, envelope, and the last bytes."""
        facts = [self.stored_size, self.etag, sorted(self.metadata.items()), self.tail.hex()]
        return blake2b(json.dumps(facts).encode(), digest_size=20).hexdigest()


class MediaState(StrEnum):
    """What a reader can expect of a medium."""

    READABLE = "readable"
    ABSENT = "absent"
    """Twilio has no media for it (track muted all the time): an empty file."""
    LOCKED = "locked"
    """No private key at hand fits: listed with a size, cannot be opened (ENOKEY)."""
    DAMAGED = "damaged"
    """The object contradicts itself or its envelope is unknown: listed, cannot be opened (EIO)."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a probe means with the private keys at hand."""

    state: MediaState
    plain_size: int
    """Exact for READABLE and ABSENT, the best that is known otherwise."""
    encrypted: bool = False
    etag: str = ""
    reason: str = ""
    """Why it is LOCKED or DAMAGED, one line."""
    facts: ObjectFacts | None = None
    """None only if ABSENT."""

    @property
    def identity(self) -> str:
        """The same text as long as all that is known of the object is the same; empty if there is none."""
        return self.facts.fingerprint if self.facts is not None else self.etag
