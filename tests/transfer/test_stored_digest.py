import hashlib
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.keys import keyring, private_key
from tests.crypto.sealed import IV, encrypt, seal
from twfs.errors import MediaDamaged, NoKey
from twfs.probe import ObjectFacts
from twfs.transfer.reader_pool import PIECE_SIZE
from twfs.transfer.stored_digest import Seal, StoredDigest, is_multipart, md5_of, seal_of


def digest_of(sealed: Seal | None, plain: bytes, stored: bytes, replayed: int, cuts: list[int]) -> str:
    """With the first `replayed` bytes told by their plaintext, the rest cut into pieces."""
    digest = StoredDigest(sealed)
    told = bytearray(plain[:replayed])
    digest.replay(memoryview(told))
    # Whoever replays puts the next bytes into the same buffer at once.
    told[:] = bytes(len(told))
    for start, end in pairwise([replayed, *sorted(cuts), len(stored)]):
        digest.update(memoryview(stored)[start:end])
    result = digest.finish()
    digest.close()
    return result


@given(st.data())
def test_digest_of_what_comes_and_of_what_was_there_is_that_of_the_stored_bytes(data: st.DataObject) -> None:
    plain = data.draw(st.binary(max_size=300))
    replayed = data.draw(st.integers(0, len(plain) // 16)) * 16
    cuts = data.draw(st.lists(st.integers(replayed, len(plain)), max_size=5))
    content_key = data.draw(st.sampled_from((16, 24, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
    stored = encrypt(plain, content_key)
    sealed = Seal(content_key, IV, private_key(), len(plain))
    assert digest_of(sealed, plain, stored, replayed, cuts) == hashlib.md5(stored).hexdigest()
    assert digest_of(None, plain, plain, replayed, cuts) == hashlib.md5(plain).hexdigest()


def test_memory_is_free_again_once_it_is_hashed() -> None:
    digest, buffer, free = StoredDigest(None), bytearray(PIECE_SIZE), threading.Event()
    for number in range(20):
        buffer[:] = bytes([number]) * PIECE_SIZE
        digest.update(memoryview(buffer))
        digest.afterwards(free.set)
        assert free.wait(30)
        free.clear()
    expected = hashlib.md5(b"".join(bytes([number]) * PIECE_SIZE for number in range(20))).hexdigest()
    assert digest.finish() == expected
    digest.close()


def test_seal_is_of_the_key_that_opens() -> None:
    sealed = seal(b"0123456789" * 10, content_key=bytes(range(32)))
    found = seal_of(sealed.facts, keyring(2, 1, 0))
    assert found is not None
    assert (found.content_key, found.iv, found.private_key.name) == (bytes(range(32)), IV, "key 0")
    assert found.plain_size == 100
    assert repr(bytes(range(32))) not in repr(found)


def test_no_seal_without_an_envelope() -> None:
    assert seal_of(ObjectFacts(3, "", {}, b"abc"), keyring(0)) is None


def test_no_seal_without_the_key() -> None:
    sealed = seal(b"x")
    with pytest.raises(NoKey):
        seal_of(sealed.facts, keyring(1))
    with pytest.raises(MediaDamaged):
        seal_of(ObjectFacts(15, "", sealed.metadata, bytes(15)), keyring(0))


@pytest.mark.parametrize(
    ("etag", "md5", "multipart"),
    [
        ('"0123456789abcdef0123456789abcdef"', "0123456789abcdef0123456789abcdef", False),
        ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef", False),
        ('"0123456789abcdef0123456789abcdef-12"', None, True),
        ('"0123456789ABCDEF0123456789ABCDEF"', None, False),
        ('W/"0123456789abcdef0123456789abcdef"', None, False),
        ("", None, False),
    ],
)
def test_forms_of_etags(etag: str, md5: str | None, *, multipart: bool) -> None:
    assert md5_of(ObjectFacts(0, etag)) == md5
    assert is_multipart(etag) == multipart


@pytest.mark.parametrize(
    ("headers", "is_md5"),
    [
        ({}, True),
        ({"x-amz-server-side-encryption": "AES256"}, True),
        ({"x-amz-server-side-encryption": "aws:kms"}, False),
        ({"x-amz-server-side-encryption": "aws:kms:dsse"}, False),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, False),
    ],
)
def test_etag_of_an_object_under_a_key_of_kms_or_of_a_customer_is_no_md5(headers: dict[str, str], is_md5: bool) -> None:
    assert (md5_of(ObjectFacts(0, f'"{"0" * 32}"', headers)) is not None) == is_md5
