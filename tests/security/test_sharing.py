"""Who else may read a mount: whom its permission bits let in, if it lets others in at all."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, both_bindings, customer, mounted, needs_fuse, needs_root
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.sealing import seal

pytestmark = [needs_fuse, needs_root]

PLAIN = b"for one's own ears only"
NOBODY = "65534"


@pytest.fixture
def place(private_key: RSAPrivateKey) -> Iterator[Customer]:
    """In a folder that everybody can enter, as pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="twfs-sharing-"))
    folder.chmod(0o755)
    account = SimulatedAccount()
    account.add_recording(seal(PLAIN, private_key.public_key()))
    try:
        with customer(folder, account, private_key) as found:
            yield found
    finally:
        shutil.rmtree(folder)


def as_nobody(*command: str | Path) -> "subprocess.CompletedProcess[bytes]":
    """What a user who owns nothing sees."""
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    return subprocess.run([*become, *map(str, command)], capture_output=True, check=False)


@both_bindings
def test_without_allow_other_nobody_else_gets_in(place: Customer, fuse: str) -> None:
    with mounted(place, fuse=fuse, file_mode="0444", dir_mode="0555") as mount:
        (path,) = (mount.path / "recordings").iterdir()
        assert path.read_bytes() == PLAIN
        for command in (("cat", path), ("ls", mount.path), ("cat", mount.path / ".twfs" / "status")):
            refused = as_nobody(*command)
            assert (refused.returncode, refused.stdout) == (refused.returncode or 1, b"")
            assert b"Permission denied" in refused.stderr


@both_bindings
def test_allow_other_lets_nobody_read_what_the_bits_keep_from_him(place: Customer, fuse: str) -> None:
    with mounted(place, fuse=fuse, allow_other="yes", dir_mode="0555") as mount:
        (path,) = (mount.path / "recordings").iterdir()
        assert path.stat().st_mode & 0o777 == 0o440
        assert as_nobody("ls", mount.path / "recordings").stdout.decode().split() == [path.name]
        for secret in (path, mount.path / ".twfs" / "status"):
            refused = as_nobody("cat", secret)
            assert refused.stdout == b""
            assert b"Permission denied" in refused.stderr
        assert path.read_bytes() == PLAIN


@both_bindings
def test_allow_other_lets_in_whom_the_bits_let_in(place: Customer, fuse: str) -> None:
    with mounted(place, fuse=fuse, allow_other="yes", gid=NOBODY) as mount:
        (path,) = (mount.path / "recordings").iterdir()
        assert as_nobody("cat", path).stdout == PLAIN
    for options in ({"file_mode": "0444", "dir_mode": "0555"}, {"umask": "022"}):
        with mounted(place, fuse=fuse, allow_other="yes", **options):
            assert as_nobody("cat", path).stdout == PLAIN
            assert as_nobody("touch", path).returncode == 1
