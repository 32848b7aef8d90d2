"""What the machine says of mounts, and what is refused before anything is mounted."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.harness import needs_root
from twfs.mount.system import MountFailed, absolute, detach_stale, find_mount, is_mounted, is_stale, mounts, unmount


def test_the_root_is_mounted_and_is_no_twfs() -> None:
    assert find_mount(Path("/")) is not None
    assert not is_mounted(Path("/"))
    assert not is_stale(Path("/"))
    assert not detach_stale(Path("/"))


def test_a_folder_that_is_no_mount_is_not_unmounted(tmp_path: Path) -> None:
    with pytest.raises(MountFailed, match="no twfs is mounted there"):
        unmount(tmp_path)


def test_links_in_the_path_are_resolved_but_not_the_mountpoint_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "last").symlink_to("/nowhere")
    assert absolute(tmp_path / "link" / "last") == tmp_path / "real" / "last"


@needs_root
def test_names_with_spaces_and_backslashes_are_understood(tmp_path: Path) -> None:
    place = tmp_path / "with space \\ and\ttab"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "a source", str(place)], check=True)
    try:
        entry = find_mount(place)
        assert entry is not None
        assert (entry.mountpoint, entry.source, entry.fstype) == (place, "a source", "tmpfs")
        assert entry.device == f"{os.major(place.stat().st_dev)}:{os.minor(place.stat().st_dev)}"
        assert entry in list(mounts())
        with pytest.raises(MountFailed, match="no twfs is mounted there"):
            unmount(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)
