import base64
import os
from dataclasses import replace

import pytest

from tests.crypto.keys import keyring, private_key, rsa_key, wrap
from tests.crypto.sealed import IV, SealedObject, encrypt_blocks, seal
from tests.crypto.test_keyring import wrongly_unwrapped
from twfs.crypto.cbc import KEY_SIZES
from twfs.crypto.keyring import Keyring, PassedOver
from twfs.crypto.unlock import Unlocker
from twfs.errors import MediaDamaged, NoKey
from twfs.probe import MediaState, ObjectFacts

SIZES = (0, 1, 15, 16, 17, 31, 32, 33, 1000)
OTHER_ERA = 7


def state(sealed: SealedObject, *keys: int) -> MediaState:
    return Unlocker(keyring(*keys)).interpret(sealed.facts).state


def with_last_block(sealed: SealedObject, block: bytes) -> SealedObject:
    return replace(sealed, ciphertext=sealed.ciphertext[:-16] + block)


def with_wrong_padding(plain: bytes, content_key: bytes, **fields: object) -> SealedObject:
    """Sealed, but for a padding that cannot be."""
    sealed = seal(plain, content_key=content_key, **fields)  # type: ignore[arg-type]
    last_iv = sealed.ciphertext[-32:-16] or IV
    return with_last_block(sealed, encrypt_blocks(bytes(15) + b"\x11", content_key, last_iv))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key_size", KEY_SIZES)
@pytest.mark.parametrize("claim", [-1, None])
def test_the_right_key_opens_and_the_size_is_exact(size: int, key_size: int, claim: int | None) -> None:
    plain, content_key = os.urandom(size), os.urandom(key_size)
    sealed = seal(plain, content_key=content_key, plain_size=claim)
    info = Unlocker(keyring(0)).interpret(sealed.facts)
    assert (info.state, info.plain_size, info.encrypted) == (MediaState.READABLE, size, True)
    assert (info.etag, info.facts) == ('"etag"', sealed.facts)
    unlocked = Unlocker(keyring(0)).unlock(sealed.facts)
    assert unlocked is not None
    assert (unlocked.plain_size, unlocked.key_name) == (size, "key 0")
    assert unlocked.content_key.decrypt(unlocked.iv, sealed.ciphertext)[:size] == plain


def test_what_is_not_encrypted_needs_no_key() -> None:
    facts = ObjectFacts(5, '"e"', {"x-amz-matdesc": "{}"}, b"plain")
    info = Unlocker(keyring()).interpret(facts)
    assert (info.state, info.plain_size, info.encrypted) == (MediaState.READABLE, 5, False)
    assert Unlocker(keyring()).unlock(facts) is None


@pytest.mark.parametrize("claim", [-1, None])
def test_wrong_keys_never_give_anything_but_locked(claim: int | None) -> None:
    sealed = [seal(os.urandom(size), content_key=os.urandom(32), plain_size=claim) for size in (1, 16, 1000)]
    for number in range(100, 170):
        unlocker = Unlocker(keyring(number))
        for each in sealed:
            assert unlocker.interpret(each.facts).state is MediaState.LOCKED
            with pytest.raises(NoKey, match="the private key at hand does not fit"):
                unlocker.unlock(each.facts)


@pytest.mark.parametrize("claim", [-1, None])
def test_a_wrong_key_that_seems_to_unwrap_is_locked(claim: int | None) -> None:
    for number in range(1, 6):
        wrapped, _ = wrongly_unwrapped(private_key(number))
        sealed = seal(b"x" * 100, wrapped_key=wrapped, content_key=bytes(32), plain_size=claim)
        assert state(sealed, number) is MediaState.LOCKED
        assert state(sealed, 0) is MediaState.READABLE
        with pytest.raises(NoKey):
            Unlocker(keyring(number)).unlock(sealed.facts)


def test_where_everything_agrees_with_a_wrong_key_by_chance_no_garbage_is_read() -> None:
    wrapped, seeming_key = wrongly_unwrapped(private_key(1))
    # Padding and length as if the seeming key were the content key.
    sealed = seal(b"x" * 100, wrapped_key=wrapped, content_key=seeming_key)
    with pytest.raises(NoKey):
        Unlocker(keyring(1)).unlock(sealed.facts)
    assert Unlocker(keyring(1)).interpret(sealed.facts).plain_size == 100


def test_without_any_key_a_medium_is_locked_and_has_the_size_its_header_tells() -> None:
    info = Unlocker(keyring()).interpret(seal(bytes(100)).facts)
    assert (info.state, info.plain_size) == (MediaState.LOCKED, 100)
    assert "there is no private key at hand" in info.reason


@pytest.mark.parametrize("claim", [None, 0, 95, 112, 10**18])
def test_a_locked_medium_s_size_is_the_stored_one_where_the_header_cannot_be_true(claim: int | None) -> None:
    info = Unlocker(keyring(1)).interpret(seal(bytes(100), plain_size=claim).facts)
    assert (info.state, info.plain_size) == (MediaState.LOCKED, 112)


def test_both_eras_of_a_rotation_are_readable() -> None:
    old = seal(b"old", wrapped_key=wrap(bytes(16), OTHER_ERA), content_key=bytes(16))
    new = seal(b"new" * 20, content_key=b"n" * 32)
    for keys in ((0, OTHER_ERA), (OTHER_ERA, 0), (3, OTHER_ERA, 4, 0)):
        assert [state(each, *keys) for each in (old, new)] == [MediaState.READABLE] * 2
        unlocked = Unlocker(keyring(*keys)).unlock(old.facts)
        assert unlocked is not None
        assert unlocked.key_name == f"key {OTHER_ERA}"


@pytest.mark.parametrize("claim", [-1, None])
@pytest.mark.parametrize("size", [1, 16, 100])
@pytest.mark.parametrize("keys", [(0,), (0, 1), (1, 0)])
def test_a_damaged_last_block_is_damage_with_the_right_key(claim: int | None, size: int, keys: tuple[int, ...]) -> None:
    sealed = with_wrong_padding(bytes(size), bytes(32), plain_size=claim)
    info = Unlocker(keyring(*keys)).interpret(sealed.facts)
    assert info.state is MediaState.DAMAGED
    assert "padding or length" in info.reason
    with pytest.raises(MediaDamaged):
        Unlocker(keyring(*keys)).unlock(sealed.facts)
    assert state(sealed, 1) is MediaState.LOCKED


@pytest.mark.parametrize("claim", [0, 99, 101, 111, 112, 10**18])
def test_a_header_that_lies_about_the_length_is_damage(claim: int) -> None:
    sealed = seal(bytes(100), plain_size=claim)
    assert state(sealed, 0) is MediaState.DAMAGED
    assert state(sealed, 1) is MediaState.LOCKED


@pytest.mark.parametrize("stored_size", [0, 1, 15, 17, 31, 111])
def test_a_cut_object_is_damage_whoever_looks(stored_size: int) -> None:
    sealed = seal(bytes(100))
    cut = replace(sealed, ciphertext=sealed.ciphertext[:stored_size])
    for keys in ((), (0,), (1,)):
        info = Unlocker(keyring(*keys)).interpret(cut.facts)
        assert info.state is MediaState.DAMAGED
        assert f"{stored_size} bytes is cut" in info.reason


@pytest.mark.parametrize("blocks", range(1, 7))
def test_an_object_cut_between_two_blocks_is_damage(blocks: int) -> None:
    sealed = seal(os.urandom(99) + b"\xff" * 13, content_key=os.urandom(32))
    assert state(replace(sealed, ciphertext=sealed.ciphertext[: 16 * blocks]), 0) is MediaState.DAMAGED


def test_a_tail_that_is_not_whole_is_damage() -> None:
    facts = seal(bytes(100)).facts
    for tail in (b"", facts.tail[:31], facts.tail[16:]):
        assert Unlocker(keyring(0)).interpret(replace(facts, tail=tail)).state is MediaState.DAMAGED


def test_an_envelope_that_cannot_be_understood_is_damage_with_the_stored_size() -> None:
    sealed = seal(bytes(100))
    metadata = sealed.metadata | {"x-amz-cek-alg": "AES/GCM/NoPadding"}
    info = Unlocker(keyring(0)).interpret(replace(sealed, metadata=metadata).facts)
    assert (info.state, info.plain_size) == (MediaState.DAMAGED, 112)
    assert "GCM" in info.reason


def test_the_wrapped_key_of_other_sizes_is_locked() -> None:
    for wrapped in (b"x", b"x" * 127, b"x" * 128, b"\xff" * 128, b"x" * 256):
        assert state(seal(bytes(10), wrapped_key=wrapped), 0) is MediaState.LOCKED


def test_nothing_shows_a_secret() -> None:
    content_key = os.urandom(32)
    sealed = seal(bytes(100), content_key=content_key)
    unlocker = Unlocker(keyring(0))
    damaged = with_wrong_padding(bytes(100), content_key)
    texts = [repr(unlocker.unlock(sealed.facts)), repr(unlocker), repr(unlocker.interpret(damaged.facts))]
    for secret in (content_key.hex(), repr(content_key), base64.b64encode(content_key).decode()):
        assert all(secret not in text for text in texts)
    assert str(rsa_key().private_numbers().d) not in "".join(texts)


def test_where_no_key_fits_one_that_comes_is_tried_at_once() -> None:
    sealed, ring, looks = seal(bytes(100)), keyring(1, 2), []

    def look() -> None:
        looks.append(len(ring))
        ring.learn(keyring(0))

    unlocker = Unlocker(ring, look)
    assert unlocker.interpret(sealed.facts).state is MediaState.READABLE
    unlocked = unlocker.unlock(sealed.facts)
    assert unlocked is not None
    assert (unlocked.key_name, looks) == ("key 0", [2])


def test_a_key_that_cannot_be_opened_is_named_where_none_fits() -> None:
    ring = Keyring([private_key(1)], [PassedOver("old.pem", "is encrypted", may_be_needed=True)])
    with pytest.raises(NoKey, match=r"add the one it was encrypted for; old\.pem is encrypted$"):
        Unlocker(ring).unlock(seal(bytes(100)).facts)
