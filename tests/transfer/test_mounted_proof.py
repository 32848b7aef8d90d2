from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.transfer.rig import Corrupted, Rig, rig
from twfs.clock import Deadline
from twfs.errors import MediaDamaged, ObjectChanged, RemoteError
from twfs.media.block_cache import BLOCK_SIZE
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.exchange import Answer
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal
from twfs.transfer.mounted_proof import MountedProver

MIB = 2**20
PLAIN = bytes(range(256)) * 10_000


@contextmanager
def mounted_rig(folder: Path, account: SimulatedAccount, key: RSAPrivateKey) -> Iterator[Rig]:
    """A session that reads as a mount does."""
    with rig(folder, account, key) as here:
        yield here


def prove(here: Rig, sid: str) -> None:
    medium = here.medium(sid)
    info = here.session.catalog.info(sid, Deadline(here.session.clock, 30))
    MountedProver(here.session).prove(medium, info)


def read(here: Rig, sid: str) -> bytes:
    """All of it, as a reader in the mount."""
    medium = here.medium(sid)
    info = here.session.catalog.info(sid, Deadline(here.session.clock, 30))
    source = here.session.library.open(medium, info)
    data = bytearray(info.plain_size)
    source.read_into(memoryview(data), 0, Deadline(here.session.clock, 30))
    source.close()
    return bytes(data)


def flipped(answer: Answer) -> Answer:
    body = bytearray(answer.body if isinstance(answer.body, bytes) else answer.body.read(0, len(answer.body)))
    body[len(body) // 2] ^= 1
    return replace(answer, body=bytes(body))


def test_good_media_of_every_kind_are_proven(
    tmp_path: Path, private_key: RSAPrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "twfs")
    account, key = SimulatedAccount(), private_key.public_key()
    sids = [
        account.add_recording(seal(PLAIN, key)),
        account.add_recording(StoredObject(PLAIN)),
        account.add_recording(StoredObject(b"")),
        account.add_composition(seal(PLAIN, key, part_size=MIB)),
    ]
    with mounted_rig(tmp_path, account, private_key) as here:
        for sid in sids:
            prove(here, sid)
    words = ["its MD5 is the ETag"] * 3 + ["uploaded in parts"]
    told = [message for message in caplog.messages if "all of it was read and proven" in message]
    assert all(sid in line and word in line for sid, word, line in zip(sids, words, told, strict=True))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 2 * MIB + 40))
@example(size=MIB)
@example(size=MIB - 1)
@example(size=MIB - 16)
@example(size=MIB + 1)
@example(size=2 * MIB)
def test_padding_of_every_length_is_proven(
    tmp_path_factory: pytest.TempPathFactory, private_key: RSAPrivateKey, size: int
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(bytes(size), private_key.public_key()))
    with mounted_rig(tmp_path_factory.mktemp("proof"), account, private_key) as here:
        prove(here, sid)


@pytest.mark.parametrize("place", [0, 12_345, len(PLAIN) - 40])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_one_flipped_bit_under_an_md5_is_found(
    tmp_path: Path, private_key: RSAPrivateKey, place: int, *, is_sealed: bool
) -> None:
    account = SimulatedAccount()
    true = seal(PLAIN, private_key.public_key()) if is_sealed else StoredObject(PLAIN)
    sid = account.add_recording(Corrupted(true, place))
    with mounted_rig(tmp_path, account, private_key) as here, pytest.raises(MediaDamaged, match="MD5 is not the ETag"):
        prove(here, sid)


def test_what_readers_were_given_is_proven_and_not_fetched_again(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key()))
    with mounted_rig(tmp_path, account, private_key) as here:
        assert read(here, sid) == PLAIN
        here.simulator.clear_requests()
        prove(here, sid)
        assert here.simulator.requests == []


def test_a_bit_that_flipped_on_its_way_to_a_reader_is_found(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key()))
    with mounted_rig(tmp_path, account, private_key) as here:
        here.session.catalog.first_listing()
        here.session.catalog.info(sid, Deadline(here.session.clock, 30))
        here.simulator.inject(Fault("s3.get", alter=flipped))
        assert read(here, sid) != PLAIN
        with pytest.raises(MediaDamaged, match="MD5 is not the ETag"):
            prove(here, sid)


def test_another_object_meanwhile_is_no_proof(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key(), part_size=MIB))
    with mounted_rig(tmp_path, account, private_key) as here:
        here.session.catalog.first_listing()
        here.session.catalog.info(sid, Deadline(here.session.clock, 30))
        account.replace(sid, seal(PLAIN, private_key.public_key(), part_size=2 * MIB))
        with pytest.raises(ObjectChanged):
            prove(here, sid)


def test_what_never_comes_is_no_proof(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key(), part_size=MIB))
    with mounted_rig(tmp_path, account, private_key) as here:
        here.session.catalog.first_listing()
        here.session.catalog.info(sid, Deadline(here.session.clock, 30))
        assert len(PLAIN) > BLOCK_SIZE
        here.simulator.inject(Fault("s3.get", status=400, times=None))
        with pytest.raises(RemoteError):
            prove(here, sid)
