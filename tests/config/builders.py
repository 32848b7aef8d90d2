"""Accounts, keys and homes to configure twfs with."""

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from twfs.config.config import Config
from twfs.config.load import load_config

ACCOUNT = "AC" + "1" * 32
OTHER_ACCOUNT = "AC" + "2" * 32
API_KEY = "SK" + "1" * 32
OTHER_API_KEY = "SK" + "2" * 32

ENVIRONMENT = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_KEY": API_KEY, "TWILIO_API_SECRET": "s3cret-of-env"}

_KEYS = [generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


def pem(index: int = 0, passphrase: bytes | None = None) -> bytes:
    """One of two private keys; encrypted if there is a passphrase."""
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return _KEYS[index].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def public_pem(index: int = 0) -> bytes:
    return _KEYS[index].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


class Home:
    """A home directory of its own, so that nothing of this machine is read but /etc/twfs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        return write(self.path / name, content, mode)

    def profiles(self, text: str) -> Path:
        return self.write(".config/twfs/config.toml", text)

    def load(
        self,
        source: str = "twilio:",
        overrides: Mapping[str, str] | None = None,
        environ: Mapping[str, str] = ENVIRONMENT,
    ) -> Config:
        return load_config(source, overrides or {}, {"HOME": str(self.path), **environ})
