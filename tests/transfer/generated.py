"""Objects that no memory holds: their bytes are arithmetic."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

PATTERN = b"".join(hashlib.sha512(number.to_bytes(4)).digest() for number in range(2**14))
"""1 MiB that repeats itself only in the next one."""
_CONTENT_KEY = bytes(range(32))
_IV = bytes(range(16))


@dataclass(frozen=True)
class GeneratedObject:
    """An encrypted object whose ciphertext is a pattern; any ciphertext decrypts to something, so only the padding at
    its end is made by encryption."""

    size: int
    metadata: Mapping[str, str]
    content_type: str = "application/octet-stream"
    etag: str = field(init=False, default="")
    last_block: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        before = self._pattern(self.size - 32, self.size - 16)
        encryptor = Cipher(AES(_CONTENT_KEY), CBC(before)).encryptor()
        object.__setattr__(self, "last_block", encryptor.update(bytes([16]) * 16))
        object.__setattr__(self, "etag", self._md5())

    @property
    def plain_size(self) -> int:
        return self.size - 16

    def read(self, start: int, end: int) -> bytes:
        body = self._pattern(start, min(end, self.size - 16))
        return body + self.last_block[max(0, start - (self.size - 16)) : max(0, end - (self.size - 16))]

    def plain_md5(self) -> str:
        """MD5 of the plaintext, by whole-object decryption."""
        decryptor = Cipher(AES(_CONTENT_KEY), CBC(_IV)).decryptor()
        md5 = hashlib.md5()
        for start in range(0, self.plain_size, 2**20):
            md5.update(decryptor.update(self._pattern(start, min(start + 2**20, self.plain_size))))
        return md5.hexdigest()

    def _pattern(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        first = start % len(PATTERN)
        return (PATTERN * ((first + end - start) // len(PATTERN) + 1))[first : first + end - start]

    def _md5(self) -> str:
        md5 = hashlib.md5()
        for start in range(0, self.size, 2**20):
            md5.update(self.read(start, min(start + 2**20, self.size)))
        return md5.hexdigest()


def generated(size: int, public_key: RSAPublicKey, *, with_length: bool = True) -> GeneratedObject:
    """`size` bytes stored, a multiple of 16."""
    metadata = {
        "x-amz-key": base64.b64encode(public_key.encrypt(_CONTENT_KEY, PKCS1v15())).decode(),
        "x-amz-iv": base64.b64encode(_IV).decode(),
    }
    if with_length:
        metadata["x-amz-unencrypted-content-length"] = str(size - 16)
    return GeneratedObject(size, metadata)
