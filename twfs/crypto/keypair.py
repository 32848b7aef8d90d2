"""New RSA key pairs, in the forms of the commands that Twilio's document gives."""

from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_PUBLIC_EXPONENT = 65537
"""As `openssl genrsa` chooses it."""


class KeyPairPem(NamedTuple):
    """Both halves in PEM."""

    private: bytes
    """PKCS#1, as `openssl genrsa -traditional`."""
    public: bytes
    """SubjectPublicKeyInfo, as `openssl rsa -pubout`: what Twilio takes."""

    def __repr__(self) -> str:
        """Nothing of the private half."""
        return "KeyPairPem(...)"


def generate_key_pair(bits: int = 2048) -> KeyPairPem:
    """A new key pair of `bits` bits; takes a tenth of a second or more."""
    key = generate_private_key(_PUBLIC_EXPONENT, bits)
    return KeyPairPem(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
