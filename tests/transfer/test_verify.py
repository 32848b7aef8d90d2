from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.moto_s3 import MotoBucket
from tests.mount.harness import new_key
from tests.transfer.generated import generated
from tests.transfer.rig import Corrupted, Counted, Rig, pool_of, rig
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal, throwaway_public_key
from twfs.transfer.outcome import Ending
from twfs.transfer.proof import Md5

MIB = 2**20
PLAIN = bytes(range(256)) * 10_000


def test_good_media(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    public_key = private_key.public_key()
    account = SimulatedAccount()
    cases = {
        account.add_recording(seal(PLAIN, public_key)): Md5.OK,
        account.add_recording(seal(PLAIN, public_key, key_bits=128, with_length=False)): Md5.OK,
        account.add_recording(StoredObject(PLAIN)): Md5.OK,
        account.add_composition(StoredObject(PLAIN, part_size=MIB)): Md5.MULTIPART,
        account.add_composition(seal(b"", public_key)): Md5.OK,
        account.add_composition(seal(PLAIN, public_key, part_size=MIB, with_length=False)): Md5.MULTIPART,
    }
    with rig(tmp_path, account, private_key) as here:
        for sid, md5 in cases.items():
            outcome = here.verify(sid)
            assert (outcome.ending, outcome.md5, outcome.reason) == (Ending.VERIFIED, md5, "")
            assert outcome.plain_size == len(account.plain(sid))


def test_bad_media(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sealed = seal(PLAIN, private_key.public_key())
    cases = {
        account.add_recording(None): Ending.ABSENT,
        account.add_recording(seal(PLAIN, throwaway_public_key())): Ending.LOCKED,
        account.add_recording(Corrupted(sealed, 12_345)): Ending.DAMAGED,
        account.add_recording(Corrupted(sealed, sealed.size - 1)): Ending.DAMAGED,
        account.add_recording(Corrupted(StoredObject(PLAIN), 0)): Ending.DAMAGED,
        account.add_recording(StoredObject(sealed.data[:-16], sealed.metadata)): Ending.DAMAGED,
        account.add_recording(StoredObject(b"x" * 32, {"x-amz-key": "?", "x-amz-iv": "?"})): Ending.DAMAGED,
    }
    with rig(tmp_path, account, private_key) as here:
        for sid, ending in cases.items():
            outcome = here.verify(sid)
            assert outcome.ending is ending
            assert outcome.reason


def test_what_is_known_of_a_replaced_object_is_asked_anew(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        assert here.verify(sid).ending is Ending.VERIFIED
        account.replace(sid, seal(PLAIN[1:], private_key.public_key()))
        with pool_of(here.place, {}) as later:
            outcome = Rig(here.place, later).verify(sid)
            assert (outcome.ending, outcome.plain_size) == (Ending.VERIFIED, len(PLAIN) - 1)
            account.replace(sid, seal(PLAIN, throwaway_public_key()))
        with pool_of(here.place, {}) as later:
            assert Rig(here.place, later).verify(sid).ending is Ending.LOCKED


@pytest.mark.parametrize("header", ["x-amz-server-side-encryption", "X-Amz-Server-Side-Encryption"])
def test_etag_of_a_bucket_under_kms_is_no_failure(tmp_path: Path, private_key: RSAPrivateKey, header: str) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(Corrupted(seal(PLAIN, private_key.public_key()), 12_345))
    with rig(tmp_path, account, private_key) as here:
        # Its ETag is not its MD5: only what the bucket says of its encryption tells this from damage.
        here.simulator.inject(Fault("s3.get", headers={header: "aws:kms"}, times=None))
        assert (here.verify(sid).ending, here.verify(sid).md5) == (Ending.VERIFIED, Md5.KMS)
        with pool_of(here.place, {}) as later:
            # Remembered, like all that the first look told.
            assert Rig(here.place, later).verify(sid).md5 is Md5.KMS
            assert here.simulator.count("s3.get") == 4


@pytest.mark.parametrize(("how", "md5"), [("aws:kms", Md5.KMS), ("AES256", Md5.OK), (None, Md5.OK)])
def test_how_a_bucket_made_by_others_encrypts(
    tmp_path: Path, private_key: RSAPrivateKey, how: str | None, md5: Md5
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(None)
    with MotoBucket() as bucket, rig(tmp_path, account, private_key) as here:
        bucket.put(sid, PLAIN, encryption=how)
        location = {"Location": bucket.presign(sid)}
        here.simulator.inject(Fault("api.media", status=302, headers=location, times=None))
        outcome = here.verify(sid)
    assert (outcome.ending, outcome.md5, outcome.plain_size) == (Ending.VERIFIED, md5, len(PLAIN))


def test_object_deleted_since_it_was_known_has_no_media(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        assert here.verify(sid).ending is Ending.VERIFIED
        account.delete(sid)
        with pool_of(here.place, {}) as later:
            outcome = Rig(here.place, later).verify(sid)
        assert (outcome.ending, outcome.reason) == (Ending.ABSENT, "it was deleted at Twilio")


def test_only_what_was_proven_is_remembered_as_verified(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sealed = seal(PLAIN, private_key.public_key())
    good, bad = account.add_recording(sealed), account.add_recording(Corrupted(sealed, 12_345))
    with rig(tmp_path, account, private_key) as here:
        here.verify(good, Counted(enough=1))
        here.verify(good, with_md5=False)
        assert not here.is_verified(good)
        for sid in (good, bad):
            here.verify(sid)
        assert (here.is_verified(good), here.is_verified(bad)) == (True, False)
        catalog = here.session.catalog
        assert catalog.damage(good, here.facts(good)) == ""
        assert "its MD5 is not the ETag" in catalog.damage(bad, here.facts(bad))


def test_without_an_etag_nothing_is_proven_and_without_an_md5_a_whole_pass_is(
    tmp_path: Path, private_key: RSAPrivateKey
) -> None:
    account = SimulatedAccount()
    nameless = account.add_recording(seal(PLAIN, private_key.public_key()))
    in_parts = account.add_recording(seal(PLAIN, private_key.public_key(), part_size=MIB))
    with rig(tmp_path, account, private_key) as here:
        here.simulator.inject(
            Fault("s3.get", headers={"ETag": None}, match=lambda request: nameless in request.path, times=None)
        )
        assert [here.verify(sid).md5 for sid in (nameless, in_parts)] == [Md5.NONE, Md5.MULTIPART]
        assert [here.is_verified(sid) for sid in (nameless, in_parts)] == [False, True]


@pytest.mark.parametrize("first", [0, 1])
def test_key_that_opens_is_named(tmp_path: Path, private_key: RSAPrivateKey, first: int) -> None:
    keys = [private_key, new_key()]
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, keys[first].public_key()))
    with rig(tmp_path, account, *keys) as here:
        outcome = here.verify(sid)
    assert outcome.private_key is not None
    assert outcome.private_key.name.endswith(f"private_key_{first}.pem")
    assert outcome.record()["key_fingerprint"] == outcome.private_key.fingerprint


def test_costs(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    stored = generated(32 * MIB, private_key.public_key(), with_length=False)
    sid = account.add_recording(stored)
    with rig(tmp_path, account, private_key) as here:
        watch = Counted()
        assert here.verify(sid, watch).md5 is Md5.OK
        assert watch.fetched == stored.plain_size
        assert here.simulator.bytes_sent("s3.get") <= 1.02 * stored.size
        assert here.simulator.count("api.media") == 1


def test_called_off(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN * 4, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        assert here.verify(sid, Counted(enough=1)).ending is Ending.STOPPED


def test_refused_credentials_stop_everything(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(PLAIN, private_key.public_key()))
    with rig(tmp_path, account, private_key) as here:
        here.medium(sid)
        here.simulator.inject(Fault("api.media", status=403))
        watch = Counted()
        assert here.verify(sid, watch).ending is Ending.FAILED
        assert watch.stop.is_set()
