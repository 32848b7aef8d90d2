"""Whole-object encryption as its writers do it, by `cryptography` alone: what the code under test is compared with."""

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from tests.crypto.keys import wrap
from twfs.probe import ObjectFacts

IV = bytes(range(100, 116))


def encrypt(plain: bytes, content_key: bytes, iv: bytes = IV) -> bytes:
    padder = PKCS7(128).padder()
    return encrypt_blocks(padder.update(plain) + padder.finalize(), content_key, iv)


def encrypt_blocks(blocks: bytes, content_key: bytes, iv: bytes = IV) -> bytes:
    """Without padding."""
    encryptor = Cipher(AES(content_key), CBC(iv)).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


@dataclass(frozen=True)
class SealedObject:
    """A stored object and the metadata beside it."""

    ciphertext: bytes
    metadata: dict[str, str]

    @property
    def facts(self) -> ObjectFacts:
        """What a probe would tell."""
        return ObjectFacts(len(self.ciphertext), '"etag"', self.metadata, self.ciphertext[-32:])


def seal(
    plain: bytes,
    *,
    content_key: bytes = bytes(32),
    wrapped_key: bytes | None = None,
    plain_size: int | None = -1,
) -> SealedObject:
    """`plain` for key 0; `plain_size` is what the header claims: the truth by default, None leaves it out."""
    metadata = {
        "x-amz-key": base64.b64encode(wrap(content_key) if wrapped_key is None else wrapped_key).decode(),
        "x-amz-iv": base64.b64encode(IV).decode(),
        "x-amz-matdesc": "{}",
    }
    if plain_size is not None:
        metadata["x-amz-unencrypted-content-length"] = str(len(plain) if plain_size == -1 else plain_size)
    return SealedObject(encrypt(plain, content_key), metadata)
