"""A simulated account with everything it takes to use it: shared by `twfs demo` and `twfs simulator`."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from twfs.crypto.keypair import generate_key_pair
from twfs.errors import ConfigError
from twfs.invocation import pip_remedy

if TYPE_CHECKING:
    from twfs.simulator.account import SimulatedAccount
    from twfs.simulator.server import Simulator

PROFILE = "demo"


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running simulator and the files that a client needs."""

    simulator: "Simulator"
    folder: Path
    """Readable by its owner alone; gone when the simulator ends."""

    @property
    def config_file(self) -> Path:
        """Configuration with the one profile `demo`."""
        return self.folder / "config.toml"

    @property
    def source(self) -> str:
        """SOURCE of commands that are to use it."""
        return f"twilio:{PROFILE}"

    @property
    def flags(self) -> list[str]:
        """Flags of commands that are to use it."""
        return ["--config", str(self.config_file)]

    @property
    def credentials_file(self) -> Path:
        """Credentials of the simulated account."""
        return self.folder / "credentials"


@contextmanager
def simulated_account(
    port: int = 0, media: Path | None = None, public_key_file: Path | None = None
) -> Iterator[Simulated]:
    """A simulator on loopback, with a folder of configuration, credentials and private key, while the block runs.

    Args:
        port: to listen at; 0 is any free one.
        media: the user's own files instead of the samples.
        public_key_file: whom to encrypt for; by default a key pair of its own, its private key in the folder.

    Raises:
        ConfigError: aiohttp is not installed, or a file cannot be used.
        OSError: the port cannot be had.
    """
    _need_aiohttp()
    from twfs.simulator.server import Simulator  # noqa: PLC0415 - needs aiohttp, which is optional

    folder = Path(tempfile.mkdtemp(prefix="twfs-"))
    try:
        public_pem = _read_public_key(public_key_file) if public_key_file else _make_key_pair(folder)
        with Simulator(_account(media, public_pem), port=port) as simulator:
            _write_files(folder, simulator)
            yield Simulated(simulator, folder)
    finally:
        shutil.rmtree(folder)


def _need_aiohttp() -> None:
    if find_spec("aiohttp") is None:
        raise ConfigError(f"the simulator needs aiohttp, which is not installed; {pip_remedy('aiohttp')}")


def _account(media: Path | None, public_pem: bytes) -> "SimulatedAccount":
    from twfs.simulator.samples import account_from_folder, sample_account  # noqa: PLC0415 - as above
    from twfs.simulator.sealing import sealing_key  # noqa: PLC0415 - as above

    try:
        public_key = sealing_key(public_pem)
    except ValueError as error:
        raise ConfigError(f"the public key cannot be used: {error}; give an RSA key in PEM form") from None
    return account_from_folder(media, public_key) if media else sample_account(public_key, now=datetime.now(UTC))


def _make_key_pair(folder: Path) -> bytes:
    pair = generate_key_pair()
    _write_private(folder / "private_key.pem", pair.private.decode())
    return pair.public


def _read_public_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _write_files(folder: Path, simulator: "Simulator") -> None:
    account = simulator.account
    _write_private(
        folder / "credentials",
        f"account_sid={account.account_sid}\napi_key={account.api_key}\napi_secret={account.api_secret}\n",
    )
    options = {
        "api_url": simulator.url,
        "accounts_url": simulator.url,
        "credentials": str(folder / "credentials"),
        "state_dir": str(folder / "state"),
    }
    if (folder / "private_key.pem").exists():
        options["private_key"] = str(folder / "private_key.pem")
    # A JSON text is a TOML text.
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    _write_private(folder / "config.toml", "\n".join([f"[profiles.{PROFILE}]", *lines, ""]))


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
