import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.keys import keyring, pem, private_key, rsa_key, wrap
from twfs.crypto.cbc import KEY_SIZES
from twfs.crypto.keyring import Keyring, PrivateKey, parse_private_key
from twfs.errors import ConfigError

PUBLIC_PEM = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORMS = {"PKCS#1": PrivateFormat.TraditionalOpenSSL, "PKCS#8": PrivateFormat.PKCS8}


def refusal(content: bytes, passphrase: bytes | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_private_key(content, passphrase, "/keys/a.pem")
    message = str(caught.value)
    assert message.startswith("/keys/a.pem ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("passphrase", [None, b"of another key"])
def test_keys_without_passphrase_are_read_whatever_passphrase_is_given(form: str, passphrase: bytes | None) -> None:
    key = parse_private_key(pem(rsa_key(), FORMS[form]), passphrase, "a.pem")
    assert key.unwrap(wrap(b"k" * 32)) == b"k" * 32
    assert key.fingerprint == private_key().fingerprint


@pytest.mark.parametrize("form", FORMS)
def test_encrypted_keys_are_read_with_their_passphrase_only(form: str) -> None:
    content = pem(rsa_key(), FORMS[form], b"right")
    assert parse_private_key(content, b"right", "a.pem").fingerprint == private_key().fingerprint
    assert "private_key_passphrase_file" in refusal(content)
    for wrong in (b"wrong", b""):
        message = refusal(content, wrong)
        assert "wrong passphrase" in message
        assert "right" not in message


@pytest.mark.parametrize("arguments", [(), ("-traditional",)])
def test_what_openssl_writes_is_read(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    plain, locked = tmp_path / "plain.pem", tmp_path / "locked.pem"
    command = ["openssl", "genrsa", *arguments, "-out", str(plain), "2048"]
    subprocess.run(command, check=True, capture_output=True)
    command = ["openssl", "rsa", *arguments, "-in", str(plain), "-aes256", "-passout", "pass:word", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    key = parse_private_key(plain.read_bytes(), None, "plain")
    assert parse_private_key(locked.read_bytes(), b"word", "locked").fingerprint == key.fingerprint


def test_of_several_keys_in_one_file_none_is_passed_over_unsaid() -> None:
    assert "holds several private keys; give each a file of its own" in refusal(pem(rsa_key()) + pem(rsa_key(1)))


def test_comments_and_the_public_half_beside_the_private_one_do_no_harm() -> None:
    content = b"# era 2017\r\n" + PUBLIC_PEM + b"\n" + pem(rsa_key())
    assert parse_private_key(content, None, "a.pem").fingerprint == private_key().fingerprint


def test_a_public_key_is_refused_as_such() -> None:
    assert "public key" in refusal(PUBLIC_PEM)
    pkcs1 = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert "public key" in refusal(pkcs1)


def test_keys_that_are_not_rsa_are_refused_as_such() -> None:
    assert "no RSA key" in refusal(pem(ec.generate_private_key(ec.SECP256R1())))
    assert "no RSA key" in refusal(pem(ed25519.Ed25519PrivateKey.generate()))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n",
        pem(rsa_key())[:300],
        pem(rsa_key(), PrivateFormat.OpenSSH),
        rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    ],
)
def test_garbage_is_refused(content: bytes) -> None:
    assert "no PEM private key" in refusal(content)


@given(st.integers(0, 5000), st.binary(max_size=40), st.sampled_from([None, b"right"]))
def test_a_damaged_file_is_a_key_or_one_clear_error(at: int, patch: bytes, passphrase: bytes | None) -> None:
    content = pem(rsa_key(), passphrase=passphrase)
    damaged = content[:at] + patch + content[at + len(patch) :]
    message = ""
    try:
        parse_private_key(damaged, passphrase, "a.pem")
    except ConfigError as error:
        message = str(error)
    assert "right" not in message


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


def test_a_private_key_shows_no_number_of_itself() -> None:
    key = private_key()
    numbers = rsa_key().private_numbers()
    text = f"{key} {key!r}"
    assert text.startswith("PrivateKey(key 0, 1024 bits, ")
    for secret in (numbers.d, numbers.p, numbers.q, numbers.dmp1):
        assert str(secret) not in text
        assert f"{secret:x}" not in text
