"""`twfs mount`, and mount(8) through the installed helpers, as an administrator uses them."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import (
    PATIENCE,
    Customer,
    customer,
    mounted,
    needs_fuse,
    needs_root,
    run,
    run_twfs,
    silenced,
)
from twfs.cli.doctor_machine import Machine, check_mounts
from twfs.cli.finding import PROBLEM
from twfs.invocation import pasteable, twfs_command
from twfs.mount.system import find_mount, is_mounted, mounts, unmount
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

DATA = b"what was said" * 10_000
HELPERS = (Path("/sbin/mount.twfs"), Path("/sbin/mount.fuse.twfs"))


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey) -> Iterator[Customer]:
    account = SimulatedAccount()
    account.add_recording(seal(DATA, private_key.public_key()))
    with customer(tmp_path, account, private_key) as found:
        try:
            yield found
        finally:
            end_mount(found)


@pytest.fixture
def helpers() -> Iterator[None]:
    if any(helper.exists() for helper in HELPERS):
        pytest.skip("twfs is installed on this machine, and a test must not replace it")
    assert run_twfs("install").returncode == 0
    try:
        yield
    finally:
        assert run_twfs("install", "--uninstall").returncode == 0
        assert not any(helper.exists() for helper in HELPERS)


def end_mount(place: Customer) -> None:
    """Unmount what a test left, and see the daemon end."""
    daemons = pids_of(place)
    if is_mounted(place.mountpoint):
        unmount(place.mountpoint, lazy=True)
    end = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in daemons) and time.monotonic() < end:
        time.sleep(0.02)
    assert not pids_of(place)


def pids_of(place: Customer) -> list[int]:
    """Processes that name the mountpoint in their command line."""
    wanted = os.fsencode(place.mountpoint)
    return [pid for pid, command in command_lines() if wanted in command and pid != os.getpid()]


def command_lines() -> Iterator[tuple[int, bytes]]:
    """All processes' command lines."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


def only_file(place: Customer) -> Path:
    """The account's only recording."""
    (path,) = (place.mountpoint / "recordings").iterdir()
    return path


def secrets_of(place: Customer) -> list[bytes]:
    """What must show nowhere."""
    key_lines = Path(place.options["private_key"]).read_bytes().splitlines()
    return [place.account.api_secret.encode(), place.account.auth_token.encode(), key_lines[1], key_lines[5]]


def assert_mounted_and_discreet(place: Customer) -> None:
    """The mount stands as it should, and no secret shows where others look."""
    assert only_file(place).read_bytes() == DATA
    shown = json.loads(run(["findmnt", "--json", str(place.mountpoint)]).stdout)["filesystems"]
    assert [(entry["source"], entry["fstype"]) for entry in shown] == [(place.source, "fuse.twfs")]
    assert {"ro", "nosuid", "nodev"} <= set(shown[0]["options"].split(","))
    mounts = Path("/proc/mounts").read_bytes()
    everything = mounts + b"".join(command for _, command in command_lines())
    status = (place.mountpoint / ".twfs" / "status").read_bytes()
    assert json.loads(status)["source"] == place.source
    kept = b"".join(path.read_bytes() for path in (place.folder / "state").rglob("*") if path.is_file())
    assert DATA[:16] not in kept
    everything += status + kept
    environments = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in pids_of(place))
    assert not [secret for secret in secrets_of(place) if secret in everything + environments]


def test_mount_returns_when_it_stands_and_umount_when_it_is_gone(place: Customer) -> None:
    done = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text())
    assert (done.returncode, done.stderr) == (0, "")
    assert_mounted_and_discreet(place)
    gone = run_twfs("umount", str(place.mountpoint))
    assert (gone.returncode, gone.stderr) == (0, "")
    assert not is_mounted(place.mountpoint)


def test_a_mount_without_any_key_says_so_once(place: Customer) -> None:
    del place.options["private_key"]
    options, home = place.option_text(), {"HOME": str(place.folder)}
    done = run_twfs("mount", place.source, str(place.mountpoint), "-o", options, environ=home)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    warning = "no private key: encrypted media are listed but cannot be opened; give private_key=PATH"
    assert line.endswith(f" warning: {warning}")
    status = json.loads((place.mountpoint / ".twfs/status").read_bytes())
    assert (status["private_keys"], status["warnings"]) == ([], [warning])
    with pytest.raises(OSError, match="Required key not available"):
        only_file(place).read_bytes()


def test_the_short_form_mounts_too(place: Customer) -> None:
    done = run_twfs(place.source, str(place.mountpoint), "-o", place.option_text())
    assert (done.returncode, done.stderr) == (0, "")
    assert_mounted_and_discreet(place)


def test_a_link_to_the_folder_is_as_good_as_the_folder(place: Customer) -> None:
    link = place.folder / "link"
    link.symlink_to("mnt")
    done = run_twfs("mount", place.source, str(link), "-o", place.option_text())
    assert (done.returncode, done.stderr) == (0, "")
    assert_mounted_and_discreet(place)
    again = run_twfs("mount", place.source, str(link), "-o", place.option_text())
    assert "mounted there already" in again.stderr
    gone = run_twfs("umount", str(link))
    assert (gone.returncode, gone.stderr) == (0, "")
    assert not is_mounted(place.mountpoint)


@needs_root
@pytest.mark.parametrize("fstype", ["twfs", "fuse.twfs"])
@pytest.mark.usefixtures("helpers")
def test_mount_8_through_the_helpers(place: Customer, fstype: str) -> None:
    options = place.option_text() + ",noauto,_netdev,nofail,x-systemd.automount"
    done = run(
        ["mount", "-t", fstype, place.source, str(place.mountpoint), "-o", options],
        {"HOME": "", "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_mounted_and_discreet(place)
    assert run(["umount", str(place.mountpoint)]).returncode == 0
    assert not is_mounted(place.mountpoint)


@needs_root
@pytest.mark.usefixtures("helpers")
def test_mount_8_reports_a_failure(place: Customer) -> None:
    failed = run(["mount", "-t", "twfs", place.source, str(place.mountpoint), "-o", place.option_text(cache_sise="8M")])
    assert failed.returncode != 0
    assert "cache_size" in failed.stderr
    assert not is_mounted(place.mountpoint)
    fake = run(["mount", "-f", "-t", "twfs", place.source, str(place.mountpoint), "-o", place.option_text()])
    assert fake.returncode == 0
    assert not is_mounted(place.mountpoint)


def test_a_dead_mount_is_replaced(place: Customer) -> None:
    command = ["mount", place.source, str(place.mountpoint), "-o", place.option_text()]
    assert run_twfs(*command).returncode == 0
    place.mountpoint.stat()  # the kernel remembers the answer beyond the end of who gave it
    for pid in pids_of(place):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(OSError, match=r"not connected|abort"):
        wait_until_dead(place)
    done = run_twfs(*command)
    assert done.returncode == 0, done.stderr
    assert only_file(place).read_bytes() == DATA


def wait_until_dead(place: Customer) -> None:
    """Ask what no cache answers, until that fails."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        os.statvfs(place.mountpoint)
        time.sleep(0.02)


def test_a_second_mount_on_top_is_refused(place: Customer) -> None:
    command = ["mount", place.source, str(place.mountpoint), "-o", place.option_text()]
    assert run_twfs(*command).returncode == 0
    again = run_twfs(*command)
    assert again.returncode == 32
    assert "mounted there already" in again.stderr
    assert only_file(place).read_bytes() == DATA


def test_one_that_does_not_answer_is_named_with_the_mend(place: Customer) -> None:
    with mounted(place) as mount, silenced(mount):
        again = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text())
        (finding,) = [found for found in check_mounts(mounts(), Machine()) if str(place.mountpoint) in found.text]
    mend = f"run: {twfs_command('umount', '-l', place.mountpoint)}"
    assert again.returncode == 32
    called = pasteable(sys.executable, "-m", "twfs", "umount", "-l", place.mountpoint)
    assert again.stderr == f"twfs: {place.mountpoint}: a twfs is mounted there and does not answer; run: {called}\n"
    assert (finding.level, finding.mend) == (PROBLEM, mend)


def test_a_missing_folder_is_named(place: Customer) -> None:
    failed = run_twfs("mount", place.source, str(place.mountpoint / "nowhere"), "-o", place.option_text())
    assert failed.returncode == 32
    assert "mkdir -p" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_a_file_is_no_folder(place: Customer) -> None:
    failed = run_twfs("mount", place.source, place.options["credentials"], "-o", place.option_text())
    assert failed.returncode == 32
    assert failed.stderr == f"twfs: {place.options['credentials']}: it is no folder; give another DIR\n"


def test_more_memory_than_there_is_is_one_line(place: Customer) -> None:
    failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(cache_size="1073741824G"))
    assert failed.returncode == 32
    (line,) = failed.stderr.splitlines()
    assert line.startswith("twfs: cache_size=1073741824G: ")
    assert line.endswith("make it smaller")


@pytest.mark.parametrize("flags", [(), ("-f",)], ids=["background", "foreground"])
@pytest.mark.parametrize(
    ("option", "code", "complaint"),
    [
        ("audit=/etc", 32, "/etc"),
        ("cache_size=1073741824G", 32, "make it smaller"),
        ("allow_other,allow_root", 1, "exclude each other"),
        ("timeout=soon", 1, "not a number"),
    ],
)
def test_the_exit_code_tells_wrong_options_from_a_mount_that_failed(
    place: Customer, option: str, code: int, complaint: str, flags: tuple[str, ...]
) -> None:
    options = f"{place.option_text()},{option}"
    failed = run_twfs("mount", place.source, str(place.mountpoint), *flags, "-o", options)
    assert (failed.returncode, len(failed.stderr.splitlines())) == (code, 1)
    assert complaint in failed.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts(place: Customer, number: signal.Signals) -> None:
    assert run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text()).returncode == 0
    (pid,) = pids_of(place)
    os.kill(pid, number)
    end = time.monotonic() + PATIENCE
    while find_mount(place.mountpoint) or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
