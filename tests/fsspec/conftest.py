import gc
import os
import threading
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
        # What errors and their tracebacks hold in cycles, too: no test leaves a session to the next.
        gc.collect()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetch-")]


@pytest.fixture
def fs(simulated: Simulated) -> Iterator[TwilioFileSystem]:
    """Its media."""
    fs = TwilioFileSystem(account="demo", config=str(simulated.config_file))
    yield fs
    # pytest holds on to it for longer.
    fs._account = None
