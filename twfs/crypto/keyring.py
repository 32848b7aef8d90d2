"""The customer's RSA private keys: those at hand, and which of them a content key was wrapped for."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twfs.crypto.cbc import KEY_SIZES

NO_KEY = "no private key: encrypted media are listed but cannot be opened; give private_key=PATH"
"""What a mount without any should tell before a medium does not open."""


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


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file among the private keys, or one of the keys in it, that cannot be used."""

    name: str
    """The file's path."""
    why: str
    """Behind the name it is a sentence: `holds no private key, only: certificate`."""
    may_be_needed: bool
    """Whether it is, or may be, an RSA private key, so that media may stay locked for want of it."""

    def __str__(self) -> str:
        """The sentence."""
        return f"{self.name} {self.why}"


class Keyring:
    """All private keys at hand, in the order given; several because of key rotation. Safe for use by several threads.

    All who hold the ring see the keys that are added to it: a mount learns new ones while it stands.
    """

    def __init__(self, keys: Iterable[PrivateKey], passed_over: Sequence[PassedOver] = ()) -> None:
        """Keys given twice are kept once."""
        self._keys = _distinct(keys)
        self.passed_over = tuple(passed_over)
        """What was found beside them and cannot be used."""

    def __iter__(self) -> Iterator[PrivateKey]:
        """The keys as they are now."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many."""
        return len(self._keys)

    def learn(self, other: "Keyring") -> list[PrivateKey]:
        """Add the keys of `other` behind those known, and take over what it passed over; the keys that are new."""
        known = {key.fingerprint for key in self._keys}
        new = [key for key in other if key.fingerprint not in known]
        if new:
            self._keys = _distinct((*self._keys, *new))
        self.passed_over = other.passed_over
        return new

    def none_does(self, verb: str) -> str:
        """A sentence, for messages: that none of the keys fits, where the verb is `fit`."""
        if not self._keys:
            return f"there is no private key at hand, so none {verb}s"
        if len(self._keys) == 1:
            return f"the private key at hand does not {verb}"
        return f"none of the {len(self._keys)} private keys at hand {verb}s"

    def shortcomings(self) -> list[str]:
        """What users should know before a medium does not open: private keys that cannot be used, or that none can."""
        closed = [f"passed over: {each}" for each in self.passed_over if each.may_be_needed]
        return closed if self._keys else [*closed, NO_KEY]


def _distinct(keys: Iterable[PrivateKey]) -> tuple[PrivateKey, ...]:
    found: dict[str, PrivateKey] = {}
    for key in keys:
        found.setdefault(key.fingerprint, key)
    return tuple(found.values())
