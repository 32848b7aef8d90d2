"""The MD5 of a stored object, computed as its bytes come.

Of those that came before an interruption only the plaintext is left: CBC encryption with the object's own content key
and IV gives back exactly the bytes that are stored, so nothing needs to be fetched twice.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from twfs.crypto.envelope import parse_envelope
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.crypto.unlock import Unlocker
from twfs.probe import ObjectFacts
from twfs.transfer.aside import Aside

_MD5_ETAG = re.compile(r'"?([0-9a-f]{32})"?')
_MULTIPART_ETAG = re.compile(r'"?[0-9a-f]{32}-[0-9]{1,5}"?')


@dataclass(frozen=True, slots=True)
class Seal:
    """What an object was encrypted with."""

    content_key: bytes = field(repr=False)
    iv: bytes
    private_key: PrivateKey
    """The one that opens it."""
    plain_size: int


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
            return Seal(content_key, unlocked.iv, key, unlocked.plain_size)
    raise AssertionError(f"{unlocked.key_name} opened it and is not in the keyring")


def md5_of(facts: ObjectFacts) -> str | None:
    """The object's MD5, in hex, by its ETag; None if that is none."""
    match = None if facts.is_under_store_key else _MD5_ETAG.fullmatch(facts.etag)
    return match[1] if match else None


def is_multipart(etag: str) -> bool:
    """Whether it is the ETag of an object that was uploaded in parts: not its MD5."""
    return _MULTIPART_ETAG.fullmatch(etag) is not None


class StoredDigest:
    """The MD5 of a stored object in the making: hashed on a thread beside, which takes a whole core."""

    def __init__(self, seal: Seal | None) -> None:
        """For an object under `seal`, or for one that is not encrypted."""
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._encryptor = Cipher(AES(seal.content_key), CBC(seal.iv)).encryptor() if seal else None
        self._hashing = Aside()

    def update(self, stored: memoryview) -> None:
        """The next stored bytes; they must stay as they are until what is given to `afterwards` next is called."""
        self._hashing.run(self._md5.update, stored)

    def replay(self, plain: memoryview) -> None:
        """The next stored bytes by their plaintext, whole AES blocks, which is not needed any more on return."""
        self._hashing.run(self._md5.update, self._encryptor.update(plain) if self._encryptor else bytes(plain))

    def afterwards(self, call: Callable[[], None]) -> None:
        """Have `call` called, from whatever thread, once all that was given so far is hashed."""
        self._hashing.run(call)

    def finish(self) -> str:
        """The MD5 in hex, once all was given."""
        self._hashing.wait()
        return self._md5.hexdigest()

    def close(self) -> None:
        """Done with it, finished or not."""
        self._hashing.close()
