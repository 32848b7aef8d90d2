import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.keys import keyring, pem, private_key, rsa_key
from twfs.crypto.cbc import KEY_SIZES
from twfs.crypto.key_file import parse_key_file
from twfs.crypto.keypair import KeyPairPem, PublicKey, answering_key, generate_key_pair, parse_public_key
from twfs.crypto.keyring import Keyring
from twfs.errors import ConfigError

PAIR = generate_key_pair()
LOCKED = generate_key_pair(passphrase=b"open sesame")


def openssl(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=given, check=True, capture_output=True, timeout=60).stdout


def public_of(number: int = 0, bits: int = 1024) -> PublicKey:
    return PublicKey(rsa_key(number, bits).public_key(), f"public {number}")


def public_pem(form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return rsa_key().public_key().public_bytes(Encoding.PEM, form)


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_public_key(content, "/keys/p.pem")
    message = str(caught.value)
    assert message.startswith("/keys/p.pem ")
    assert "\n" not in message
    return message


def test_the_private_half_is_to_the_byte_what_openssl_writes() -> None:
    assert PAIR.private.startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert openssl("rsa", "-check", "-noout", given=PAIR.private) == b"RSA key ok\n"
    assert openssl("rsa", "-traditional", given=PAIR.private) == PAIR.private


def test_the_public_half_is_to_the_byte_what_openssl_writes() -> None:
    assert PAIR.public.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert openssl("rsa", "-pubout", given=PAIR.private) == PAIR.public


def test_with_a_passphrase_the_private_half_is_encrypted_pkcs8() -> None:
    assert LOCKED.private.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert openssl("rsa", "-pubout", "-passin", "pass:open sesame", given=LOCKED.private) == LOCKED.public
    with pytest.raises(subprocess.CalledProcessError):
        openssl("rsa", "-pubout", "-passin", "pass:guess", given=LOCKED.private)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_size_is_the_one_asked_for(bits: int) -> None:
    pair = generate_key_pair(bits)
    assert f"Private-Key: ({bits} bit".encode() in openssl("rsa", "-text", "-noout", given=pair.private)
    assert parse_public_key(pair.public, "p").bits == bits


@pytest.mark.parametrize(("pair", "passphrase"), [(PAIR, None), (LOCKED, b"open sesame")])
def test_one_fingerprint_for_both_halves_and_openssl(pair: KeyPairPem, passphrase: bytes | None) -> None:
    der = openssl("pkey", "-pubin", "-outform", "DER", given=pair.public)
    assert pair.fingerprint == hashlib.sha256(der).hexdigest()
    assert parse_public_key(pair.public, "p").fingerprint == pair.fingerprint
    assert parse_key_file(pair.private, passphrase, "p").keys[0].fingerprint == pair.fingerprint


def test_two_pairs_are_two_and_show_nothing_of_themselves() -> None:
    assert PAIR.private != LOCKED.private
    for line in PAIR.private.decode().splitlines():
        assert line not in f"{PAIR} {PAIR!r}"


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_public_keys_are_read_in_both_forms_and_given_on_in_twilio_s(form: PublicFormat) -> None:
    key = parse_public_key(b"# era 2017\r\n" + public_pem(form), "p.pem")
    assert key.pem.encode() == public_pem()
    assert (key.name, key.bits, key.fingerprint) == ("p.pem", 1024, private_key().fingerprint)


@pytest.mark.parametrize(
    "private",
    [
        pem(rsa_key()),
        pem(rsa_key(), PrivateFormat.TraditionalOpenSSL),
        pem(rsa_key(), PrivateFormat.OpenSSH),
        pem(rsa_key(), passphrase=b"word"),
        pem(ec.generate_private_key(ec.SECP256R1())),
        public_pem() + pem(rsa_key()),
        pem(rsa_key()) + public_pem(),
        public_pem() + pem(rsa_key())[:60],
    ],
)
def test_a_private_key_is_refused_wherever_it_stands(private: bytes) -> None:
    assert "private key" in refusal(private)


def test_other_keys_and_garbage_are_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert "no RSA key" in refusal(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for garbage in (b"", b"\0" * 100, public_pem()[:200], public_der(PublicFormat.PKCS1)[:100]):
        assert "no PEM public key" in refusal(garbage)


@pytest.mark.parametrize("form", [PublicFormat.PKCS1, PublicFormat.SubjectPublicKeyInfo])
def test_der_is_read(form: PublicFormat) -> None:
    assert parse_public_key(public_der(form), "p").fingerprint == private_key().fingerprint


def public_der(form: PublicFormat) -> bytes:
    return rsa_key().public_key().public_bytes(Encoding.DER, form)


@pytest.mark.parametrize(
    "make",
    [
        ("openssl", "req", "-x509", "-subj", "/CN=x", "-key", "key.pem", "-out"),
        ("openssl", "req", "-new", "-subj", "/CN=x", "-key", "key.pem", "-out"),
        ("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-out"),
        ("openssl", "rsa", "-outform", "DER", "-in", "key.pem", "-out"),
        ("sh", "-c", 'ssh-keygen -y -f key.pem > "$0"'),
        ("sh", "-c", 'ssh-keygen -q -p -N "" -f key.pem && cp key.pem "$0"'),
    ],
    ids=["certificate", "request", "private", "private DER", "OpenSSH", "private OpenSSH"],
)
def test_what_holds_the_key_in_another_form_names_the_command_that_prints_it(
    make: tuple[str, ...], tmp_path: Path
) -> None:
    old = tmp_path / "it's mine.pem"
    secret = tmp_path / "key.pem"
    secret.touch(0o600)
    secret.write_bytes(generate_key_pair(2048).private)
    expected = openssl("rsa", "-in", str(secret), "-pubout", given=b"")
    subprocess.run([*make, str(old)], cwd=tmp_path, check=True, capture_output=True)
    old.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        parse_public_key(old.read_bytes(), str(old))
    subprocess.run(["sh", "-c", re.split(r"(?:run|half): ", str(refused.value))[1]], check=True, capture_output=True)
    assert parse_public_key((tmp_path / "it's mine.public.pem").read_bytes(), "p").pem.encode() == expected


@given(st.integers(0, 400), st.binary(max_size=40))
def test_a_damaged_file_is_a_key_or_one_clear_error(at: int, patch: bytes) -> None:
    content = public_pem()
    try:
        key = parse_public_key(content[:at] + patch + content[at + len(patch) :], "p")
    except ConfigError:
        return
    assert key.pem.startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.mark.parametrize("size", KEY_SIZES)
def test_openssl_unwraps_what_is_wrapped(size: int, tmp_path: Path) -> None:
    (tmp_path / "private_key.pem").write_bytes(PAIR.private)
    wrapped = parse_public_key(PAIR.public, "p").wrap(bytes(range(size)))
    assert openssl("pkeyutl", "-decrypt", "-inkey", str(tmp_path / "private_key.pem"), given=wrapped) == bytes(
        range(size)
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_private_key_that_answers_is_found_among_others(order: tuple[int, ...]) -> None:
    for number in order:
        answering = answering_key(public_of(number), keyring(*order))
        assert answering is not None
        assert answering.name == f"key {number}"


def test_no_other_key_ever_answers() -> None:
    """A wrong key unwraps something of a legal length once in 80 times: 2000 tries would show it."""
    others = keyring(1, 2, 3, 4)
    assert not any(answering_key(public_of(), others) for _ in range(500))
    assert answering_key(public_of(), Keyring([private_key(0, 2048)])) is None
    assert answering_key(public_of(), Keyring([])) is None
