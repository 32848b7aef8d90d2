"""RSA key pairs: new ones, in the forms of the commands that Twilio's document gives, and the public half of any."""

import hashlib
import re
import secrets
from pathlib import PurePath
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from twfs.crypto.key_file import holds_private_key
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.errors import ConfigError
from twfs.invocation import pasteable

_PUBLIC_EXPONENT = 65537
"""As `openssl genrsa` chooses it."""

_PROOF_SIZE = 32
"""Bytes of the longest content key."""


class KeyPairPem(NamedTuple):
    """Both halves in PEM."""

    private: bytes
    """PKCS#1, as `openssl genrsa -traditional`; with a passphrase encrypted PKCS#8, as `openssl pkcs8 -topk8`."""
    public: bytes
    """SubjectPublicKeyInfo, as `openssl rsa -pubout`: what Twilio takes."""
    fingerprint: str
    """As `PublicKey.fingerprint`."""

    def __repr__(self) -> str:
        """Nothing of the private half."""
        return f"KeyPairPem({self.fingerprint[:16]})"


class PublicKey:
    """One RSA public key: what Twilio wraps content keys for."""

    def __init__(self, key: RSAPublicKey, name: str) -> None:
        """`name` is for messages: the file's path."""
        self._key = key
        self.name = name
        self.bits = key.key_size
        self.pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        """SubjectPublicKeyInfo, whatever form it was read from, and nothing beside it."""
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        """SHA-256 of the SubjectPublicKeyInfo, in hex: the same as the private half's."""

    def wrap(self, content_key: bytes) -> bytes:
        """The content key wrapped as Twilio does it: RSA PKCS#1 v1.5."""
        return self._key.encrypt(content_key, PKCS1v15())


def generate_key_pair(bits: int = 2048, passphrase: bytes | None = None) -> KeyPairPem:
    """A new key pair of `bits` bits; takes a tenth of a second or more."""
    key = generate_private_key(_PUBLIC_EXPONENT, bits)
    if passphrase is None:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    else:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    public = PublicKey(key.public_key(), "")
    return KeyPairPem(private, public.pem.encode("ascii"), public.fingerprint)


def parse_public_key(content: bytes, name: str) -> PublicKey:
    """An RSA public key from PEM or DER: SubjectPublicKeyInfo or PKCS#1.

    Raises:
        ConfigError: no such key, no RSA, or there is a private key in it, which must be given to nobody.
    """
    if holds_private_key(content):
        half = _written_by(_OF_OPENSSH if b"BEGIN OPENSSH" in content else _OF_PRIVATE, name)
        raise ConfigError(f"{name} holds a private key, which is for nobody else; give its public half: {half}")
    try:
        key = load_der_public_key(content) if content.startswith(b"\x30") else load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{name} cannot be read: no PEM public key{_instead(content, name)}") from None
    if not isinstance(key, RSAPublicKey):
        raise ConfigError(f"{name} is no RSA key; Twilio encrypts for RSA keys only")
    return PublicKey(key, name)


_OF_PRIVATE = ("openssl", "pkey", "-pubout", "-in")
_OF_OPENSSH = ("ssh-keygen", "-e", "-m", "PKCS8", "-f")
_OTHER_FORMS = (
    (re.compile(rb"BEGIN (?:TRUSTED )?CERTIFICATE-"), "a certificate", ("openssl", "x509", "-noout", "-pubkey", "-in")),
    (re.compile(rb"BEGIN (?:NEW )?CERTIFICATE REQUEST-"), "a request", ("openssl", "req", "-noout", "-pubkey", "-in")),
    (re.compile(rb"ssh-rsa "), "an OpenSSH key", _OF_OPENSSH),
)
"""What holds a public key in another form, and the command, but for the file's name, that prints it in PEM."""


def _instead(content: bytes, name: str) -> str:
    for form, what, command in _OTHER_FORMS:
        if form.search(content):
            return f", but {what}; run: {_written_by(command, name)}"
    return " (-----BEGIN PUBLIC KEY-----)"


def _written_by(command: tuple[str, ...], name: str) -> str:
    return f"{pasteable(*command, name)} > {pasteable(PurePath(name).with_suffix('.public.pem'))}"


def answering_key(public: PublicKey, keyring: Keyring) -> PrivateKey | None:
    """The private key at hand that unwraps what was wrapped for `public`, proven by doing both; None: there is none."""
    content_key = secrets.token_bytes(_PROOF_SIZE)
    wrapped = public.wrap(content_key)
    return next((key for key in keyring if key.unwrap(wrapped) == content_key), None)
