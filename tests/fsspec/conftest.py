import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from twfs.cli.simulated import Simulated, simulated_account
from twfs.fsspec import TwilioFileSystem


@pytest.fixture(autouse=True)
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home directory of its own, and no variable that configures anything."""
    for name in list(os.environ):
        if name.startswith(("TWFS_", "TWILIO_", "FSSPEC_", "CREDENTIALS_DIRECTORY", "CACHE_DIRECTORY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    """The demo's account, served on loopback."""
    with simulated_account() as simulated:
        yield simulated
        TwilioFileSystem.clear_instance_cache()


@pytest.fixture
def fs(simulated: Simulated) -> TwilioFileSystem:
    """Its media."""
    return TwilioFileSystem(account="demo", config=str(simulated.config_file))
