"""Every byte that a mount gives is the plaintext's: whole, at random, mapped, from several processes."""

import errno
import hashlib
import mmap
import os
import random
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import both_bindings, customer, is_readable, mounted, needs_fuse, wait_for
from tests.simulator.twin import under_etag_of
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

MIB = 2**20
EDGES = (0, 1, 15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 131071, 131072, 131073, MIB - 1, MIB, MIB + 1, 3 * MIB + 12345)
PROCESSES = 3
READS_PER_PROCESS = 4000


def content(size: int, seed: object) -> bytes:
    """Bytes that differ everywhere."""
    return random.Random(f"{size} {seed}").randbytes(size)


def edge_account(key: RSAPrivateKey) -> tuple[SimulatedAccount, dict[str, bytes]]:
    """Media of all edge lengths: plain, and encrypted with each key size; and what they must read as."""
    account, plain = SimulatedAccount(), {}
    for size in EDGES:
        for bits in (0, 128, 192, 256):
            data = content(size, bits)
            with_length = size % 2 == 0
            stored = (
                seal(data, key.public_key(), key_bits=bits, with_length=with_length) if bits else StoredObject(data)
            )
            plain[account.add_recording(stored)] = data
    return account, plain


def read_at_random(files: list[tuple[Path, Path]], seed: int) -> int:
    """Compare random reads of files with their originals on disk, half by pread and half by mmap; how many."""
    rng = random.Random(seed)
    opened = [(os.open(path, os.O_RDONLY), original.read_bytes()) for path, original in files]
    maps = [mmap.mmap(handle, 0, prot=mmap.PROT_READ) for handle, _ in opened]
    for number in range(READS_PER_PROCESS):
        index = rng.randrange(len(opened))
        handle, original = opened[index]
        start = rng.randrange(len(original))
        size = rng.choice((1, 16, 4096, 65536, 300_000))
        got = maps[index][start : start + size] if number % 2 else os.pread(handle, size, start)
        assert got == original[start : start + size], (files[index], start, size)
    for (handle, _), mapping in zip(opened, maps, strict=True):
        mapping.close()
        os.close(handle)
    return READS_PER_PROCESS


@both_bindings
def test_every_file_equals_its_plaintext(tmp_path: Path, private_key: RSAPrivateKey, fuse: str) -> None:
    account, plain = edge_account(private_key)
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse) as mount:
        assert len(list((mount.path / "recordings").iterdir())) == len(plain)
        for sid, data in plain.items():
            path = mount.file(sid)
            assert path.stat().st_size == len(data)
            assert path.read_bytes() == data, (sid, len(data))


@both_bindings
def test_random_reads_of_several_processes(tmp_path: Path, private_key: RSAPrivateKey, fuse: str) -> None:
    account, plain = edge_account(private_key)
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse, cache_size="8M") as mount:
        files = []
        for sid, data in plain.items():
            original = tmp_path / sid
            original.write_bytes(data)
            files += [(mount.file(sid), original)] if data else []
        with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
            done = list(pool.map(read_at_random, [files] * PROCESSES, range(PROCESSES)))
        assert sum(done) >= 10_000


@both_bindings
def test_wrong_key_is_enokey_and_nothing_else(
    tmp_path: Path, private_key: RSAPrivateKey, other_key: RSAPrivateKey, fuse: str
) -> None:
    account = SimulatedAccount()
    locked = [
        account.add_recording(seal(content(size, "locked"), other_key.public_key(), with_length=with_length))
        for size in (0, 100, 200_000)
        for with_length in (True, False)
    ]
    readable = account.add_recording(seal(b"mine", private_key.public_key()))
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse) as mount:
        assert len(list((mount.path / "recordings").iterdir())) == len(locked) + 1
        for sid in locked:
            assert mount.file(sid).stat().st_size >= 0
            with pytest.raises(OSError, match="key") as refused:
                mount.file(sid).open("rb")
            assert refused.value.errno == errno.ENOKEY
        assert mount.file(readable).read_bytes() == b"mine"


def test_both_eras_of_a_key_rotation_are_readable(
    tmp_path: Path, private_key: RSAPrivateKey, other_key: RSAPrivateKey
) -> None:
    account = SimulatedAccount()
    old = account.add_recording(seal(content(300_000, "old"), private_key.public_key()))
    new = account.add_recording(seal(content(300_000, "new"), other_key.public_key(), key_bits=128))
    with customer(tmp_path, account, private_key) as place:
        with mounted(place) as mount:
            assert mount.file(old).read_bytes() == content(300_000, "old")
            with pytest.raises(OSError, match="key"):
                mount.file(new).read_bytes()
        place.give_keys(private_key, other_key)
        with mounted(place) as mount:
            assert mount.file(old).read_bytes() == content(300_000, "old")
            assert mount.file(new).read_bytes() == content(300_000, "new")


def test_an_expired_url_in_the_middle_of_a_file_goes_unnoticed(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    data = content(20 * MIB, "long")
    account = SimulatedAccount()
    sid = account.add_recording(seal(data, private_key.public_key()))
    with (
        customer(tmp_path, account, private_key) as place,
        mounted(place, readahead="1M") as mount,
        mount.file(sid).open("rb", buffering=0) as file,
    ):
        got = hashlib.sha256()
        for part in range(20):
            place.simulator.expire_urls()
            got.update(file.read(MIB))
            assert file.tell() == (part + 1) * MIB
        assert got.digest() == hashlib.sha256(data).digest()
        refused = [request for request in place.simulator.requests if request.status == 403]
        assert refused, "no URL had expired: the test proves nothing"
        assert "ERROR" not in mount.log


@both_bindings
def test_a_read_slower_than_the_attribute_timeout_ends_well(
    tmp_path: Path, private_key: RSAPrivateKey, fuse: str
) -> None:
    data = content(MIB + 77, "slow")
    account = SimulatedAccount()
    sid = account.add_recording(seal(data, private_key.public_key()))
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse=fuse, attr_timeout="0.2") as mount:
        path = mount.file(sid)
        assert path.stat().st_size == len(data)
        place.simulator.inject(Fault(on="s3.get", rate=400_000, times=None))
        with path.open("rb") as file:
            assert file.read() == data
            assert file.read() == b""


def test_a_lost_object_is_an_error_not_an_empty_file(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(content(500_000, "lost"), private_key.public_key()))
    with customer(tmp_path, account, private_key) as place, mounted(place, timeout="3") as mount:
        path = mount.file(sid)
        assert path.stat().st_size == 500_000
        place.simulator.inject(Fault(on="s3.get", status=503, times=None))
        with path.open("rb") as file, pytest.raises(OSError, match=r"\[Errno") as failed:
            file.read()
        assert failed.value.errno in (errno.EIO, errno.ETIMEDOUT)
        place.simulator.clear_faults()
        wait_for(lambda: is_readable(path))
        assert path.read_bytes() == content(500_000, "lost")


def test_a_medium_without_media_is_an_empty_file_that_says_so(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(None, container="mka")
    with customer(tmp_path, account, private_key) as place, mounted(place) as mount:
        assert mount.file(sid).read_bytes() == b""
        assert os.getxattr(mount.file(sid), "user.twilio.media") == b"absent"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may raise read_ahead_kb")
def test_the_kernel_asks_for_a_large_file_in_large_pieces(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, data = SimulatedAccount(), content(16 * MIB, "large")
    sid = account.add_recording(seal(data, private_key.public_key()))
    with customer(tmp_path, account, private_key) as place, mounted(place, fuse="3") as mount:
        assert mount.file(sid).read_bytes() == data
        metrics = (mount.path / ".twfs" / "metrics").read_text()
    count = re.search(r'^twfs_operation_duration_seconds_count\{operation="read"\} (\d+)', metrics, re.MULTILINE)
    assert count is not None
    assert int(count[1]) < 16 * MIB // (512 * 1024)


@both_bindings
def test_what_was_replaced_under_the_same_etag_is_stale_and_then_the_new_one(
    tmp_path: Path, private_key: RSAPrivateKey, fuse: str
) -> None:
    account, old, new = SimulatedAccount(), content(3 * MIB, "old"), content(3 * MIB, "new")
    first = seal(old, private_key.public_key())
    sid = account.add_recording(first)
    with customer(tmp_path, account, private_key) as place:
        with (
            mounted(place, fuse=fuse, readahead="128K") as mount,
            mount.file(sid).open("rb", buffering=0) as file,
        ):
            path = mount.file(sid)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            assert os.pread(file.fileno(), 4096, 0) == old[:4096]
            account.replace(sid, under_etag_of(first, seal(new, private_key.public_key())))
            with pytest.raises(OSError, match=r"[Ss]tale"):
                os.pread(file.fileno(), 4096, 2 * MIB)
            wait_for(lambda: is_readable(path))
            assert path.read_bytes() == new
        with mounted(place, fuse=fuse) as mount:
            assert mount.file(sid).read_bytes() == new
