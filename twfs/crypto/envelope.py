"""The AWS S3 client-side encryption envelope: what an object's metadata headers say of its encryption.

Version 1, "encryption only", is what Twilio writes (facts: `x-amz-key`, `x-amz-iv`, `x-amz-matdesc`,
`x-amz-unencrypted-content-length`). Later versions may stand in for it only if they mean the same cipher and wrapping;
anything else is refused by name, never guessed at.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from twfs.crypto.cbc import AES_BLOCK
from twfs.errors import MediaDamaged

_CONTENT_CIPHER = "AES/CBC/PKCS5Padding"
_KEY_WRAPPING = "RSA/ECB/PKCS1Padding"
_LENGTH_NAME = "x-amz-unencrypted-content-length"
_SIGNS = ("x-amz-key", "x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-tag-len", _LENGTH_NAME)
# The short names of version 3 of the AWS clients' format: content key, cipher and wrapping.
_VERSION_3 = ("x-amz-3", "x-amz-c", "x-amz-w")
_LENGTH = re.compile(r"[0-9]{1,19}")
# The largest RSA modulus in use is 16384 bits: 2048 bytes, 2732 characters of base64.
_LONGEST_BASE64 = 4096


@dataclass(frozen=True, slots=True)
class Envelope:
    """What it takes, besides a private key, to decrypt an object."""

    wrapped_key: bytes
    iv: bytes
    plain_size: int | None
    """`x-amz-unencrypted-content-length`; clients that upload in parts do not write it."""


def parse_envelope(metadata: Mapping[str, str]) -> Envelope | None:
    """The envelope in an object's metadata (names without `x-amz-meta-`, in lower case); None: not encrypted.

    Raises:
        MediaDamaged: it says something that cannot be understood or trusted.
    """
    if any(name in metadata for name in _VERSION_3):
        raise MediaDamaged("encrypted in version 3 of the AWS envelope, which is not AES-CBC")
    if not any(name in metadata for name in _SIGNS):
        return None
    _refuse_other_algorithms(metadata)
    iv = _base64(metadata, "x-amz-iv")
    if len(iv) != AES_BLOCK:
        raise MediaDamaged(f"the envelope's IV has {len(iv)} bytes instead of {AES_BLOCK}")
    # Where both stand, the AWS clients take the second version's.
    name = "x-amz-key-v2" if "x-amz-key-v2" in metadata else "x-amz-key"
    return Envelope(_base64(metadata, name), iv, _plain_size(metadata))


def _refuse_other_algorithms(metadata: Mapping[str, str]) -> None:
    content_cipher = metadata.get("x-amz-cek-alg", _CONTENT_CIPHER)
    if content_cipher != _CONTENT_CIPHER or "x-amz-tag-len" in metadata:
        raise MediaDamaged(f"encrypted with {content_cipher[:60]!r}; only {_CONTENT_CIPHER} is understood")
    wrapping = metadata.get("x-amz-wrap-alg", _KEY_WRAPPING)
    if wrapping != _KEY_WRAPPING:
        raise MediaDamaged(f"content key wrapped with {wrapping[:60]!r}; only {_KEY_WRAPPING} is understood")


def _base64(metadata: Mapping[str, str], name: str) -> bytes:
    text = metadata.get(name)
    if not text or len(text) > _LONGEST_BASE64:
        raise MediaDamaged(f"the envelope has no usable {name}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MediaDamaged(f"the envelope's {name} is not base64") from None


def _plain_size(metadata: Mapping[str, str]) -> int | None:
    text = metadata.get(_LENGTH_NAME)
    if text is None:
        return None
    if not _LENGTH.fullmatch(text):
        raise MediaDamaged(f"the envelope's {_LENGTH_NAME} is no length")
    return int(text)
