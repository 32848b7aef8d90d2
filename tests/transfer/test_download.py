import hashlib
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import needs_root
from tests.simulator.twin import under_etag_of
from tests.transfer.generated import generated
from tests.transfer.rig import Corrupted, Counted, Rig, pool_of, rig
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal, throwaway_public_key
from twfs.transfer.outcome import Ending
from twfs.transfer.part_file import PartFile
from twfs.transfer.proof import Md5

MIB = 2**20
SIZE = 5 * MIB + 4321
MOMENT = 1511455637


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, MIB - 1, MIB, MIB + 1, SIZE])
@pytest.mark.parametrize("bits", [0, 128, 256])
def test_file_is_the_plaintext(tmp_path: Path, out: Path, private_key: RSAPrivateKey, size: int, bits: int) -> None:
    account, plain = SimulatedAccount(), content(size)
    stored = seal(plain, private_key.public_key(), key_bits=bits) if bits else StoredObject(plain)
    sid = account.add_recording(stored)
    with rig(tmp_path, account, private_key) as here:
        outcome = here.fetch(sid, out / "a.mkv")
    assert (outcome.ending, outcome.md5, outcome.reason) == (Ending.WRITTEN, Md5.OK, "")
    assert (out / "a.mkv").read_bytes() == plain
    assert names(out) == ["a.mkv"]
    assert (out / "a.mkv").stat().st_mtime == here.place.account.medium(sid).date_created.timestamp()
    assert (outcome.private_key is None) == (bits == 0)


@pytest.mark.parametrize("has_etag", [True, False])
def test_what_was_replaced_under_its_etag_or_has_none_is_never_opened_with_the_key_of_before(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey, *, has_etag: bool
) -> None:
    account, old, new = SimulatedAccount(), content(SIZE, 1), content(SIZE, 2)
    first = seal(old, private_key.public_key())
    sid = account.add_recording(first)
    with rig(tmp_path, account, private_key) as here:
        if not has_etag:
            here.simulator.inject(Fault("s3", headers={"ETag": None}, times=None))
        assert here.fetch(sid, out / "a").ending is Ending.WRITTEN
        account.replace(sid, under_etag_of(first, seal(new, private_key.public_key())))
        outcome = here.fetch(sid, out / "b", with_md5=False)
        assert outcome.ending is Ending.WRITTEN
        assert here.verify(sid, with_md5=False).ending is Ending.VERIFIED
    assert ((out / "a").read_bytes(), (out / "b").read_bytes()) == (old, new)


def test_costs(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(generated(64 * MIB, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        watch = Counted()
        assert here.fetch(sid, out / "a", watch).ending is Ending.WRITTEN
        assert (here.simulator.count("api.list"), here.simulator.count("api.media")) == (2, 1)
        assert here.simulator.bytes_sent("s3.get") <= 1.02 * 64 * MIB
        assert here.simulator.count("s3.get") <= 64 + 2  # one per piece at most, the probe, and the jump to the start
        assert watch.fetched == 64 * MIB - 16


def test_file_that_is_there_costs_nothing(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(content(SIZE), private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, out / f"{sid}.mkv")
        here.simulator.clear_requests()
        watch = Counted()
        with pool_of(here.place, {}) as later:
            outcome = Rig(here.place, later).fetch(sid, out / f"{sid}.mkv", watch)
        assert outcome.ending is Ending.UNCHANGED
        assert here.simulator.requests == []
        assert (watch.fetched, watch.spared_bytes) == (0, SIZE)


def test_file_of_another_time_or_size_is_replaced(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account, plain = SimulatedAccount(), content(1000)
    sid = account.add_recording(seal(plain, private_key.public_key()))
    goal = out / f"{sid}.mkv"
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, goal)
        os.utime(goal, (1, 1))
        assert here.fetch(sid, goal).ending is Ending.WRITTEN
        moment = goal.stat().st_mtime
        goal.write_bytes(b"short")
        os.utime(goal, (moment, moment))
        assert here.fetch(sid, goal).ending is Ending.WRITTEN
        assert goal.read_bytes() == plain


def test_file_of_another_medium_of_the_same_size_and_time_is_replaced(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey
) -> None:
    account, plains = SimulatedAccount(), [content(1000, seed) for seed in range(2)]
    sids = [
        account.add_recording(seal(plain, private_key.public_key()), date_created=datetime(2026, 11, 20, tzinfo=UTC))
        for plain in plains
    ]
    with rig(tmp_path, account, private_key) as here:
        for sid, plain in zip(sids, plains, strict=True):
            assert here.fetch(sid, out / "temporary").ending is Ending.WRITTEN
            assert (out / "temporary").read_bytes() == plain


@pytest.mark.parametrize("with_md5", [True, False])
@pytest.mark.parametrize("with_etag_md5", [True, False])
def test_interrupted_download_is_gone_on_with(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey, with_md5: bool, with_etag_md5: bool
) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    sid = account.add_recording(seal(plain, private_key.public_key(), part_size=None if with_etag_md5 else 5 * MIB))
    with rig(tmp_path, account, private_key) as here:
        first = here.fetch(sid, out / "a", Counted(enough=2 * MIB), with_md5=with_md5)
        assert first.ending is Ending.STOPPED
        assert len(names(out)) == 1
        assert names(out)[0].startswith(".a.")
    here.simulator.clear_requests()
    with rig_again(here.place.folder, account, private_key) as again:
        watch = Counted()
        second = again.fetch(sid, out / "a", watch, with_md5=with_md5)
        assert (second.ending, second.resumed_at) == (Ending.WRITTEN, 2 * MIB)
        assert (watch.fetched, watch.spared_bytes) == (SIZE - 2 * MIB, 2 * MIB)
        assert again.simulator.bytes_sent("s3.get") <= 1.02 * (SIZE - 2 * MIB) + 2 * 128 * 2**10
    assert (out / "a").read_bytes() == plain
    assert names(out) == ["a"]


@pytest.mark.parametrize("part_size", [None, 5 * MIB])
@pytest.mark.parametrize("resumed_at", [0, 2 * MIB])
def test_bytes_of_before_that_no_md5_covers_are_not_verified(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey, part_size: int | None, resumed_at: int
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(content(SIZE), private_key.public_key(), part_size=part_size))
    with rig(tmp_path, account, private_key) as here:
        if resumed_at:
            here.fetch(sid, out / "a", Counted(enough=resumed_at))
        outcome = here.fetch(sid, out / "a")
        assert (outcome.ending, outcome.resumed_at) == (Ending.WRITTEN, resumed_at)
        assert here.is_verified(sid) == (part_size is None or not resumed_at)


def rig_again(folder: Path, account: SimulatedAccount, key: RSAPrivateKey) -> AbstractContextManager[Rig]:
    """Another day: another session, another place for its state."""
    place = folder / "again"
    place.mkdir()
    return rig(place, account, key)


def test_beginning_of_an_object_that_was_replaced_is_not_used(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey
) -> None:
    account, plain = SimulatedAccount(), content(SIZE, 1)
    sid = account.add_recording(seal(content(SIZE), private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, out / "a", Counted(enough=2 * MIB))
    account.replace(sid, seal(plain, private_key.public_key()))
    with rig_again(tmp_path, account, private_key) as again:
        outcome = again.fetch(sid, out / "a")
    assert (outcome.ending, outcome.resumed_at) == (Ending.WRITTEN, 0)
    assert (out / "a").read_bytes() == plain
    assert names(out) == ["a"]


def test_beginning_that_was_changed_is_noticed_and_fetched_once_more(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    sid = account.add_recording(seal(plain, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, out / "a", Counted(enough=2 * MIB))
        (part,) = out.iterdir()
        with part.open("r+b") as file:
            file.seek(MIB)
            file.write(b"\0\0\0\0")
        watch = Counted()
        outcome = here.fetch(sid, out / "a", watch)
        assert (outcome.ending, outcome.md5, outcome.resumed_at) == (Ending.WRITTEN, Md5.OK, 0)
        assert outcome.fetched == watch.fetched == 2 * SIZE - 2 * MIB
        assert watch.fetched + watch.spared_bytes == SIZE
        assert here.is_verified(sid)
        assert here.session.catalog.damage(sid, here.facts(sid)) == ""
    assert "fetched once more" in caplog.messages[-1]
    assert (out / "a").read_bytes() == plain
    assert names(out) == ["a"]


def test_damage_of_the_rest_is_told_after_a_second_try(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(Corrupted(seal(content(SIZE), private_key.public_key()), 3 * MIB))
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, out / "a", Counted(enough=2 * MIB))
        watch = Counted()
        outcome = here.fetch(sid, out / "a", watch)
        assert (outcome.ending, "MD5" in outcome.reason) == (Ending.DAMAGED, True)
        assert watch.fetched == 2 * SIZE - 2 * MIB
    assert names(out) == []


def test_beginning_that_is_too_long_is_begun_anew(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    sid = account.add_recording(seal(plain, private_key.public_key(), part_size=5 * MIB))
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, out / "a", Counted(enough=2 * MIB))
        (part,) = out.iterdir()
        part.write_bytes(bytes(SIZE + 1))
        outcome = here.fetch(sid, out / "a")
        assert (outcome.ending, outcome.resumed_at) == (Ending.WRITTEN, 0)
    assert (out / "a").read_bytes() == plain


def test_resets_and_refusals_on_the_way_do_no_harm(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    sid = account.add_recording(seal(plain, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.medium(sid)
        for after in (0, 1, 4096, 100_000):
            here.simulator.inject(Fault("s3.get", reset_after=after))
        here.simulator.inject(Fault("s3.get", status=503))
        assert here.fetch(sid, out / "a").ending is Ending.WRITTEN
    assert (out / "a").read_bytes() == plain


def test_thin_line_takes_longer_than_a_timeout(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account, plain = SimulatedAccount(), content(MIB)
    sid = account.add_recording(seal(plain, private_key.public_key()))
    with rig(tmp_path, account, private_key, timeout="2") as here:
        here.simulator.inject(Fault("s3.get", rate=250_000, times=None))
        assert here.fetch(sid, out / "a").ending is Ending.WRITTEN
        assert here.simulator.bytes_sent("s3.get") <= 1.02 * MIB
    assert (out / "a").read_bytes() == plain


def test_outage_leaves_the_beginning_only(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    sid = account.add_recording(seal(plain, private_key.public_key()))
    with rig(tmp_path, account, private_key, timeout="2") as here:
        here.medium(sid)
        tail = Fault("s3.get", match=lambda request: "bytes=-" in request.headers["range"])
        here.simulator.inject(tail)
        here.simulator.inject(Fault("s3.get", status=500, times=None))
        outcome = here.fetch(sid, out / "a")
        assert outcome.ending is Ending.FAILED
        assert not (out / "a").exists()
        here.simulator.clear_faults()
        assert here.fetch(sid, out / "a").ending is Ending.WRITTEN
    assert (out / "a").read_bytes() == plain


@pytest.mark.parametrize("encrypted", [True, False])
def test_byte_that_changes_on_the_way_is_noticed(
    tmp_path: Path, out: Path, private_key: RSAPrivateKey, encrypted: bool
) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    true = seal(plain, private_key.public_key()) if encrypted else StoredObject(plain)
    sid = account.add_recording(Corrupted(true, 3 * MIB))
    with rig(tmp_path, account, private_key) as here:
        outcome = here.fetch(sid, out / "a")
        assert (outcome.ending, "MD5" in outcome.reason) == (Ending.DAMAGED, True)
        assert names(out) == []
        assert here.fetch(sid, out / "a", with_md5=False).md5 is Md5.UNASKED


def test_media_that_cannot_be_had(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sealed = seal(content(1000), private_key.public_key())
    cases = {
        account.add_recording(None): Ending.ABSENT,
        account.add_recording(seal(b"x", throwaway_public_key())): Ending.LOCKED,
        account.add_recording(StoredObject(sealed.data[:-1], sealed.metadata)): Ending.DAMAGED,
        account.add_recording(StoredObject(sealed.data[:-16], sealed.metadata)): Ending.DAMAGED,
    }
    with rig(tmp_path, account, private_key) as here:
        for sid, ending in cases.items():
            outcome = here.fetch(sid, out / "a")
            assert outcome.ending is ending, sid
            assert outcome.reason
            assert sid not in outcome.reason
    assert names(out) == []


def test_refused_credentials_stop_everything(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(b"x", private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.medium(sid)
        here.simulator.inject(Fault("api.media", status=401))
        watch = Counted()
        assert here.fetch(sid, out / "a", watch).ending is Ending.FAILED
        assert watch.stop.is_set()


def test_another_process_at_the_same_file(tmp_path: Path, out: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(content(SIZE), private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.fetch(sid, out / "a", Counted(enough=MIB))
        facts = here.session.catalog.known_info(sid)
        assert facts is not None
        assert facts.facts is not None
        identity = f"{sid} {facts.identity} {facts.plain_size}"
        with PartFile(out / "a", identity):
            outcome = here.fetch(sid, out / "a")
        assert (outcome.ending, "another process" in outcome.reason) == (Ending.FAILED, True)
        assert here.fetch(sid, out / "a").resumed_at == MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@needs_root
def test_full_disk_leaves_the_beginning_only(tmp_path: Path, small_disk: Path, private_key: RSAPrivateKey) -> None:
    account, plain = SimulatedAccount(), content(SIZE)
    sid = account.add_recording(seal(plain, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        watch = Counted()
        outcome = here.fetch(sid, small_disk / "a", watch)
        assert outcome.ending is Ending.FAILED
        assert outcome.reason.startswith(f"{small_disk}: No space left on device: make room there")
        assert watch.stop.is_set()
        assert len(names(small_disk)) == 1
        assert names(small_disk)[0].endswith(".part")
        subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
        again = here.fetch(sid, small_disk / "a")
        assert (again.ending, again.resumed_at) == (Ending.WRITTEN, 3 * MIB)
        assert hashlib.sha256((small_disk / "a").read_bytes()).digest() == hashlib.sha256(plain).digest()
