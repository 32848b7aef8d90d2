"""Media moved off Twilio: what twfs has proven can be deleted through the mount, and nothing else can."""

import errno
import os
import re
import shlex
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import (
    Customer,
    Mounted,
    both_bindings,
    customer,
    is_readable,
    mounted,
    needs_fuse,
    needs_root,
    run,
    run_twfs,
    wait_for,
)
from tests.mount.test_reading import content
from tests.transfer.rig import Corrupted
from twfs.catalog.removal import ABSENCE_SECONDS
from twfs.catalog.store import Store
from twfs.cli.flags import account_words
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.exchange import Answer, Request
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal

pytestmark = needs_fuse
needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync")

SIZES = (1, 1000, 200_000, 3_000_000, 0, 2**20, 17)
LONG_AGO = datetime(2017, 11, 23, tzinfo=UTC)
NOBODY = 65_534
ON = {"allow_delete": "yes"}


def account_to_move(key: RSAPrivateKey) -> tuple[SimulatedAccount, dict[str, bytes]]:
    """Encrypted and plain recordings, and what each must read as."""
    account, plain = SimulatedAccount(), {}
    for number, size in enumerate(SIZES):
        data = content(size, "move")
        plain[account.add_recording(seal(data, key.public_key()) if number % 2 else StoredObject(data))] = data
    return account, plain


def told(place: Customer) -> str:
    """By which words a command is about this account."""
    return shlex.join(account_words(place.source, place.options))


def left(place: Customer) -> set[str]:
    """What Twilio still has."""
    return {medium.sid for kind in Kind for medium in place.account.media(kind) if medium.status != "deleted"}


def deletions(mount: Mounted) -> list[str]:
    """SIDs whose deletion the log tells of."""
    return re.findall(r"(\w{34}): deleted at Twilio, asked for by uid \d+, pid \d+$", mount.log, re.MULTILINE)


def errno_of(call: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as failure:  # noqa: PT011 - the number is what the test asks for
        call()
    return failure.value.errno


def asks_for_end(request: Request, sid: str, size: int) -> bool:
    """Whether it is a reader's request of the end of that medium."""
    end = request.headers.get("range", "").rpartition("-")[2]
    return sid in request.path and end.isdigit() and int(end) >= size - 1


def without_size(answer: Answer) -> Answer:
    """Records whose size is null, as Twilio's description of its API allows."""
    assert isinstance(answer.body, bytes)
    return replace(answer, body=re.sub(rb'"size": ?[0-9]+', b'"size": null', answer.body))


def found_absent(place: Customer, sid: str) -> None:
    """A mount has looked at it before, and found no media; long enough ago for another look to confirm it."""
    with mounted(place) as mount:
        assert mount.file(sid).stat().st_size == 0
    (state_file,) = Path(place.options["state_dir"]).glob("*.sqlite3")
    with closing(sqlite3.connect(state_file)) as connection:
        (since,) = connection.execute("SELECT since FROM absences WHERE sid = ?", (sid,)).fetchone()
    store = Store(state_file)
    store.evidence.end_absence(sid)
    assert store.evidence.absent_since(sid, since - ABSENCE_SECONDS) < since
    store.close()


def move(mount: Mounted, backup: Path) -> tuple[int, str]:
    """As the README tells users to: exit code and complaints."""
    done = run(["rsync", "-a", "--remove-source-files", f"{mount.path}/recordings/", str(backup)])
    return done.returncode, done.stderr


@needs_rsync
@both_bindings
def test_rsync_moves_an_accounts_media_off_twilio(tmp_path: Path, private_key: RSAPrivateKey, fuse: str) -> None:
    account, plain = account_to_move(private_key)
    muted = account.add_recording(None, date_created=LONG_AGO)
    kept = account.add_composition(StoredObject(b"kept"))
    backup = tmp_path / "backup"
    with customer(tmp_path, account, private_key) as place:
        found_absent(place, muted)
        with mounted(place, fuse=fuse, **ON) as mount:
            assert move(mount, backup) == (0, "")
            assert list((mount.path / "recordings").iterdir()) == []
            assert sorted(deletions(mount)) == sorted([*plain, muted])
            assert mount.log.count("all of it was read and proven: its MD5 is the ETag") == len(plain)
            assert mount.file(kept).read_bytes() == b"kept"
        assert left(place) == {kept}
        assert place.simulator.count("api.delete") == len(plain) + 1
        copied = {path.name.partition(".")[0]: path.read_bytes() for path in backup.iterdir()}
        assert copied == plain | {muted: b""}
        with mounted(place, fuse=fuse) as mount:
            assert list((mount.path / "recordings").iterdir()) == []


@needs_rsync
@both_bindings
def test_what_could_not_be_copied_stays_at_twilio(tmp_path: Path, private_key: RSAPrivateKey, fuse: str) -> None:
    account, plain = account_to_move(private_key)
    unreadable, in_the_way = (next(sid for sid in plain if len(plain[sid]) == size) for size in (3_000_000, 200_000))
    backup = tmp_path / "backup"
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse, timeout="5", **ON) as mount:
        # Of one the last byte never comes, of the other the copy has no place to be.
        names = {sid: mount.file(sid).name for sid in plain}
        assert all(path.stat().st_size == len(plain[path.stem]) for path in (mount.path / "recordings").iterdir())
        asked = partial(asks_for_end, sid=unreadable, size=3_000_000)
        place.simulator.inject(Fault("s3.get", status=503, match=asked, times=None))
        (backup / names[in_the_way] / "something").mkdir(parents=True)
        code, complaints = move(mount, backup)
        assert code == 23, complaints
        assert left(place) == {unreadable, in_the_way}
        assert sorted(deletions(mount)) == sorted(plain.keys() - left(place))
        place.simulator.clear_faults()
        shutil.rmtree(backup / names[in_the_way])
        wait_for(lambda: is_readable(mount.path / "recordings" / names[unreadable]))
        assert move(mount, backup) == (0, "")
        assert left(place) == set()
        assert {path.stem: path.read_bytes() for path in backup.iterdir()} == plain


@needs_rsync
def test_what_twilio_claims_not_to_find_stays(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(StoredObject(b"all of it"), date_created=LONG_AGO)
    with customer(tmp_path, account, private_key) as place:
        place.simulator.inject(Fault("api.media", status=404, times=None))
        with mounted(place, **ON) as mount:
            assert move(mount, tmp_path / "backup")[0] == 23
            assert left(place) == {sid}
            assert f"twfs rm {told(place)} {sid} --unverified`" in mount.log


@both_bindings
def test_rm_reads_and_proves_what_nobody_has_read(tmp_path: Path, private_key: RSAPrivateKey, fuse: str) -> None:
    account, plain = account_to_move(private_key)
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse, **ON) as mount:
        (sid,) = (sid for sid in plain if len(plain[sid]) == 3_000_000)
        path = mount.file(sid)
        link = next((mount.path / "by-date").rglob(f"*{path.name}"))
        assert errno_of(link.unlink) == errno.EROFS
        assert path.stat().st_size == len(plain[sid])
        before = place.simulator.bytes_sent("s3.get")
        assert run(["rm", "-f", str(path)]).returncode == 0
        assert place.simulator.bytes_sent("s3.get") - before >= len(plain[sid])
        assert left(place) == plain.keys() - {sid}
        assert deletions(mount) == [sid]
        assert not path.exists()
        assert link.name not in os.listdir(link.parent)  # noqa: PTH208


def test_what_was_just_read_is_proven_without_being_fetched_again(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, plain = account_to_move(private_key)
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON) as mount:
        (sid,) = (sid for sid in plain if len(plain[sid]) == 3_000_000)
        assert mount.file(sid).read_bytes() == plain[sid]
        before = place.simulator.bytes_sent("s3.get")
        mount.file(sid).unlink()
        assert place.simulator.bytes_sent("s3.get") - before < 1000, "the last look only"


@needs_rsync
@pytest.mark.parametrize("is_sealed", [True, False])
def test_one_flipped_bit_keeps_the_original(tmp_path: Path, private_key: RSAPrivateKey, *, is_sealed: bool) -> None:
    account, plain = SimulatedAccount(), content(200_000, "flip")
    true = seal(plain, private_key.public_key()) if is_sealed else StoredObject(plain)
    sid = account.add_recording(Corrupted(true, 100_000))
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON) as mount:
        code, complaints = move(mount, tmp_path / "backup")
        assert (code, left(place)) == (23, {sid}), complaints
        assert "Input/output error" in complaints
        assert "its MD5 is not the ETag" in mount.log
        assert "copies of it may be, too" in mount.log
        refused = run_twfs("rm", place.source, sid, "--yes", "-o", place.option_text())
        assert (refused.returncode, left(place)) == (1, {sid})
        assert "reading it whole found it damaged" in refused.stderr


@pytest.mark.parametrize("at", [100_000, 30_000_000])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_bit_that_was_flipped_while_it_was_copied_keeps_the_original(
    tmp_path: Path, private_key: RSAPrivateKey, at: int, *, is_sealed: bool
) -> None:
    """Memory holds a part of what was read: the rest is fetched again, and right, when it is proven."""
    account, plain = SimulatedAccount(), content(32_000_000, "flip")
    true = seal(plain, private_key.public_key()) if is_sealed else StoredObject(plain)
    sid = account.add_recording(Corrupted(true, at))
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON, cache_size="8M") as mount:
        assert mount.file(sid).read_bytes() != plain
        account.replace(sid, true)
        assert errno_of(mount.file(sid).unlink) == errno.EIO
        assert left(place) == {sid}
        assert "copies of it may be, too" in mount.log


def test_what_takes_longer_than_a_call_is_proven_meanwhile(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(bytes(2**20), private_key.public_key(), part_size=2**19))
    with customer(tmp_path, account, private_key) as place, mounted(place, timeout="3", **ON) as mount:
        path = mount.file(sid)
        assert path.stat().st_size == 2**20
        slow = Fault("s3.get", match=partial(asks_for_end, sid=sid, size=1000), delay=2.4, times=1)
        place.simulator.inject(slow)
        began = time.monotonic()
        assert errno_of(path.unlink) == errno.EBUSY
        assert time.monotonic() - began < 3
        assert f"{sid} is not deleted yet: it is being read whole" in mount.log
        assert left(place) == {sid}
        wait_for(lambda: "all of it was read and proven: length, end and one ETag (uploaded in parts" in mount.log)
        path.unlink()
        assert left(place) == set()


def test_what_no_etag_names_is_not_deleted(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(b"all of it", private_key.public_key()))
    with customer(tmp_path, account, private_key) as place:
        place.simulator.inject(Fault("s3.get", headers={"ETag": None}, times=None))
        with mounted(place, **ON) as mount:
            assert mount.file(sid).read_bytes() == b"all of it"
            assert errno_of(mount.file(sid).unlink) == errno.EPERM
            assert f"twfs rm {told(place)} {sid} --unverified`" in mount.log
        assert left(place) == {sid}


@needs_rsync
@pytest.mark.parametrize("claimed_size", [None, 0])
def test_a_404_that_passes_keeps_a_recording_that_claims_no_size(
    tmp_path: Path, private_key: RSAPrivateKey, claimed_size: int | None
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(StoredObject(b"all of it"), date_created=LONG_AGO, size=claimed_size)
    with customer(tmp_path, account, private_key) as place:
        if claimed_size is None:
            for kind in ("api.list", "api.fetch"):
                place.simulator.inject(Fault(kind, alter=without_size, times=None))
        place.simulator.inject(Fault("api.media", status=404, times=2))
        with mounted(place, attr_timeout="0", **ON) as mount:
            backup = tmp_path / "backup"
            assert move(mount, backup)[0] == 23
            assert f"{sid} is not deleted yet: Twilio finds no media of it" in mount.log
            # What rsync has copied is an empty file.
            assert errno_of(mount.file(sid).unlink) == errno.EBUSY
            assert f"{sid} is not deleted: it was replaced since it was last read here" in mount.log
            assert left(place) == {sid}
            assert move(mount, backup) == (0, "")
            assert [path.read_bytes() for path in backup.iterdir()] == [b"all of it"]
            assert left(place) == set()


def test_without_the_option_nothing_is_deleted(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, plain = account_to_move(private_key)
    with customer(tmp_path, account, private_key) as place, mounted(place) as mount:
        for sid in plain:
            path = mount.file(sid)
            path.read_bytes()
            assert errno_of(path.unlink) == errno.EROFS
        assert place.simulator.count("api.delete") == 0


def test_what_verify_has_proven_can_be_deleted_unread(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, plain = account_to_move(private_key)
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON) as mount:
        proven, path = list(plain)[3], mount.file(list(plain)[3])
        assert path.stat().st_size == 3_000_000
        done = run_twfs("verify", place.source, proven, "-o", place.option_text())
        assert done.returncode == 0, done.stderr
        before = place.simulator.bytes_sent("s3.get")
        path.unlink()
        assert place.simulator.bytes_sent("s3.get") - before < 1000, "the last look only"
        assert left(place) == plain.keys() - {proven}


@needs_rsync
def test_what_was_replaced_since_it_was_copied_is_copied_before_it_is_deleted(
    tmp_path: Path, private_key: RSAPrivateKey
) -> None:
    account, backup = SimulatedAccount(), tmp_path / "backup"
    old, new = content(3_000_000, "old"), content(2_000_000, "new")
    sid = account.add_recording(StoredObject(old))
    with customer(tmp_path, account, private_key) as place, mounted(place, attr_timeout="0", **ON) as mount:
        done = run_twfs("verify", place.source, sid, "-o", place.option_text())
        assert done.returncode == 0, done.stderr
        assert mount.file(sid).read_bytes() == old
        account.replace(sid, StoredObject(new))
        for _ in range(2):
            assert errno_of(mount.file(sid).unlink) == errno.EBUSY
        assert f"{sid} is not deleted: it was replaced since it was last read here" in mount.log
        assert left(place) == {sid}
        assert move(mount, backup) == (0, "")
        assert [path.read_bytes() for path in backup.iterdir()] == [new]
        assert left(place) == set()


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        (Fault("api.delete", status=500, times=None), errno.EIO),
        (Fault("api.delete", status=409, times=None), errno.EIO),
        (Fault("api.delete", status=403, times=None), errno.EACCES),
        (Fault("api.delete", delay=3600, times=None), errno.ETIMEDOUT),
    ],
)
def test_nothing_vanishes_until_twilio_confirms(
    tmp_path: Path, private_key: RSAPrivateKey, fault: Fault, number: int
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(StoredObject(b"all of it"))
    with customer(tmp_path, account, private_key) as place, mounted(place, timeout="5", **ON) as mount:
        path = mount.file(sid)
        assert path.read_bytes() == b"all of it"
        place.simulator.inject(fault)
        assert errno_of(path.unlink) == number
        assert path.read_bytes() == b"all of it"
        assert [entry.name for entry in (mount.path / "recordings").iterdir()] == [path.name]
        assert deletions(mount) == []
        place.simulator.clear_faults()
        path.unlink()
        assert not path.exists()


def test_what_was_deleted_elsewhere_meanwhile_is_gone_here_too(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sids = [account.add_recording(StoredObject(b"all of it")) for _ in range(2)]
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON) as mount:
        paths = [mount.file(sid) for sid in sids]
        for path in paths:
            path.read_bytes()
        account.delete(sids[0])
        account.forget(sids[1])
        for path in paths:
            path.unlink()
            assert not path.exists()


def test_only_twfs_rm_deletes_what_no_key_opens(
    tmp_path: Path, private_key: RSAPrivateKey, other_key: RSAPrivateKey
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(b"locked", other_key.public_key()))
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON) as mount:
        assert errno_of(mount.file(sid).unlink) == errno.EPERM
        assert "add the one it was encrypted for" in mount.log
        refused = run_twfs("rm", place.source, sid, "--yes", "-o", place.option_text())
        assert (refused.returncode, left(place)) == (1, {sid})
        done = run_twfs("rm", place.source, sid, "--yes", "--unverified", "-o", place.option_text())
        assert (done.returncode, left(place)) == (0, set())


def test_a_track_that_may_still_get_media_stays(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    fresh, muted = account.add_recording(None), account.add_recording(None, date_created=LONG_AGO)
    with customer(tmp_path, account, private_key) as place, mounted(place, **ON) as mount:
        assert mount.file(fresh).stat().st_size == 0
        assert errno_of(mount.file(fresh).unlink) == errno.EPERM
        assert errno_of(mount.file(muted).unlink) == errno.EBUSY
        assert f"{muted} is not deleted yet" in mount.log
        assert left(place) == {fresh, muted}


def test_a_track_found_muted_long_ago_goes(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    muted = account.add_recording(None, date_created=LONG_AGO)
    with customer(tmp_path, account, private_key) as place:
        found_absent(place, muted)
        with mounted(place, **ON) as mount:
            mount.file(muted).unlink()
        assert left(place) == set()


@needs_root
@both_bindings
def test_permission_bits_say_who_may_delete(private_key: RSAPrivateKey, fuse: str) -> None:
    account = SimulatedAccount()
    sids = [account.add_recording(StoredObject(b"all of it")) for _ in range(2)]
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name, customer(Path(name), account, private_key) as place:
        Path(name).chmod(0o755)
        with mounted(place, fuse=fuse, allow_other="yes", dir_mode="0555", file_mode="0444", **ON) as mount:
            path = mount.file(sids[0])
            path.read_bytes()
            refused = run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "rm", "-f", str(path)])
            assert refused.returncode == 1
            assert "Permission denied" in refused.stderr
            assert left(place) == set(sids)
        with mounted(place, fuse=fuse, allow_other="yes", uid=str(NOBODY), **ON) as mount:
            path = mount.file(sids[0])
            as_nobody = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"]
            assert run([*as_nobody, "cat", str(path)]).stdout == "all of it"
            assert run([*as_nobody, "rm", "-f", str(path)]).returncode == 0
            assert f"{sids[0]}: deleted at Twilio, asked for by uid {NOBODY}, pid " in mount.log
            written = run([*as_nobody, "touch", str(path.parent / "new")])
            assert "Read-only file system" in written.stderr
