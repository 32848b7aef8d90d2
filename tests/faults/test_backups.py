"""Backup programs find nothing to do the second time, a remount in between."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, customer, mounted, needs_fuse, run
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal

pytestmark = needs_fuse


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skip where it is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program} (Debian package {package})")


def account_of_several(key: RSAPrivateKey) -> SimulatedAccount:
    """Encrypted and plain media, an empty one, and the newest without media: borg reads the newest file each time."""
    account, public = SimulatedAccount(), key.public_key()
    objects = [seal(Random(size).randbytes(size), public) for size in (0, 1000, 200_000, 1_000_000)]
    for day, stored in enumerate([*objects, StoredObject(Random(1).randbytes(5000)), None], start=1):
        account.add_recording(stored, date_created=datetime(2017, 11, day, tzinfo=UTC))
    composed = seal(Random(2).randbytes(300_000), public)
    account.add_composition(composed, date_created=datetime(2017, 10, 1, tzinfo=UTC))
    return account


def checked(command: list[str], environ: Mapping[str, str]) -> str:
    """What it says on stdout; it must succeed."""
    done = run(command, environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def back_up_twice(place: Customer, environ: Mapping[str, str], *commands: list[str]) -> list[str]:
    """What the program says of either backup; the second must not ask for a byte of any medium."""
    said, asked = [], []
    for command in commands:
        with mounted(place):
            said.append(checked(command, environ))
        asked.append(place.simulator.bytes_sent("s3"))
    assert asked[0] == asked[-1] > 0
    return said


@needs("restic", "restic")
def test_a_second_restic_backup_reads_nothing(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = account_of_several(private_key)
    environ = {
        "RESTIC_REPOSITORY": str(tmp_path / "repository"),
        "RESTIC_PASSWORD": "only for this test",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }
    checked(["restic", "init"], environ)
    with customer(tmp_path, account, private_key) as place:
        command = ["restic", "backup", "--json", str(place.mountpoint)]
        summaries = [json.loads(said.splitlines()[-1]) for said in back_up_twice(place, environ, command, command)]
    assert (summaries[0]["files_new"], summaries[0]["data_blobs"] > 0) == (7, True)
    second = {name: summaries[1][name] for name in ("files_new", "files_changed", "files_unmodified", "data_blobs")}
    assert second == {"files_new": 0, "files_changed": 0, "files_unmodified": 7, "data_blobs": 0}
    restored = checked(["restic", "check", "--read-data"], environ)
    assert "no errors were found" in restored


@needs("borg", "borgbackup")
def test_a_second_borg_backup_reads_nothing(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = account_of_several(private_key)
    environ = {
        "BORG_REPO": str(tmp_path / "repository"),
        "BORG_BASE_DIR": str(tmp_path / "borg"),
        "BORG_PASSPHRASE": "only for this test",
    }
    checked(["borg", "init", "--encryption", "repokey"], environ)
    with customer(tmp_path, account, private_key) as place:
        commands = [["borg", "create", "--json", f"::{name}", str(place.mountpoint)] for name in ("first", "second")]
        first, second = (json.loads(said)["archive"]["stats"] for said in back_up_twice(place, environ, *commands))
    total = sum(len(account.plain(sid)) for sid in sids_with_media(account))
    assert first["deduplicated_size"] > total
    assert second["nfiles"] == first["nfiles"] > 0
    # Only the archive's own list of names is new.
    assert second["deduplicated_size"] < 20_000


def sids_with_media(account: SimulatedAccount) -> list[str]:
    """Those that have bytes."""
    return [medium.sid for kind in Kind for medium in account.media(kind) if medium.stored is not None]
