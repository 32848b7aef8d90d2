"""What `twfs top` shows of a real mount, once and live on a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import PATIENCE, Mounted, customer, mounted, needs_fuse, new_key, run_twfs
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.sealing import seal

DATA = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return new_key()


@pytest.fixture
def mount(tmp_path: Path, key: RSAPrivateKey) -> Iterator[Mounted]:
    account = SimulatedAccount()
    account.add_recording(seal(DATA, key.public_key()))
    with customer(tmp_path, account, key) as place, mounted(place) as mount:
        yield mount


def only_file(mount: Mounted) -> Path:
    (path,) = (mount.path / "recordings").iterdir()
    return path


@needs_fuse
def test_one_frame_shows_who_reads_what(mount: Mounted) -> None:
    with only_file(mount).open("rb") as file:
        file.read(1)
        shown = run_twfs("top", str(mount.path), "--once", "--interval", "0.2", environ={"COLUMNS": "160"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"at {mount.path}, pid {mount.process.pid}" in shown.stdout
    assert "1 recordings, 0 compositions; refreshed 0:0" in shown.stdout
    (line,) = [line for line in shown.stdout.splitlines() if only_file(mount).name in line]
    assert f"{Path('/proc/self/comm').read_text().strip()} {os.getpid()} uid {os.getuid()}" in line
    assert "2.9M" in line


@needs_fuse
def test_without_readers_it_says_so(mount: Mounted) -> None:
    shown = run_twfs("top", str(mount.path), "--once", "--interval", "0.1", environ={"COLUMNS": "160"})
    assert "no medium is open" in shown.stdout
    assert "- hits" in shown.stdout


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        environ = os.environ | {"COLUMNS": "160", "LINES": "30", "TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
        )
        os.close(slave)

    def wait_for(self, words: str) -> None:
        end = time.monotonic() + PATIENCE
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self._master], [], [], 0.1)[0]:
                self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(self._master, 65536).decode())

    def interrupt(self) -> int:
        self.process.send_signal(2)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@needs_fuse
def test_live_it_follows_until_it_is_interrupted(mount: Mounted) -> None:
    terminal = Terminal(sys.executable, "-m", "twfs", "top", str(mount.path), "--interval", "0.1")
    try:
        terminal.wait_for("no medium is open")
        with only_file(mount).open("rb") as file:
            file.read(1)
            terminal.wait_for(only_file(mount).name)
            terminal.shown = ""
        terminal.wait_for("no medium is open")
        assert terminal.interrupt() == 0
    finally:
        terminal.close()


def test_where_nothing_is_mounted_it_says_so(tmp_path: Path) -> None:
    shown = run_twfs("top", str(tmp_path))
    assert shown.returncode == 1
    assert shown.stderr == f"twfs: {tmp_path}: no twfs is mounted there\n"


def test_without_rich_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('not here')\n")
    shown = run_twfs("top", str(tmp_path), "--once", environ={"PYTHONPATH": str(tmp_path)})
    assert shown.returncode == 2
    assert "pip install 'twfs[top]'" in shown.stderr


def test_an_interval_is_a_number() -> None:
    assert run_twfs("top", "/", "--interval", "often").returncode != 0
