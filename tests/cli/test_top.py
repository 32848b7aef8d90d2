"""What `twfs top` shows of a real mount, once and live on a terminal."""

import os
import pwd
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.cli.terminal import Terminal
from tests.mount.harness import PATIENCE, Mounted, customer, mounted, needs_fuse, new_key, run_twfs, silenced
from twfs.cli.outcome import UsageError
from twfs.cli.top import place_of
from twfs.errors import TwfsError
from twfs.invocation import twfs_command
from twfs.mount.system import FSTYPE, MountEntry, mounts, unmount
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
        shown = run_twfs("top", str(mount.path), "--once", "--interval", "0.2", environ={"COLUMNS": "40"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"at {mount.path}, pid {mount.process.pid}" in shown.stdout
    assert re.search(r"1 recording, 0 compositions; refreshed \d+:\d\d", shown.stdout)
    (line,) = [line for line in shown.stdout.splitlines() if only_file(mount).name in line]
    user = pwd.getpwuid(os.getuid()).pw_name
    expected = [Path("/proc/self/comm").read_text().strip(), str(os.getpid()), user, "2.9M"]
    assert line.split()[1 : 1 + len(expected)] == expected


@needs_fuse
def test_without_readers_it_says_so(mount: Mounted) -> None:
    shown = run_twfs("top", str(mount.path), "--once", "--interval", "0.1", environ={"COLUMNS": "160"})
    assert "no medium is open" in shown.stdout
    assert "- hits" in shown.stdout


@pytest.fixture
def live(mount: Mounted) -> Iterator[Terminal]:
    # Whoever runs the tests in the background has SIGINT ignored, and so would this command.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "twfs", "top"]
    terminal = Terminal(*command, str(mount.path), "--interval", "0.1")
    try:
        yield terminal
    finally:
        terminal.close()


@needs_fuse
def test_live_it_follows_until_q_is_pressed(mount: Mounted, live: Terminal) -> None:
    live.wait_for(b"no medium is open")
    with only_file(mount).open("rb") as file:
        file.read(1)
        live.wait_for(only_file(mount).name.encode())
        live.shown = b""
    live.wait_for(b"no medium is open")
    live.press("x")
    live.press("q")
    assert live.process.wait(PATIENCE) == 0
    assert live.is_as_before()


@needs_fuse
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(live: Terminal, number: signal.Signals) -> None:
    live.wait_for(b"no medium is open")
    live.process.send_signal(number)
    assert live.process.wait(PATIENCE) == 0
    assert live.is_as_before()


@needs_fuse
def test_a_mount_that_ends_ends_it(mount: Mounted, live: Terminal) -> None:
    live.wait_for(b"no medium is open")
    unmount(mount.path)
    assert live.process.wait(PATIENCE) == 1
    assert live.is_as_before()
    live.wait_for(b"no twfs is mounted there")


@needs_fuse
def test_a_mount_that_does_not_answer_ends_it(mount: Mounted, live: Terminal) -> None:
    live.wait_for(b"no medium is open")
    with silenced(mount):
        assert live.process.wait(PATIENCE) == 1
    live.wait_for(b"is mounted there and does not answer; run: ")


def test_where_nothing_is_mounted_it_says_so(tmp_path: Path) -> None:
    shown = run_twfs("top", str(tmp_path))
    assert shown.returncode == 1
    assert shown.stderr == f"twfs: {tmp_path}: no twfs is mounted there\n"


def entry(mountpoint: str, source: str = "twilio:a", fstype: str = FSTYPE) -> MountEntry:
    return MountEntry(Path(mountpoint), source, fstype, "0:1")


def test_the_mount_that_is_meant() -> None:
    one = [entry("/", "dev", "ext4"), entry("/m"), entry("/m")]
    help_ = re.escape(twfs_command("help", "mount"))
    both = [*one, entry("/n", "twilio:b")]
    assert place_of("/elsewhere", both) == Path("/elsewhere")
    assert place_of(None, one) == Path("/m")
    assert place_of("twilio:b", both) == Path("/n")
    with pytest.raises(UsageError, match="several are mounted, at /m, /n; name one DIR"):
        place_of(None, both)
    with pytest.raises(TwfsError, match=f"twilio:c is not mounted; how to mount it says: {help_}$"):
        place_of("twilio:c", both)
    with pytest.raises(TwfsError, match=f"^no twfs is mounted; how to mount it says: {help_}$"):
        place_of(None, one[:1])


@needs_fuse
def test_a_mount_is_found_by_its_source(mount: Mounted) -> None:
    source = next(entry.source for entry in mounts() if entry.mountpoint == mount.path)
    shown = run_twfs("top", source, "--once", "--interval", "0.1")
    assert f"at {mount.path}" in "".join(shown.stdout.split("\n"))


def test_an_interval_is_a_number() -> None:
    assert run_twfs("top", "/", "--interval", "often").returncode != 0
