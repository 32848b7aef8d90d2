"""Mounts that are copied into other mount namespaces, real ones."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.elsewhere import apart, sleeping
from tests.mount.harness import needs_root
from twfs.mount.namespaces import holders
from twfs.mount.processes import Process
from twfs.mount.system import find_mount

pytestmark = needs_root


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """The number of a file system that is mounted at `tmp_path`."""
    subprocess.run(["mount", "-t", "tmpfs", "test", tmp_path], check=True)
    try:
        entry = find_mount(tmp_path)
        assert entry is not None
        yield entry.device
    finally:
        subprocess.run(["umount", tmp_path], check=False, stderr=subprocess.DEVNULL)


def pids(device: str) -> list[int]:
    return [process.pid for process in holders(device)]


def test_a_copy_is_found_and_stays_when_the_mount_goes(device: str, tmp_path: Path) -> None:
    with apart() as first, apart() as second:
        assert {first.pid, second.pid} <= set(pids(device))
        subprocess.run(["umount", tmp_path], check=True)
        assert {first.pid, second.pid} <= set(pids(device))
    assert not {first.pid, second.pid} & set(pids(device))


def test_one_of_a_namespace_is_named(device: str) -> None:
    with apart() as process, sleeping("nsenter", f"--target={process.pid}", "--mount") as guest:
        assert Process(process.pid, "sleep") in holders(device)
        assert guest.pid not in pids(device)


def test_where_the_unmounting_comes_through_nothing_stays(device: str, tmp_path: Path) -> None:
    """As in units of systemd with a namespace of their own."""
    subprocess.run(["mount", "--make-shared", tmp_path], check=True)
    place = tmp_path / "in it"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "test", place], check=True)
    try:
        entry = find_mount(place)
        assert entry is not None
        with apart("slave") as process:
            assert process.pid in pids(entry.device)
            subprocess.run(["umount", place], check=True)
            assert process.pid not in pids(entry.device)
    finally:
        subprocess.run(["umount", place], check=False, stderr=subprocess.DEVNULL)


def test_ones_own_namespace_and_other_file_systems_do_not_count(device: str) -> None:
    assert os.getpid() not in pids(device)
    with apart() as process:
        assert process.pid not in pids("0:0")


def test_processes_out_of_sight_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "4711").mkdir()
    assert holders("0:99", tmp_path) == []
