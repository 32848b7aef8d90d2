import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.keys import keyring, private_key
from tests.crypto.sealed import IV, encrypt, seal
from twfs.errors import MediaDamaged, NoKey
from twfs.probe import ObjectFacts
from twfs.transfer.stored_digest import LARGEST_UPDATE, Seal, is_multipart, md5_in, seal_of, stored_digest


def digest_of(sealed: Seal | None, plain: bytes, cuts: list[int]) -> str:
    digest = stored_digest(sealed)
    for start, end in pairwise([0, *sorted(cuts), len(plain)]):
        buffer = bytearray(plain[start:end])
        digest.update(memoryview(buffer))
        # Whoever reads puts the next bytes into the same buffer at once.
        buffer[:] = bytes(len(buffer))
    result = digest.finish()
    digest.close()
    return result


@given(st.data())
def test_digest_of_plaintext_is_that_of_the_stored_bytes(data: st.DataObject) -> None:
    plain = data.draw(st.binary(max_size=300))
    cuts = data.draw(st.lists(st.integers(0, len(plain)), max_size=5))
    content_key = data.draw(st.sampled_from((16, 24, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
    stored = encrypt(plain, content_key)
    assert digest_of(Seal(content_key, IV, private_key()), plain, cuts) == hashlib.md5(stored).hexdigest()
    assert digest_of(None, plain, cuts) == hashlib.md5(plain).hexdigest()


def test_largest_updates() -> None:
    plain = bytes(range(256)) * (3 * LARGEST_UPDATE // 256) + b"end"
    cuts = [LARGEST_UPDATE, 2 * LARGEST_UPDATE, 3 * LARGEST_UPDATE]
    stored = encrypt(plain, bytes(16))
    assert digest_of(Seal(bytes(16), IV, private_key()), plain, cuts) == hashlib.md5(stored).hexdigest()


def test_seal_is_of_the_key_that_opens() -> None:
    sealed = seal(b"0123456789" * 10, content_key=bytes(range(32)))
    found = seal_of(sealed.facts, keyring(2, 1, 0))
    assert found is not None
    assert (found.content_key, found.iv, found.private_key.name) == (bytes(range(32)), IV, "key 0")
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
    assert md5_in(etag) == md5
    assert is_multipart(etag) == multipart
