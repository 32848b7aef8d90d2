"""Encrypts as Twilio does: the AWS S3 client-side encryption V1 envelope ("encryption only").

The only simulator module that uses cryptography. Written apart from `twfs.crypto` on purpose: the client must not
be proven by its own code.
"""

import base64
import os

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from twfs.simulator.objects import StoredObject

SealingKey = RSAPublicKey
"""What media are encrypted for."""

_BLOCK_BITS = 128


def seal(
    plain: bytes,
    public_key: SealingKey,
    *,
    key_bits: int = 256,
    with_length: bool = True,
    iv: bytes | None = None,
    part_size: int | None = None,
) -> StoredObject:
    """`plain` as AES/CBC/PKCS5Padding, its content key wrapped by RSA PKCS#1 v1.5 for `public_key`.

    Headers as in AWS's encryption client V1: x-amz-key, x-amz-iv, x-amz-matdesc and, unless `with_length` is false,
    x-amz-unencrypted-content-length. `key_bits` is 128, 192 or 256; `part_size` as in `StoredObject`.
    """
    content_key = os.urandom(key_bits // 8)
    iv = os.urandom(16) if iv is None else iv
    metadata = {
        "x-amz-key": _text(public_key.encrypt(content_key, PKCS1v15())),
        "x-amz-iv": _text(iv),
        "x-amz-matdesc": "{}",
    }
    if with_length:
        metadata["x-amz-unencrypted-content-length"] = str(len(plain))
    return StoredObject(_encrypt(plain, content_key, iv), metadata, part_size=part_size, plain=plain)


def throwaway_public_key() -> SealingKey:
    """A key whose private part nobody has."""
    return generate_private_key(public_exponent=65537, key_size=2048).public_key()


def sealing_key(pem: bytes) -> SealingKey:
    """The key that Twilio would encrypt for.

    Raises:
        ValueError: no RSA key, or it does not begin with `-----BEGIN PUBLIC KEY-----`.
    """
    if not pem.strip().startswith(b"-----BEGIN PUBLIC KEY-----"):
        raise ValueError("no public key in PEM form")
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm:
        key = None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("no RSA key")  # noqa: TRY004  (the text is wrong, not its type)
    return key


def is_public_key_pem(text: str) -> bool:
    """Whether Twilio would take it as a public key."""
    try:
        sealing_key(text.encode())
    except ValueError:
        return False
    return True


def _encrypt(plain: bytes, content_key: bytes, iv: bytes) -> bytes:
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(AES(content_key), CBC(iv)).encryptor()
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
