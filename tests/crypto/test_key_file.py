import re
import shlex
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.keys import pem, private_key, rsa_key, wrap
from twfs.crypto.key_file import holds_private_key, parse_key_file
from twfs.crypto.keyring import PassedOver

NAME = "/keys/a.pem"
PUBLIC = rsa_key().public_key()
PUBLIC_PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORMS = {"PKCS#1": PrivateFormat.TraditionalOpenSSL, "PKCS#8": PrivateFormat.PKCS8, "OpenSSH": PrivateFormat.OpenSSH}
REQUEST = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([])).sign(rsa_key(), SHA256())
OTHER_KINDS = {
    "EC": ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "DSA": dsa.generate_private_key(2048),
}


def fingerprints(content: bytes, passphrase: bytes | None = None) -> list[str]:
    """Of the keys of a file that holds nothing else."""
    found = parse_key_file(content, passphrase, NAME)
    assert found.passed_over == ()
    assert holds_private_key(content)
    return [key.fingerprint for key in found.keys]


def passed_over(content: bytes, passphrase: bytes | None = None) -> PassedOver:
    """Why the only thing in a file cannot be used."""
    found = parse_key_file(content, passphrase, NAME)
    assert found.keys == ()
    (why,) = found.passed_over
    assert why.name == NAME
    assert "\n" not in str(why)
    return why


def der(form: PrivateFormat, passphrase: bytes | None = None) -> bytes:
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return rsa_key().private_bytes(Encoding.DER, form, lock)


ONE = [private_key().fingerprint]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("passphrase", [None, b"of another key"])
def test_keys_without_passphrase_are_read_whatever_passphrase_is_given(form: str, passphrase: bytes | None) -> None:
    (key,) = parse_key_file(pem(rsa_key(), FORMS[form]), passphrase, NAME).keys
    assert key.unwrap(wrap(b"k" * 32)) == b"k" * 32
    assert key.fingerprint == private_key().fingerprint


@pytest.mark.parametrize("form", ["PKCS#1", "PKCS#8"])
def test_encrypted_keys_are_read_with_their_passphrase_only(form: str) -> None:
    content = pem(rsa_key(), FORMS[form], b"right")
    assert fingerprints(content, b"right") == ONE
    assert passed_over(content) == PassedOver(
        NAME, "is encrypted; give private_key_passphrase_file", may_be_needed=True
    )
    for wrong in (b"wrong", b""):
        why = passed_over(content, wrong)
        assert "wrong passphrase" in str(why)
        assert why.may_be_needed
        assert "right" not in str(why)


@pytest.mark.parametrize("arguments", [(), ("-traditional",)])
def test_what_openssl_writes_is_read(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    plain, locked = tmp_path / "plain.pem", tmp_path / "locked.pem"
    command = ["openssl", "genrsa", *arguments, "-out", str(plain), "2048"]
    subprocess.run(command, check=True, capture_output=True)
    command = ["openssl", "rsa", *arguments, "-in", str(plain), "-aes256", "-passout", "pass:word", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    assert fingerprints(locked.read_bytes(), b"word") == fingerprints(plain.read_bytes())


@pytest.mark.parametrize("passphrase", [None, b"word"])
@pytest.mark.parametrize(("form", "old", "new"), [("PKCS#8", b"", b"RSA "), ("PKCS#1", b"RSA ", b"")])
def test_labels_are_not_believed(form: str, old: bytes, new: bytes, passphrase: bytes | None) -> None:
    content = pem(rsa_key(), FORMS[form], passphrase)
    label = b"ENCRYPTED PRIVATE KEY" if b"ENCRYPTED PRIVATE KEY" in content else old + b"PRIVATE KEY"
    content = content.replace(label, new + b"PRIVATE KEY")
    assert fingerprints(content, passphrase) == ONE


LABELS = (b"ENCRYPTED PRIVATE KEY", b"RSA PRIVATE KEY", b"OPENSSH PRIVATE KEY", b"ANY PRIVATE KEY", b"PRIVATE KEY")


@pytest.mark.parametrize("label", [*LABELS, b"EC PRIVATE KEY", b"PUBLIC KEY", b"CERTIFICATE"])
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_one_whatever_its_label_says(form: str, label: bytes) -> None:
    assert fingerprints(labelled(pem(rsa_key(), FORMS[form]), label)) == ONE


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("form", ["PKCS#1", "PKCS#8"])
def test_an_encrypted_key_is_one_whatever_its_label_says(form: str, label: bytes) -> None:
    assert fingerprints(labelled(pem(rsa_key(), FORMS[form], b"word"), label), b"word") == ONE


def labelled(content: bytes, label: bytes) -> bytes:
    return re.sub(rb"(-----BEGIN|-----END) [A-Z ]+-----", rb"\1 " + label + b"-----", content)


@pytest.mark.parametrize("cipher", ["camellia-256-cbc", "aria-256-cbc"])
def test_a_cipher_that_is_not_known_is_no_wrong_passphrase(tmp_path: Path, cipher: str) -> None:
    plain, file = tmp_path / "plain.pem", tmp_path / "locked.pem"
    plain.write_bytes(pem(rsa_key()))
    command = ["openssl", "pkcs8", "-topk8", "-v2", cipher, "-passout", "pass:word", "-in", str(plain)]
    subprocess.run([*command, "-out", str(file)], check=True, capture_output=True)
    found = parse_key_file(file.read_bytes(), b"word", str(file))
    if not found.keys:  # Older releases of the library read them.
        (why,) = found.passed_over
        converted = converted_by(why, "-aes256", "-aes256 -passin pass:word -passout pass:word")
        assert fingerprints(converted.read_bytes(), b"word") == ONE


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n", b"\0" * 300])
@pytest.mark.parametrize("form", ["PKCS#1", "PKCS#8"])
def test_der_is_read(form: str, tail: bytes) -> None:
    assert fingerprints(der(FORMS[form]) + tail) == ONE


def test_encrypted_der_is_read_with_its_passphrase() -> None:
    content = der(PrivateFormat.PKCS8, b"right")
    assert fingerprints(content, b"right") == ONE
    assert "is encrypted" in str(passed_over(content))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.replace(b"\n", b" \t\n"),
        lambda text: b"    " + text.replace(b"\n", b"\n    "),
        lambda text: b"Bag Attributes\n    friendlyName: era 2017\nKey Attributes: <No Attributes>\n" + text,
        lambda text: text.rstrip(b"\n"),
        lambda text: text + b"\n\n# the end\n",
        lambda text: b"# era 2017\r\n" + PUBLIC_PEM + b"\n" + text,
    ],
    ids=["CRLF", "CR", "BOM", "UTF-16", "spaces", "indented", "attributes", "cut", "comments", "public half"],
)
def test_what_editors_and_tools_put_around_a_key_does_no_harm(form: str, change: object) -> None:
    assert fingerprints(change(pem(rsa_key(), FORMS[form]))) == ONE  # type: ignore[operator]


def test_a_traditionally_encrypted_key_may_have_windows_line_ends() -> None:
    content = pem(rsa_key(), PrivateFormat.TraditionalOpenSSL, b"word")
    assert fingerprints(content.replace(b"\n", b" \r\n"), b"word") == ONE


def test_all_keys_of_a_file_are_read() -> None:
    assert fingerprints(pem(rsa_key()) + pem(rsa_key(1))) == [private_key(number).fingerprint for number in (0, 1)]


def test_of_several_keys_in_one_file_none_is_passed_over_unsaid() -> None:
    found = parse_key_file(pem(rsa_key(1))[:300] + pem(OTHER_KINDS["EC"]) + pem(rsa_key()), None, NAME)
    assert [key.fingerprint for key in found.keys] == ONE
    assert [each.may_be_needed for each in found.passed_over] == [False, True]


@pytest.mark.parametrize(
    ("kind", "form"),
    [(kind, PrivateFormat.PKCS8) for kind in OTHER_KINDS]
    + [(kind, PrivateFormat.TraditionalOpenSSL) for kind in ("EC", "DSA")]
    + [(kind, PrivateFormat.OpenSSH) for kind in ("EC", "Ed25519")],
)
def test_private_keys_that_are_not_rsa_are_private_and_not_needed(kind: str, form: PrivateFormat) -> None:
    content = pem(OTHER_KINDS[kind], form)
    assert passed_over(content) == PassedOver(
        NAME, "is no RSA key; Twilio encrypts for RSA keys only", may_be_needed=False
    )
    assert holds_private_key(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"garbage", "holds no private key (-----BEGIN PRIVATE KEY-----)"),
        (PUBLIC_PEM, "holds no private key, only: public key"),
        (PUBLIC.public_bytes(Encoding.PEM, PublicFormat.PKCS1), "holds no private key, only: rsa public key"),
        (PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "holds no private key"),
        (PUBLIC.public_bytes(Encoding.DER, PublicFormat.PKCS1), "holds no private key"),
        (PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), "holds no private key"),
        (REQUEST.public_bytes(Encoding.PEM), "holds no private key, only: certificate request"),
        (REQUEST.public_bytes(Encoding.DER), "holds no private key"),
        (b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", "only: dh parameters"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n" * 2, "only: x509 crl"),
    ],
)
def test_what_is_no_private_key_is_named_and_not_needed(content: bytes, said: str) -> None:
    why = passed_over(content)
    assert said in str(why)
    assert not why.may_be_needed
    assert not holds_private_key(content)


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(rsa_key())[:300],
        der(PrivateFormat.PKCS8)[:300],
    ],
)
def test_a_damaged_private_key_may_be_needed(content: bytes) -> None:
    why = passed_over(content)
    assert why == PassedOver(
        NAME,
        "holds a damaged private key, or one of a form that twfs does not know; openssl says more:"
        f" openssl pkey -in {NAME} -noout -check",
        may_be_needed=True,
    )
    assert holds_private_key(content)


@pytest.mark.parametrize("name", ["k.pem", "it's mine.key", "id_rsa"])
def test_an_encrypted_openssh_key_names_the_command_that_converts_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "words", "-f", str(file)], check=True)
    (why,) = parse_key_file(file.read_bytes(), None, str(file)).passed_over
    assert why.may_be_needed
    converted = converted_by(why, "ssh-keygen -p", "ssh-keygen -p -P words -N words")
    assert len(fingerprints(converted.read_bytes(), b"words")) == 1


def test_a_pkcs12_store_names_the_command_that_converts_it(tmp_path: Path) -> None:
    file = tmp_path / "store.pem"
    file.write_bytes(serialize_key_and_certificates(b"k", rsa_key(0, 2048), None, None, BestAvailableEncryption(b"w")))
    assert holds_private_key(file.read_bytes())
    (why,) = parse_key_file(file.read_bytes(), b"w", str(file)).passed_over
    converted = converted_by(why, "-nocerts", "-nocerts -passin pass:w -passout pass:word")
    assert fingerprints(converted.read_bytes(), b"word") == [private_key(0, 2048).fingerprint]


def converted_by(why: PassedOver, words: str, with_passphrases: str) -> Path:
    """The file that the command in the message makes, the passphrases being given."""
    command = why.why.split("convert it: ")[1]
    assert words in command
    subprocess.run(["sh", "-c", command.replace(words, with_passphrases)], check=True, capture_output=True)
    return Path(shlex.split(command)[-1])


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        (b"PuTTY-User-Key-File-3: ssh-rsa\r\nEncryption: none\r\n", "puttygen /keys/a.pem -O private-openssh"),
        (
            b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAA\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\n",
            "ssh-keygen -i",
        ),
    ],
)
def test_keys_of_other_programs_name_what_converts_them(content: bytes, tool: str) -> None:
    why = passed_over(content)
    assert tool in str(why)
    assert why.may_be_needed
    assert holds_private_key(content)


@given(st.integers(0, 5000), st.binary(max_size=40), st.sampled_from([None, b"right"]))
def test_a_damaged_file_is_a_key_or_one_clear_reason(at: int, patch: bytes, passphrase: bytes | None) -> None:
    content = pem(rsa_key(), passphrase=passphrase)
    damaged = content[:at] + patch + content[at + len(patch) :]
    found = parse_key_file(damaged, passphrase, NAME)
    assert found.keys or found.passed_over
    assert all("right" not in str(each) for each in found.passed_over)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x30", b"\xff\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"]))
def test_anything_is_a_key_or_one_clear_reason(tail: bytes, head: bytes) -> None:
    found = parse_key_file(head + tail, b"x", NAME)
    assert found.keys or found.passed_over
