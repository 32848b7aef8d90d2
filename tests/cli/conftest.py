import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Account
from twfs.cli.simulated import simulated_account


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of its own, and no variable that configures anything."""
    for name in list(os.environ):
        if name.startswith(("TWFS_", "TWILIO_", "CREDENTIALS_DIRECTORY", "CACHE_DIRECTORY", "JOURNAL_STREAM")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands set up the log of the whole process."""
    loggers = [logging.getLogger(name) for name in (None, "twfs", "urllib3", "requests")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def account(home: Path) -> Iterator[Account]:
    """The demo's account, served on loopback."""
    with simulated_account() as simulated:
        yield Account(simulated)
