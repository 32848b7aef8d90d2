import hashlib
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


def info_of(plain: bytes, *, encrypted: bool, etag: str | None = None) -> MediaInfo:
    if encrypted:
        sealed = seal(plain)
        facts = replace(sealed.facts, etag=f'"{hashlib.md5(sealed.ciphertext).hexdigest()}"')
    else:
        facts = ObjectFacts(len(plain), f'"{hashlib.md5(plain).hexdigest()}"', {}, plain[-32:])
    return Unlocker(KEYS).interpret(replace(facts, etag=etag) if etag is not None else facts)


def concluded(info: MediaInfo, plain: bytes, *, with_md5: bool = True) -> Md5:
    proof = Proof(info, KEYS, with_md5=with_md5)
    try:
        for start in range(0, len(plain), 50):
            proof.update(memoryview(plain[start : start + 50]))
        return proof.conclude()
    finally:
        proof.close()


@given(st.binary(max_size=120), st.booleans())
def test_the_truth_is_proven(plain: bytes, encrypted: bool) -> None:
    info = info_of(plain, encrypted=encrypted)
    assert concluded(info, plain) is Md5.OK
    assert concluded(info, plain, with_md5=False) is Md5.UNASKED


@given(st.binary(min_size=1, max_size=120), st.booleans(), st.data())
def test_any_changed_byte_is_noticed(plain: bytes, encrypted: bool, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(plain) - 1))
    changed = plain[:at] + bytes([plain[at] ^ 1]) + plain[at + 1 :]
    with pytest.raises(MediaDamaged):
        concluded(info_of(plain, encrypted=encrypted), changed)


@given(st.binary(min_size=1, max_size=120), st.booleans())
def test_missing_and_surplus_bytes_are_noticed(plain: bytes, encrypted: bool) -> None:
    for wrong in (plain[:-1], plain + b"x"):
        with pytest.raises(MediaDamaged, match="bytes came where there must be"):
            concluded(info_of(plain, encrypted=encrypted), wrong, with_md5=False)


@pytest.mark.parametrize("encrypted", [True, False])
def test_another_end_is_noticed_without_md5(encrypted: bool) -> None:
    plain = bytes(range(100))
    with pytest.raises(MediaDamaged, match="last bytes"):
        concluded(info_of(plain, encrypted=encrypted), plain[:-1] + b"x", with_md5=False)


@pytest.mark.parametrize(("etag", "md5"), [('"' + "0" * 32 + '-2"', Md5.MULTIPART), ("", Md5.NONE), ("odd", Md5.NONE)])
def test_what_an_etag_cannot_prove(etag: str, md5: Md5) -> None:
    plain = bytes(100)
    assert concluded(info_of(plain, encrypted=True, etag=etag), plain) is md5


def test_wrong_md5_says_what_may_be_the_cause() -> None:
    with pytest.raises(MediaDamaged, match="KMS"):
        concluded(info_of(b"x", encrypted=True, etag="0" * 32), b"x")


def test_what_was_known_before_needs_its_last_bytes_only() -> None:
    plain = bytes(range(200))
    for encrypted in (True, False):
        proof = Proof(info_of(plain, encrypted=encrypted), KEYS, with_md5=False)
        assert not proof.needs_all
        proof.skip(168)
        proof.update(memoryview(plain[168:]))
        assert proof.conclude() is Md5.UNASKED


def test_key_that_opens_is_told() -> None:
    assert Proof(info_of(b"x", encrypted=False), KEYS, with_md5=False).private_key is None
    opened = Proof(info_of(b"x", encrypted=True), KEYS, with_md5=False).private_key
    assert opened is not None
    assert opened.name == "key 0"
