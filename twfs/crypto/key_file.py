"""What a key file holds: its RSA private keys, in whatever form, and why the rest of it cannot be used.

Labels are not believed: openssl reads PKCS#8 under `BEGIN RSA PRIVATE KEY` and PKCS#1 under `BEGIN PRIVATE KEY` or even
`BEGIN PUBLIC KEY`, and so does this module, for what stands inside says which of them it is.
"""

import base64
import binascii
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
    load_ssh_private_key,
)

from twfs.crypto.keyring import PassedOver, PrivateKey
from twfs.invocation import pasteable

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 .]+)-----((?:(?!-----BEGIN).)*?)-----END \1-----", re.DOTALL)
_SECRET = re.compile(rb"---- ?BEGIN [A-Z0-9 .]*PRIVATE KEY|^PuTTY-User-Key-File-", re.MULTILINE)
"""Where a private key begins: PEM, OpenSSH, PGP, ssh.com (four dashes and a space) or PuTTY."""
_OPENSSH_MAGIC = b"openssh-key-v1\0"
"""The first bytes of what OpenSSH writes between its labels (PROTOCOL.key)."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks: PowerShell writes what a command prints in UTF-16."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What was found in one file, in its order."""

    keys: tuple[PrivateKey, ...]
    passed_over: tuple[PassedOver, ...]
    """Private keys that cannot be used; or, if there is no private key at all, what there is instead."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A key in a form that is not read here."""

    what: str
    convert: str
    """The command, for the shell: `{old}` is the file, `{new}` the one to make."""


_OPENSSH = _Form("an encrypted OpenSSH key", "cp {old} {new} && ssh-keygen -p -m PKCS8 -f {new}")
_PKCS12 = _Form("a PKCS#12 store", "openssl pkcs12 -in {old} -nocerts -out {new}")
_PUTTY = _Form("a PuTTY key", "puttygen {old} -O private-openssh -o {new}")
_SSH_COM = _Form("a key of ssh.com's", "umask 077; ssh-keygen -i -f {old} > {new}")
_OLD_CIPHER = _Form("encrypted by a cipher that twfs does not know", "openssl pkey -in {old} -aes256 -out {new}")


def holds_private_key(content: bytes) -> bool:
    """Whether there is a private key of any kind in a file's content, so that nobody else may read it."""
    text = _as_bytes_of_text(content)
    return _SECRET.search(text) is not None or _is_private_der(content) or next(_private_blocks(text), None) is not None


def parse_key_file(content: bytes, passphrase: bytes | None, name: str) -> KeyFile:
    """All that a key file holds; never raises.

    Args:
        content: PEM (PKCS#1, PKCS#8, OpenSSH; text around it, CRLF and a byte order mark do no harm), or DER.
        passphrase: opens those keys that are encrypted; the others do not need it.
        name: the file's path, for messages and for commands to run.
    """
    if _is_private_der(content):
        found: list[_Found] = [_PKCS12] if _is_pkcs12(content) else [_from_der(content, passphrase)]
    else:
        found = list(_from_text(_as_bytes_of_text(content), passphrase))
    keys = tuple(PrivateKey(key, name) for key in found if isinstance(key, RSAPrivateKey))
    passed_over = tuple(_passed_over(what, name) for what in found if isinstance(what, _Form | PassedOver))
    return KeyFile(keys, passed_over if keys or passed_over else (_without_key(content, name),))


_Found = RSAPrivateKey | _Form | PassedOver
"""A key, the form of one that is not read here, or why there is none; without the file's name, which is added later."""


def _passed_over(what: _Form | PassedOver, name: str) -> PassedOver:
    if isinstance(what, PassedOver):
        return PassedOver(name, what.why.format(old=pasteable(name)), may_be_needed=what.may_be_needed)
    new = str(PurePath(name).with_suffix(".converted.pem"))
    command = what.convert.format(old=pasteable(name), new=pasteable(new))
    return PassedOver(name, f"is {what.what}; convert it: {command}", may_be_needed=True)


def _why(text: str, *, may_be_needed: bool = True) -> PassedOver:
    return PassedOver("", text, may_be_needed=may_be_needed)


_NO_RSA = _why("is no RSA key; Twilio encrypts for RSA keys only", may_be_needed=False)
_LOCKED = _why("is encrypted; give private_key_passphrase_file")
_WRONG_PASSPHRASE = _why("cannot be opened: wrong passphrase, or a damaged file")
_DAMAGED = _why(
    "holds a damaged private key, or one of a form that twfs does not know; openssl says more:"
    " openssl pkey -in {old} -noout -check"
)


def _from_text(text: bytes, passphrase: bytes | None) -> Iterator[_Found]:
    """Each private key of a text."""
    blocks = list(_private_blocks(text))
    for label, body in blocks:
        yield _from_block(label, body, passphrase)
    if text.lstrip().startswith(b"PuTTY-User-Key-File-"):
        yield _PUTTY
    elif b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----" in text:
        yield _SSH_COM
    elif len(_SECRET.findall(text)) > sum(_says_private(label) for label, _ in blocks):
        # One that begins and does not end.
        yield _DAMAGED


def _private_blocks(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Label and body of each block that is a private key, by what its label says or by what it holds."""
    for label, body in _BLOCK.findall(text):
        inside = _decoded(body) or b""
        holds_one = inside.startswith(_OPENSSH_MAGIC) or _is_private_der(inside)
        if _says_private(label) or (holds_one and not label.endswith(b"PARAMETERS")):
            yield label, body


def _says_private(label: bytes) -> bool:
    return b"PRIVATE KEY" in label


def _decoded(body: bytes) -> bytes | None:
    """What the base64 of a block's body says; None if it is none."""
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return None


def _from_block(label: bytes, body: bytes, passphrase: bytes | None) -> _Found:
    if label.startswith(b"PGP"):
        return _NO_RSA
    if b":" in body:  # Proc-Type and DEK-Info: encrypted as PKCS#1 is.
        return _loaded(lambda secret: load_pem_private_key(_pem(_encrypted_label(label), body), secret), passphrase)
    inside = _decoded(body)
    if inside is None:
        return _DAMAGED
    if inside.startswith(_OPENSSH_MAGIC):
        found = _loaded(lambda secret: load_ssh_private_key(_pem(b"OPENSSH PRIVATE KEY", body), secret), passphrase)
        # These are opened only where the library bcrypt is installed.
        return _OPENSSH if found in (_LOCKED, _OLD_CIPHER) else found
    return _from_der(inside, passphrase)


def _encrypted_label(label: bytes) -> bytes:
    return label if label in (b"EC PRIVATE KEY", b"DSA PRIVATE KEY") else b"RSA PRIVATE KEY"


def _pem(label: bytes, body: bytes) -> bytes:
    """The block as OpenSSL writes it, whatever the ends of its lines were."""
    lines = [line.strip() for line in body.strip().splitlines()]
    return b"\n".join([b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----", b""])


def _from_der(der: bytes, passphrase: bytes | None) -> _Found:
    whole = der[: _length(der)]  # What comes behind, such as an editor's end of line, is not part of it.
    return _loaded(lambda secret: load_der_private_key(whole, secret), passphrase)


def _loaded(load: Callable[[bytes | None], object], passphrase: bytes | None) -> _Found:
    """What `load` makes of it; keys that need no passphrase leave it aside: it may be meant for another one."""
    try:
        with warnings.catch_warnings():
            # That the library will drop some kind of key is no news to a user whose key of that kind is not used.
            warnings.simplefilter("ignore")
            key = load(None)
    except TypeError:
        return _opened(load, passphrase)
    except UnsupportedAlgorithm:
        return _NO_RSA
    except ValueError:
        return _DAMAGED
    return key if isinstance(key, RSAPrivateKey) else _NO_RSA


def _opened(load: Callable[[bytes | None], object], passphrase: bytes | None) -> _Found:
    if passphrase is None:
        return _LOCKED
    try:
        key = load(passphrase)
    except UnsupportedAlgorithm:
        return _OLD_CIPHER
    except (ValueError, TypeError) as error:
        # cryptography from 43 on raises ValueError for a cipher, too, and only its text tells.
        return _OLD_CIPHER if "encryption algorithm" in str(error) else _WRONG_PASSPHRASE
    return key if isinstance(key, RSAPrivateKey) else _NO_RSA


def _without_key(content: bytes, name: str) -> PassedOver:
    labels = [label.decode("ascii").lower() for label, _ in _BLOCK.findall(_as_bytes_of_text(content))]
    if not content.strip():
        why = "is empty"
    elif labels:
        why = f"holds no private key, only: {', '.join(dict.fromkeys(labels))}"
    else:
        why = "holds no private key (-----BEGIN PRIVATE KEY-----)"
    return PassedOver(name, why, may_be_needed=False)


def _as_bytes_of_text(content: bytes) -> bytes:
    return content.decode("utf-16", errors="replace").encode() if content.startswith(_UTF16) else content


def _is_private_der(content: bytes) -> bool:
    """Whether it is DER of a private key or PKCS#12: a sequence that begins with a version number.

    Certificates, requests, CRLs and public keys begin with a sequence or a large number, PKCS#7 with an identifier;
    so does encrypted PKCS#8, whose identifier is one of the password-based ciphers of PKCS#5 and PKCS#12.
    """
    inner = _inside(content)
    is_versioned = inner.startswith(b"\x02\x01")
    is_encrypted = _inside(inner)[2:].startswith(_PASSWORD_BASED)
    return is_versioned or is_encrypted


def _is_pkcs12(der: bytes) -> bool:
    return _inside(der).startswith(b"\x02\x01\x03")


_PASSWORD_BASED = (bytes.fromhex("2a864886f70d0105"), bytes.fromhex("2a864886f70d010c01"))
"""The object identifiers 1.2.840.113549.1.5 (PKCS#5) and 1.2.840.113549.1.12.1 (PKCS#12), which these begin with."""


def _inside(der: bytes) -> bytes:
    """The first bytes of a sequence's content (X.690, 8.1.3); empty if it is none."""
    if not der.startswith(b"\x30") or len(der) < 2:
        return b""
    return der[_header_size(der) :][:64]


def _length(der: bytes) -> int:
    """Bytes of the sequence that `der` begins with, its header included; all there are if it is none."""
    if not der.startswith(b"\x30") or len(der) < 2 or der[1] == 0x80:
        return len(der)
    content = int.from_bytes(der[2 : _header_size(der)]) if der[1] & 0x80 else der[1]
    return _header_size(der) + content


def _header_size(der: bytes) -> int:
    return 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
