"""Backups copy each medium once, and nothing twice."""

import filecmp
import os
import re
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import both_bindings, customer, mounted, needs_fuse, run
from tests.mount.test_reading import content
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal

pytestmark = needs_fuse


def figures(rsync_stats: str) -> dict[str, int]:
    """The numbers of `rsync --stats`."""
    return {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^([A-Z][\w ]+): ([\d,]+)", rsync_stats, re.MULTILINE)
    }


def account_of_several(key: RSAPrivateKey) -> SimulatedAccount:
    """Encrypted and plain media, and one without media."""
    account = SimulatedAccount()
    for size in (0, 1000, 200_000, 2_000_000):
        account.add_recording(seal(content(size, "backup"), key.public_key(), with_length=size != 1000))
    account.add_recording(StoredObject(content(5000, "plain")))
    account.add_composition(seal(content(700_000, "composition"), key.public_key(), key_bits=128))
    account.add_recording(None)
    return account


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync")
def test_rsync_copies_nothing_twice(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = account_of_several(private_key)
    copy = tmp_path / "copy"
    with customer(tmp_path, account, private_key) as place:
        command = ["rsync", "-a", "--stats", f"{place.mountpoint}/", str(copy)]
        with mounted(place, fuse="3") as mount:
            first = run(command)
            assert first.returncode == 0, first.stderr
            assert figures(first.stdout)["Number of regular files transferred"] == 7
            for path in (mount.path / "recordings").iterdir():
                assert filecmp.cmp(path, copy / "recordings" / path.name, shallow=False)
        place.simulator.clear_requests()
        with mounted(place, fuse="2"):
            second = run(command)
            assert second.returncode == 0, second.stderr
            assert figures(second.stdout)["Number of regular files transferred"] == 0
            assert figures(second.stdout)["Literal data"] == 0
            checked = run([*command, "--checksum"])
            assert figures(checked.stdout)["Number of regular files transferred"] == 0


@both_bindings
def test_what_backups_compare_is_the_same_after_a_remount(
    tmp_path: Path, private_key: RSAPrivateKey, fuse: str
) -> None:
    account = account_of_several(private_key)
    with customer(tmp_path, account, private_key) as place:
        with mounted(place, fuse=fuse):
            before = identities(place.mountpoint)
        place.simulator.clear_requests()
        with mounted(place, fuse=fuse):
            assert identities(place.mountpoint) == before
        # The one medium without media is asked for again, in case it has some by now: one request.
        assert place.simulator.count("s3") == 0
        assert place.simulator.count("api.media") <= 1
        with mounted(place, fuse=fuse, state_dir=str(tmp_path / "another machine")):
            assert identities(place.mountpoint) == before


def identities(top: Path) -> dict[str, tuple[int, ...]]:
    """Inode, mode, links, size and times of everything below `top`."""
    found: dict[str, tuple[int, ...]] = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files, "."]:
            entry = (Path(folder) / name).lstat()
            times = (entry.st_mtime_ns, entry.st_ctime_ns, entry.st_size, entry.st_blocks)
            found[str(Path(folder) / name)] = (entry.st_ino, entry.st_mode, entry.st_nlink, *times)
    assert len(found) > 20
    return found
