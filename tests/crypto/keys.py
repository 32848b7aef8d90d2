"""RSA keys and PEM files for tests; made once per run, small because only their structure matters."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from twfs.crypto.keyring import Keyring, PrivateKey


def rsa_key(number: int = 0, bits: int = 1024) -> RSAPrivateKey:
    """The `number`-th key of the run."""
    return _made(number, bits)


@cache
def _made(number: int, bits: int) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=bits)


def private_key(number: int = 0, bits: int = 1024) -> PrivateKey:
    return PrivateKey(rsa_key(number, bits), f"key {number}")


def keyring(*numbers: int) -> Keyring:
    return Keyring([private_key(number) for number in numbers])


def wrap(content_key: bytes, number: int = 0, bits: int = 1024) -> bytes:
    """`content_key` wrapped for the `number`-th key."""
    return rsa_key(number, bits).public_key().encrypt(content_key, PKCS1v15())


def pem(key: object, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes | None = None) -> bytes:
    """A private key as PEM, encrypted if there is a passphrase."""
    lock: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, lock)  # type: ignore[attr-defined, no-any-return]
