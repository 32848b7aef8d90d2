"""Real mounts for tests: `twfs mount` in a process of its own against the simulator, always unmounted at the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from twfs.mount.system import is_mounted, unmount
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.server import Simulator

PATIENCE = 120.0
"""Seconds until a test gives up waiting; generous, because machines are slow and noisy."""

needs_fuse = pytest.mark.skipif(
    not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="needs read and write on /dev/fuse"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
both_bindings = pytest.mark.parametrize("fuse", ["3", "2"])


@dataclass
class Customer:
    """The customer's side of one account: a folder with credentials, private keys and state, and a mountpoint."""

    folder: Path
    account: SimulatedAccount
    simulator: Simulator
    options: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What is mounted."""
        return f"twilio:{self.account.account_sid}"

    @property
    def mountpoint(self) -> Path:
        """Where."""
        return self.folder / "mnt"

    def option_text(self, **more: str) -> str:
        """All options, as `-o` takes them."""
        return ",".join(f"{name}={value}" for name, value in (self.options | more).items())

    def give_keys(self, *keys: RSAPrivateKey) -> None:
        """The private keys at hand from now on."""
        paths = [secret_file(self.folder / f"private_key_{number}.pem", pem(key)) for number, key in enumerate(keys)]
        self.options["private_key"] = ":".join(map(str, paths))


@dataclass
class Mounted:
    """A mount that stands."""

    path: Path
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        """What it has written to stderr so far."""
        return self.log_file.read_text()

    def file(self, sid: str) -> Path:
        """The medium's file."""
        folder = "recordings" if sid.startswith("RT") else "compositions"
        return next((self.path / folder).glob(f"{sid}.*"))


@contextmanager
def customer(folder: Path, account: SimulatedAccount, *keys: RSAPrivateKey, **simulator: float) -> Iterator[Customer]:
    """A customer of `account`, which is served by a simulator while the block runs."""
    with Simulator(account, **simulator) as served:  # type: ignore[arg-type]
        credentials = f"account_sid={account.account_sid}\napi_key={account.api_key}\napi_secret={account.api_secret}\n"
        place = Customer(folder, account, served)
        place.mountpoint.mkdir()
        place.options = {
            "credentials": str(secret_file(folder / "credentials", credentials.encode())),
            "api_url": served.url,
            "accounts_url": served.url,
            "state_dir": str(folder / "state"),
        }
        place.give_keys(*keys)
        yield place


@contextmanager
def mounted(place: Customer, **options: str) -> Iterator[Mounted]:
    """`twfs mount -f` while the block runs; fails if it ends badly, leaves something, or wrote a traceback."""
    log_file = place.folder / f"log-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "twfs", "mount", place.source, str(place.mountpoint), "-f"]
    with log_file.open("wb") as log:
        words = [*command, "-o", place.option_text(**options)]
        # Without the terminal of whoever runs the tests, if there is one: SIGHUP means something else there.
        process = subprocess.Popen(words, stderr=log, stdout=log, env=clean(), start_new_session=True)
    mount = Mounted(place.mountpoint, process, log_file)
    try:
        wait_until_ready(mount)
        yield mount
    finally:
        take_away(mount)
    assert process.returncode == 0, mount.log
    assert "Traceback" not in mount.log, mount.log


@contextmanager
def silenced(mount: Mounted) -> Iterator[None]:
    """Its process is there and answers nothing while the block runs."""
    mount.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        mount.process.send_signal(signal.SIGCONT)


def wait_until_ready(mount: Mounted) -> None:
    """Until it answers; fails with its log if it ended instead."""

    def is_ready() -> bool:
        assert mount.process.poll() is None, mount.log
        return is_mounted(mount.path) and "mounted" in mount.log

    wait_for(is_ready)


def wait_for(happened: Callable[[], bool]) -> None:
    """Until it is so."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.02)


def is_readable(path: Path) -> bool:
    """Whether it can be read at this moment; in the half-second after a failure there is less time for it."""
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def take_away(mount: Mounted) -> None:
    """Unmount whatever its state, and see its process end."""
    if is_mounted(mount.path):
        unmount(mount.path, lazy=True)
    if is_held_elsewhere(mount.path):
        mount.process.terminate()
    try:
        mount.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        mount.process.kill()
        mount.process.wait()
        raise


def is_held_elsewhere(place: Path) -> bool:
    """Whether another mount namespace, such as a container that was just being started, has its own copy of a mount."""
    wanted = f" {place} ".encode()
    for mountinfo in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if wanted in mountinfo.read_bytes():
                return True
        except OSError:  # The process has ended meanwhile.
            continue
    return False


def run_twfs(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`twfs` as a user runs it, to its end."""
    return run([sys.executable, "-m", "twfs", *arguments], environ)


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Any command, to its end, its output as text."""
    env = {**clean(), **(environ or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=env)


def clean() -> dict[str, str]:
    """The environment without anything that twfs or Twilio's tools would read."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TWFS_", "TWILIO_"))}


def secret_file(path: Path, content: bytes) -> Path:
    """A file that only its owner reads."""
    path.touch(0o600)
    path.write_bytes(content)
    return path


def new_key() -> RSAPrivateKey:
    """A private key; 2048 bits, as Twilio's documents make them."""
    return generate_private_key(65537, 2048)


def pem(key: RSAPrivateKey) -> bytes:
    """As `openssl genrsa -traditional` writes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
