import pytest

from tests.crypto.keys import keyring, private_key, rsa_key, wrap
from twfs.crypto.cbc import KEY_SIZES
from twfs.crypto.keyring import Keyring, PassedOver, PrivateKey


@pytest.mark.parametrize("size", KEY_SIZES)
@pytest.mark.parametrize("bits", [1024, 2048, 4096])
def test_content_keys_of_all_sizes_are_unwrapped_and_proven(size: int, bits: int) -> None:
    wrapped = wrap(bytes(range(size)), 0, bits)
    key = private_key(0, bits)
    assert key.unwrap(wrapped) == bytes(range(size))
    assert key.wraps_legal_key(wrapped)


@pytest.mark.parametrize("size", [0, 1, 15, 17, 31, 33, 64, 117])
def test_a_content_key_of_another_size_is_none(size: int) -> None:
    wrapped = wrap(bytes(size))
    assert private_key().unwrap(wrapped) is None
    assert not private_key().wraps_legal_key(wrapped)


def test_keys_of_another_modulus_size_and_nonsense_unwrap_to_nothing() -> None:
    wrapped = wrap(bytes(32), 0, 2048)
    for key in (private_key(), private_key(0, 4096)):
        assert key.unwrap(wrapped) is None
    for nonsense in (b"", bytes(128), b"\xff" * 128, b"x" * 127, b"x" * 129):
        assert private_key().unwrap(nonsense) is None
        assert not private_key().wraps_legal_key(nonsense)


def wrongly_unwrapped(wrong: PrivateKey) -> tuple[bytes, bytes]:
    """A key wrapped for key 0 that `wrong` seems to unwrap: implicit rejection gave a legal length by chance."""
    for _ in range(20_000):
        wrapped = wrap(bytes(32))
        candidate = wrong.unwrap(wrapped)
        if candidate is not None:
            return wrapped, candidate
    pytest.skip("this OpenSSL rejects explicitly")


def test_a_wrong_key_that_seems_to_unwrap_is_found_out_by_the_structure() -> None:
    for number in range(1, 6):
        wrapped, candidate = wrongly_unwrapped(private_key(number))
        assert len(candidate) in KEY_SIZES
        assert candidate != bytes(32)
        assert not private_key(number).wraps_legal_key(wrapped)
        assert private_key().wraps_legal_key(wrapped)


def test_a_ring_keeps_the_order_and_each_key_once() -> None:
    ring = Keyring([private_key(2), private_key(1), PrivateKey(rsa_key(2), "again")])
    assert [key.fingerprint for key in ring] == [private_key(2).fingerprint, private_key(1).fingerprint]
    assert len(ring) == 2
    assert len(keyring()) == 0


def test_a_ring_learns_keys_and_forgets_none() -> None:
    ring = keyring(0, 1)
    passed_over = PassedOver("old.pem", "is encrypted", may_be_needed=True)
    new = ring.learn(Keyring([private_key(2), private_key(1)], [passed_over]))
    assert [key.fingerprint for key in new] == [private_key(2).fingerprint]
    assert [key.fingerprint for key in ring] == [private_key(number).fingerprint for number in (0, 1, 2)]
    assert ring.passed_over == (passed_over,)
    assert ring.learn(Keyring([])) == []
    assert len(ring) == 3
    assert not ring.passed_over


def test_a_ring_says_what_will_not_open() -> None:
    assert keyring(0).shortcomings() == []
    assert keyring().shortcomings() == [
        "no private key: encrypted media are listed but cannot be opened; give private_key=PATH"
    ]
    closed = PassedOver("old.pem", "is encrypted", may_be_needed=True)
    other = PassedOver("cert.pem", "holds no private key, only: certificate", may_be_needed=False)
    assert Keyring([private_key()], [closed, other]).shortcomings() == ["passed over: old.pem is encrypted"]


def test_a_private_key_shows_no_number_of_itself() -> None:
    key = private_key()
    numbers = rsa_key().private_numbers()
    text = f"{key} {key!r}"
    assert text.startswith("PrivateKey(key 0, 1024 bits, ")
    for secret in (numbers.d, numbers.p, numbers.q, numbers.dmp1):
        assert str(secret) not in text
        assert f"{secret:x}" not in text
