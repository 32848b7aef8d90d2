"""The customer's RSA private keys: read from PEM, and asked which of them a content key was wrapped for."""

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from twfs.crypto.cbc import KEY_SIZES
from twfs.errors import ConfigError

_BEGINNING = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class PrivateKey:
    """One RSA private key and the name of where it came from; its repr shows no more than these."""

    def __init__(self, key: RSAPrivateKey, name: str) -> None:
        """`name` is for messages: the file's path."""
        self._key = key
        self.name = name
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        """SHA-256 of the public key's SubjectPublicKeyInfo, in hex."""

    def __repr__(self) -> str:
        """Name and fingerprint."""
        return f"PrivateKey({self.name}, {self._key.key_size} bits, {self.fingerprint[:16]})"

    def unwrap(self, wrapped_key: bytes) -> bytes | None:
        """The content key, perhaps: bytes of a legal length, or None.

        OpenSSL from 3.2 rejects PKCS#1 v1.5 implicitly: for what was not wrapped for this key it answers
        random-looking bytes of random length instead of an error, of a legal length once in about 80 times. So the
        answer is only a candidate: see `wraps_legal_key` and `twfs.crypto.unlock`.
        """
        try:
            candidate = self._key.decrypt(wrapped_key, PKCS1v15())
        except ValueError:
            return None
        return candidate if len(candidate) in KEY_SIZES else None

    def wraps_legal_key(self, wrapped_key: bytes) -> bool:
        """Whether `wrapped_key` really was wrapped for this key, by its PKCS#1 v1.5 structure (RFC 8017, 7.2.2).

        OpenSSL hides this on purpose, and no library function tells it. A wrong key passes with a chance of about
        2**-22. Takes some milliseconds, a hundred times as long as `unwrap`.
        """
        encoded = self._raw_decrypt(wrapped_key)
        separator = encoded.find(b"\0", 2)
        return encoded.startswith(b"\x00\x02") and separator >= 10 and len(encoded) - separator - 1 in KEY_SIZES

    def _raw_decrypt(self, wrapped_key: bytes) -> bytes:
        """RSADP by the Chinese remainder theorem (RFC 8017, 5.1.2); blinded, so the time taken tells nothing."""
        numbers = self._key.private_numbers()
        modulus, public_exponent = numbers.public_numbers.n, numbers.public_numbers.e
        blind = secrets.randbelow(modulus - 2) + 2
        blinded = int.from_bytes(wrapped_key) * pow(blind, public_exponent, modulus) % modulus
        by_p = pow(blinded % numbers.p, numbers.dmp1, numbers.p)
        by_q = pow(blinded % numbers.q, numbers.dmq1, numbers.q)
        message = by_q + numbers.q * ((by_p - by_q) * numbers.iqmp % numbers.p)
        return (message * pow(blind, -1, modulus) % modulus).to_bytes((modulus.bit_length() + 7) // 8)


class Keyring:
    """All private keys at hand, in the order given; several because of key rotation."""

    def __init__(self, keys: Sequence[PrivateKey]) -> None:
        """Keys given twice are kept once."""
        self._keys = tuple({key.fingerprint: key for key in keys}.values())

    def __iter__(self) -> Iterator[PrivateKey]:
        """The keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many."""
        return len(self._keys)


def is_public_only(pem: bytes) -> bool:
    """Whether it holds a public key and no private one; some tools write both halves into one file."""
    return b"PUBLIC KEY-----" in pem and b"PRIVATE KEY-----" not in pem


def parse_private_key(pem: bytes, passphrase: bytes | None, name: str) -> PrivateKey:
    """A private key from PEM: PKCS#1, PKCS#8 or encrypted PKCS#8 (or encrypted traditional).

    Raises:
        ConfigError: no PEM, no RSA, a public key, several keys, or the passphrase is missing or wrong.
    """
    if is_public_only(pem):
        raise ConfigError(f"{name} holds a public key; private_key needs the private one")
    if len(_BEGINNING.findall(pem)) > 1:
        # Only the first would be read, and the media of the others would be locked without a word of why.
        raise ConfigError(f"{name} holds several private keys; give each a file of its own")
    key = _load(pem, passphrase, name)
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"{name} is no RSA key; Twilio encrypts for RSA keys only")
    return PrivateKey(key, name)


def _load(pem: bytes, passphrase: bytes | None, name: str) -> object:
    """Whatever private key it is; keys that need no passphrase leave it aside: it may be meant for another one."""
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        if passphrase is None:
            raise ConfigError(f"{name} is encrypted; give private_key_passphrase_file") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{name} cannot be read: no PEM private key") from None
    try:
        return load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"{name} cannot be read: wrong passphrase or damaged file") from None
