import hashlib
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.keys import keyring
from tests.crypto.sealed import seal
from twfs.crypto.unlock import Unlocker
from twfs.errors import MediaDamaged
from twfs.probe import MediaInfo, ObjectFacts
from twfs.transfer.proof import Md5, Proof

KEYS = keyring(0)


def stored_as(
    plain: bytes, *, encrypted: bool, etag: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[MediaInfo, bytes]:
    """What is known of an object, and its bytes."""
    sealed = seal(plain)
    stored, metadata = (sealed.ciphertext, sealed.metadata) if encrypted else (plain, {})
    md5 = f'"{hashlib.md5(stored).hexdigest()}"'
    facts = ObjectFacts(len(stored), md5 if etag is None else etag, {**metadata, **(headers or {})}, stored[-32:])
    return Unlocker(KEYS).interpret(facts), stored


def concluded(info: MediaInfo, stored: bytes, *, with_md5: bool = True) -> Md5:
    with closing(Proof(info, KEYS, with_md5=with_md5)) as proof:
        for start in range(0, len(stored), 50):
            proof.update(memoryview(stored[start : start + 50]))
        return proof.conclude()


@given(st.binary(max_size=120), st.booleans())
def test_the_truth_is_proven(plain: bytes, encrypted: bool) -> None:
    info, stored = stored_as(plain, encrypted=encrypted)
    assert concluded(info, stored) is Md5.OK
    assert concluded(info, stored, with_md5=False) is Md5.UNASKED


@given(st.binary(min_size=1, max_size=120), st.booleans(), st.data())
def test_any_changed_byte_is_noticed(plain: bytes, encrypted: bool, data: st.DataObject) -> None:
    info, stored = stored_as(plain, encrypted=encrypted)
    at = data.draw(st.integers(0, len(stored) - 1))
    changed = stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
    with pytest.raises(MediaDamaged):
        concluded(info, changed)


@given(st.binary(min_size=1, max_size=120), st.booleans())
def test_missing_and_surplus_bytes_are_noticed(plain: bytes, encrypted: bool) -> None:
    info, stored = stored_as(plain, encrypted=encrypted)
    for wrong in (stored[:-1], stored + b"x"):
        with pytest.raises(MediaDamaged, match="bytes came where there must be"):
            concluded(info, wrong, with_md5=False)


@pytest.mark.parametrize("encrypted", [True, False])
def test_another_end_is_noticed_without_md5(encrypted: bool) -> None:
    info, stored = stored_as(bytes(range(100)), encrypted=encrypted)
    with pytest.raises(MediaDamaged, match="last bytes"):
        concluded(info, stored[:-1] + bytes([stored[-1] ^ 1]), with_md5=False)


@pytest.mark.parametrize(("etag", "md5"), [('"' + "0" * 32 + '-2"', Md5.MULTIPART), ("", Md5.NONE), ("odd", Md5.NONE)])
def test_what_an_etag_cannot_prove(etag: str, md5: Md5) -> None:
    assert concluded(*stored_as(bytes(100), encrypted=True, etag=etag)) is md5


@pytest.mark.parametrize("encrypted", [True, False])
def test_etag_under_kms_is_no_wrong_md5(encrypted: bool) -> None:
    kms = {"x-amz-server-side-encryption": "aws:kms"}
    assert concluded(*stored_as(b"x", encrypted=encrypted, etag='"' + "0" * 32 + '"', headers=kms)) is Md5.KMS
    assert concluded(*stored_as(b"x", encrypted=encrypted, headers=kms), with_md5=False) is Md5.UNASKED
    in_parts = stored_as(b"x", encrypted=encrypted, etag='"' + "0" * 32 + '-1"', headers=kms)
    assert concluded(*in_parts) is Md5.MULTIPART


def test_wrong_md5_says_what_may_be_the_cause() -> None:
    with pytest.raises(MediaDamaged, match="--no-md5"):
        concluded(*stored_as(b"x", encrypted=True, etag="0" * 32))


@given(st.binary(max_size=120), st.booleans(), st.booleans(), st.data())
def test_what_was_there_before_is_proven_too_or_need_not_be_given(
    plain: bytes, encrypted: bool, with_md5: bool, data: st.DataObject
) -> None:
    before = data.draw(st.integers(0, len(plain) // 16)) * 16
    info, stored = stored_as(plain, encrypted=encrypted)
    with closing(Proof(info, KEYS, with_md5=with_md5)) as proof:
        assert proof.needs_all == with_md5
        if proof.needs_all:
            proof.replay(memoryview(plain)[:before])
        else:
            proof.skip(before)
        proof.update(memoryview(stored)[before:])
        assert proof.conclude() is (Md5.OK if with_md5 else Md5.UNASKED)


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("with_md5", [True, False])
def test_rest_of_an_object_completes_what_was_there_before(encrypted: bool, with_md5: bool) -> None:
    plain, before = bytes(range(100)), threading.enumerate()
    info, stored = stored_as(plain, encrypted=encrypted)
    with closing(Proof(info, KEYS, with_md5=with_md5)) as proof:
        if with_md5:
            proof.replay(memoryview(plain)[:48])
        else:
            proof.skip(48)
        proof.update(memoryview(stored)[48:])
        assert proof.conclude() is (Md5.OK if with_md5 else Md5.UNASKED)
    left = set(threading.enumerate()) - set(before)
    assert not any(thread.name.startswith("aside") for thread in left)


@given(st.binary(min_size=16, max_size=120), st.booleans(), st.data())
def test_any_byte_that_was_changed_before_is_noticed(plain: bytes, encrypted: bool, data: st.DataObject) -> None:
    before = data.draw(st.integers(1, len(plain) // 16)) * 16
    at = data.draw(st.integers(0, before - 1))
    info, stored = stored_as(plain, encrypted=encrypted)
    with closing(Proof(info, KEYS, with_md5=True)) as proof:
        proof.replay(memoryview(plain[:at] + bytes([plain[at] ^ 1]) + plain[at + 1 : before]))
        proof.update(memoryview(stored)[before:])
        with pytest.raises(MediaDamaged, match="MD5"):
            proof.conclude()


def test_another_size_than_was_known_is_refused() -> None:
    info, _ = stored_as(bytes(100), encrypted=True)
    with pytest.raises(MediaDamaged, match="not 99 as was known"):
        Proof(replace(info, plain_size=99), KEYS, with_md5=True)
    with pytest.raises(MediaDamaged, match="no object"):
        Proof(replace(info, facts=None), KEYS, with_md5=True)


def test_memory_is_free_at_once_where_nothing_is_hashed() -> None:
    freed: list[bool] = []
    with closing(Proof(stored_as(b"x", encrypted=True)[0], KEYS, with_md5=False)) as proof:
        proof.afterwards(lambda: freed.append(True))
        assert freed == [True]


def test_key_that_opens_is_told() -> None:
    assert Proof(stored_as(b"x", encrypted=False)[0], KEYS, with_md5=False).private_key is None
    opened = Proof(stored_as(b"x", encrypted=True)[0], KEYS, with_md5=False).private_key
    assert opened is not None
    assert opened.name == "key 0"
