"""`twfs umount` of a mount that another mount namespace has, too."""

import mmap
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Run, twfs
from tests.mount.elsewhere import apart
from tests.mount.harness import (
    PATIENCE,
    Customer,
    Mounted,
    customer,
    mounted,
    needs_fuse,
    needs_root,
    new_key,
    silenced,
)
from twfs.mount.system import is_mounted
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject

pytestmark = [needs_fuse, needs_root]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Customer]:
    account = SimulatedAccount()
    account.add_recording(StoredObject(b"plain"))
    with customer(tmp_path, account, new_key()) as place:
        yield place


def explained(run: Run, mount: Mounted, holder: int) -> None:
    """It has done its work and says what stays."""
    assert (run.code, run.err) == (0, "")
    (line,) = run.out.splitlines()
    assert line.startswith(f"{mount.path}: unmounted here, but process")
    assert f" {holder} (sleep)" in line
    assert line.endswith(f"; to end it now: kill {mount.process.pid}")


def test_it_says_who_keeps_it_alive_until_that_ends(place: Customer) -> None:
    with mounted(place) as mount:
        with apart() as process:
            explained(twfs("umount", mount.path), mount, process.pid)
            assert not is_mounted(mount.path)
            there = f"/proc/{process.pid}/root{mount.path}/recordings"
            (name,) = os.listdir(there)  # noqa: PTH208
            assert Path(there, name).read_bytes() == b"plain"
            assert mount.process.poll() is None
        mount.process.wait(PATIENCE)


def test_the_command_that_it_names_ends_it_everywhere(place: Customer) -> None:
    with mounted(place) as mount, apart() as process:
        run = twfs("umount", mount.path)
        explained(run, mount, process.pid)
        subprocess.run(["sh", "-c", run.out.rpartition(": ")[2]], check=True)
        mount.process.wait(PATIENCE)
        with pytest.raises(OSError, match="Transport endpoint is not connected"):
            os.statvfs(f"/proc/{process.pid}/root{mount.path}")


def test_a_mount_that_does_not_answer_is_detached_all_the_same(place: Customer) -> None:
    with mounted(place) as mount, apart():
        with silenced(mount):
            run = twfs("umount", "--lazy", mount.path)
        assert run.code == 0
        assert "unmounted here" in run.out
        assert "kill" not in run.out
        assert not is_mounted(mount.path)


def test_of_an_ordinary_mount_it_says_nothing(place: Customer) -> None:
    with mounted(place) as mount:
        run = twfs("umount", mount.path)
        assert (run.code, run.out, run.err) == (0, "", "")
        mount.process.wait(PATIENCE)


def test_of_a_namespace_that_follows_it_says_nothing(tmp_path: Path) -> None:
    """As those of systemd's own services."""
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    subprocess.run(["mount", "--make-shared", tmp_path], check=True)
    try:
        with customer(tmp_path, SimulatedAccount(), new_key()) as place, mounted(place) as mount, apart("slave"):
            run = twfs("umount", mount.path)
            assert (run.code, run.out, run.err) == (0, "", "")
            mount.process.wait(PATIENCE)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_who_is_in_it_is_named_with_the_way_out(place: Customer) -> None:
    with mounted(place) as mount:
        file = mount.path / "recordings" / next((mount.path / "recordings").iterdir()).name
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ):
            opened.close()
            with subprocess.Popen(["sleep", "60"], cwd=mount.path) as inside:
                run = twfs("umount", mount.path)
                inside.terminate()
        assert run.code == 32
        assert is_mounted(mount.path)
        assert "target is busy; in use by " in run.complaint
        for pid in (os.getpid(), inside.pid):
            assert f" {pid} (" in run.complaint
        assert f"{inside.pid} (sleep)" in run.complaint
        assert run.complaint.endswith(f" umount -l {mount.path}")


def test_the_command_that_it_names_detaches_it(place: Customer) -> None:
    with mounted(place) as mount, subprocess.Popen(["sleep", "60"], cwd=mount.path) as inside:
        run = twfs("umount", mount.path)
        subprocess.run(["sh", "-c", run.complaint.rpartition(": ")[2]], check=True)
        inside.terminate()
        assert not is_mounted(mount.path)
