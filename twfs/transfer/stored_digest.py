"""The MD5 of a stored object, computed from its plaintext.

CBC encryption with the object's own content key and IV, and PKCS#7 padding, gives back exactly the bytes that are
stored. So what was read, decrypted and written proves itself against S3's ETag, without fetching anything twice.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK
from twfs.crypto.envelope import parse_envelope
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.crypto.unlock import Unlocker
from twfs.probe import ObjectFacts
from twfs.transfer.aside import Aside

LARGEST_UPDATE = 2**20
"""Bytes that `update` takes at once."""

_MD5_ETAG = re.compile(r'"?([0-9a-f]{32})"?')
_MULTIPART_ETAG = re.compile(r'"?[0-9a-f]{32}-[0-9]{1,5}"?')


@dataclass(frozen=True, slots=True)
class Seal:
    """What an object was encrypted with."""

    content_key: bytes = field(repr=False)
    iv: bytes
    private_key: PrivateKey
    """The one that opens it."""


def seal_of(facts: ObjectFacts, keyring: Keyring) -> Seal | None:
    """The seal of an object that `keyring` opens; None if it is not encrypted.

    Raises:
        NoKey, MediaDamaged: as `Unlocker.unlock`.
    """
    unlocked = Unlocker(keyring).unlock(facts)
    envelope = parse_envelope(facts.metadata)
    if unlocked is None or envelope is None:
        return None
    for key in keyring:
        content_key = key.unwrap(envelope.wrapped_key) if key.name == unlocked.key_name else None
        if content_key is not None:
            return Seal(content_key, unlocked.iv, key)
    raise AssertionError(f"{unlocked.key_name} opened it and is not in the keyring")


def md5_in(etag: str) -> str | None:
    """The MD5, in hex, that an ETag may be; None if it is none for certain."""
    match = _MD5_ETAG.fullmatch(etag)
    return match[1] if match else None


def is_multipart(etag: str) -> bool:
    """Whether it is the ETag of an object that was uploaded in parts: not its MD5."""
    return _MULTIPART_ETAG.fullmatch(etag) is not None


class Digest(Protocol):
    """The MD5 of a stored object in the making."""

    def update(self, plain: memoryview) -> None:
        """The next plaintext, at most `LARGEST_UPDATE` bytes; not needed any more on return."""

    def finish(self) -> str:
        """The MD5 in hex, once all plaintext was given."""

    def close(self) -> None:
        """Done with it, finished or not."""


def stored_digest(seal: Seal | None) -> Digest:
    """For an object under `seal`, or for one that is not encrypted."""
    return _PlainDigest() if seal is None else _SealedDigest(seal)


class _PlainDigest:
    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, plain: memoryview) -> None:
        self._md5.update(plain)

    def finish(self) -> str:
        return self._md5.hexdigest()

    def close(self) -> None:
        """Nothing to give back."""


class _SealedDigest:
    """Encrypts in the caller's thread, and hashes the piece before in another one: each takes a core."""

    def __init__(self, seal: Seal) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._encryptor = Cipher(AES(seal.content_key), CBC(seal.iv)).encryptor()
        self._buffers = [memoryview(bytearray(LARGEST_UPDATE + IN_PLACE_SLACK)) for _ in range(2)]
        self._hashing = Aside()
        self._size = 0

    def update(self, plain: memoryview) -> None:
        # While one buffer is hashed the other is filled; `run` waits until the first is free again.
        buffer = self._buffers[0]
        count = self._encryptor.update_into(plain, buffer)
        self._size += len(plain)
        self._hashing.run(self._md5.update, buffer[:count])
        self._buffers.reverse()

    def finish(self) -> str:
        count = AES_BLOCK - self._size % AES_BLOCK
        self.update(memoryview(bytes([count]) * count))
        self._hashing.wait()
        return self._md5.hexdigest()

    def close(self) -> None:
        self._hashing.__exit__(None, None, None)
