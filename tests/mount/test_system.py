"""What the machine says of mounts, and what is refused before anything is mounted."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.harness import needs_root
from twfs.mount.system import (
    MountEntry,
    MountFailed,
    absolute,
    detach_stale,
    find_mount,
    is_mounted,
    is_stale,
    mounts,
    unmount,
)


def test_the_root_is_mounted_and_is_no_twfs() -> None:
    assert find_mount(Path("/")) is not None
    assert not is_mounted(Path("/"))
    assert not is_stale(Path("/"))
    assert not detach_stale(Path("/"))


def test_a_folder_that_is_no_mount_is_not_unmounted(tmp_path: Path) -> None:
    with pytest.raises(MountFailed, match="no twfs is mounted there"):
        unmount(tmp_path)


def test_links_are_resolved_the_last_one_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "last").symlink_to("../second")
    (tmp_path / "second").symlink_to(tmp_path / "link" / "place")
    assert absolute(tmp_path / "link" / "last") == tmp_path / "real" / "place"


def test_links_in_a_circle_have_an_end(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    assert absolute(tmp_path / "link") == tmp_path / "link"


@pytest.mark.parametrize("odd", ["\r", "\x0b", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\udcff"])
def test_what_only_python_ends_lines_at_is_part_of_a_name(tmp_path: Path, odd: str) -> None:
    """A file rather than a mount: that would be one for every other program of this machine, too."""
    place = f"/srv/a{odd}b"
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_bytes(
        b"28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        + os.fsencode(f"29 28 0:30 / {place} rw,relatime shared:2 - fuse.twfs a{odd}source rw\n")
        + b"30 28 0:31 / /srv/with\\040space rw - tmpfs  rw\n"
    )
    assert list(mounts(mountinfo)) == [
        MountEntry(Path("/"), "/dev/root", "ext4", "254:1"),
        MountEntry(Path(place), f"a{odd}source", "fuse.twfs", "0:30"),
        MountEntry(Path("/srv/with space"), "", "tmpfs", "0:31"),
    ]


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
