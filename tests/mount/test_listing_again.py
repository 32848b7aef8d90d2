"""Folders that are listed again through a real mount: quick, and never behind what there is."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, Mounted, both_bindings, customer, mounted, needs_fuse, wait_for
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

SIZES = (1, 100, 5000)


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey) -> Iterator[Customer]:
    account = SimulatedAccount()
    for size in SIZES:
        account.add_recording(seal(os.urandom(size), private_key.public_key()))
    with customer(tmp_path, account, private_key) as found:
        yield found


def sizes(mount: Mounted) -> list[int]:
    """As `ls -l` shows them."""
    return sorted(path.stat().st_size for path in (mount.path / "recordings").iterdir())


def targets(mount: Mounted) -> list[Path]:
    return sorted(path.readlink() for path in (mount.path / "by-date").rglob("*.mk?"))


@both_bindings
def test_what_is_new_is_listed_as_soon_as_it_is_known(place: Customer, private_key: RSAPrivateKey, fuse: str) -> None:
    with mounted(place, fuse=fuse, refresh="3600") as mount:
        assert [sizes(mount) for _ in range(3)] == [list(SIZES)] * 3
        assert len(targets(mount)) == len(SIZES)
        place.account.add_recording(seal(os.urandom(70_000), private_key.public_key()))
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(os.listdir(mount.path / "recordings")) == len(SIZES) + 1)  # noqa: PTH208 - names alone
        assert sizes(mount) == [*SIZES, 70_000]
        wait_for(lambda: len(targets(mount)) == len(SIZES) + 1)
        assert [sizes(mount) for _ in range(2)] == [[*SIZES, 70_000]] * 2
