"""A mount whose credentials or private keys are replaced on disk goes on with the new ones, without a remount."""

import errno
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import (
    Customer,
    Mounted,
    customer,
    mounted,
    needs_fuse,
    pem,
    run_twfs,
    secret_file,
    wait_for,
)
from tests.mount.harness import is_readable as can_be_read
from twfs.simulator.account import SimulatedAccount, new_sid
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

DATA = b"what was said" * 1_000
MINE, OTHERS = "RT" + "1" * 32, "RT" + "2" * 32
LOCKED = "Required key not available"


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey, other_key: RSAPrivateKey) -> Iterator[Customer]:
    """Media of two keys, of which the folder of keys has one."""
    account = SimulatedAccount()
    for sid, key in ((MINE, private_key), (OTHERS, other_key)):
        account.add_recording(seal(DATA, key.public_key()), sid=sid)
    with customer(tmp_path, account) as found:
        (tmp_path / "keys").mkdir()
        secret_file(tmp_path / "keys/mine.pem", pem(private_key))
        found.options["private_key"] = str(tmp_path / "keys")
        yield found


def is_readable(mount: Mounted, sid: str) -> bool:
    try:
        return mount.file(sid).read_bytes() == DATA
    except OSError as error:
        if error.errno != errno.ENOKEY:
            raise
        return False


def rotate(place: Customer) -> None:
    """A new API key, in the file first; then the old one is refused."""
    key, secret = new_sid("SK"), "s3cret-of-the-new-key"
    text = f"account_sid={place.account.account_sid}\napi_key={key}\napi_secret={secret}\n"
    secret_file(place.folder / "credentials", text.encode())
    place.account.api_key, place.account.api_secret = key, secret


def status(mount: Mounted) -> dict[str, object]:
    found: dict[str, object] = json.loads((mount.path / ".twfs/status").read_bytes())
    return found


def test_a_locked_medium_opens_once_its_key_is_there(place: Customer, other_key: RSAPrivateKey) -> None:
    with mounted(place) as mount:
        assert is_readable(mount, MINE)
        assert not is_readable(mount, OTHERS)
        secret_file(place.folder / "keys/other.pem", pem(other_key))
        wait_for(lambda: is_readable(mount, OTHERS))
        assert mount.log.count("private keys were added: ") == 1
        assert len(status(mount)["private_keys"]) == 2  # type: ignore[arg-type]
    # What an earlier mount found locked is no reason for the next one.
    with mounted(place) as mount:
        assert is_readable(mount, OTHERS)


def test_a_medium_that_was_readable_in_an_earlier_mount_opens_once_its_key_is_back(
    place: Customer, private_key: RSAPrivateKey, other_key: RSAPrivateKey
) -> None:
    """Its state is remembered as readable: that no key is there is met by its first read."""
    with mounted(place) as mount:
        assert is_readable(mount, MINE)
    secret_file(place.folder / "keys/other.pem", pem(other_key))
    (place.folder / "keys/mine.pem").unlink()
    with mounted(place) as mount:
        assert not is_readable(mount, MINE)
        secret_file(place.folder / "keys/mine.pem", pem(private_key))
        wait_for(lambda: is_readable(mount, MINE))


def test_sighup_brings_a_key_at_once(place: Customer, other_key: RSAPrivateKey) -> None:
    with mounted(place) as mount:
        assert not is_readable(mount, OTHERS)
        secret_file(place.folder / "keys/other.pem", pem(other_key))
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "private keys were added: " in mount.log)
        assert is_readable(mount, OTHERS)


def test_a_key_that_went_locks_nothing_in_a_mount_that_stands(place: Customer) -> None:
    with mounted(place) as mount:
        (place.folder / "keys/mine.pem").unlink()
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "in use are kept" in mount.log)
        assert not is_readable(mount, OTHERS)
        assert is_readable(mount, MINE)


def test_a_rotated_api_key_works_at_once(place: Customer, private_key: RSAPrivateKey) -> None:
    with mounted(place, refresh="1") as mount:
        rotate(place)
        new = place.account.add_recording(seal(DATA, private_key.public_key()))
        wait_for(lambda: any(new in path.name for path in (mount.path / "recordings").iterdir()))
        assert is_readable(mount, new)
        wait_for(lambda: mount.log.count("credentials were replaced: from now on ") == 1)
        assert "does not come" not in mount.log
        assert place.account.api_secret not in mount.log
        assert status(mount)["credentials"] == {"user": place.account.api_key, "from": place.options["credentials"]}


def test_sighup_takes_credentials_before_they_are_needed(place: Customer) -> None:
    with mounted(place, refresh="3600") as mount:
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "credentials and private keys are as they were" in mount.log)
        rotate(place)
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "credentials were replaced: " in mount.log)
        assert is_readable(mount, MINE)
        assert "HTTP 401" not in mount.log


def test_broken_credentials_change_nothing_until_they_are_whole(place: Customer) -> None:
    with mounted(place, refresh="3600") as mount:
        secret_file(Path(place.options["credentials"]), b"api_key=")
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "in use are kept" in mount.log)
        assert is_readable(mount, MINE)
        rotate(place)
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "credentials were replaced: " in mount.log)
        assert mount.log.count("in use are kept") == 1


def test_relative_paths_are_found_by_a_mount_in_the_background(
    place: Customer, other_key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes to `/`."""
    monkeypatch.chdir(place.folder)
    place.options |= {"private_key": "keys", "credentials": "credentials"}
    done = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text())
    try:
        assert (done.returncode, done.stderr) == (0, "")
        path = next((place.mountpoint / "recordings").glob(f"{OTHERS}.*"))
        with pytest.raises(OSError, match=LOCKED):
            path.read_bytes()
        rotate(place)
        secret_file(place.folder / "keys/other.pem", pem(other_key))
        wait_for(lambda: can_be_read(path))
    finally:
        assert run_twfs("umount", str(place.mountpoint)).returncode == 0
