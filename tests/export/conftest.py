import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from twfs.cli.simulated import Simulated, simulated_account


@pytest.fixture(autouse=True)
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home directory of its own, and no variable that configures anything."""
    for name in list(os.environ):
        if name.startswith(("TWFS_", "TWILIO_", "FSSPEC_", "AWS_", "CREDENTIALS_DIRECTORY", "CACHE_DIRECTORY")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    """The demo's account, served on loopback."""
    with simulated_account() as simulated:
        yield simulated
