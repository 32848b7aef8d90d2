import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import is_public_key_pem, seal

LENGTHS = [0, 1, 15, 16, 17, 31, 32, 33, 1000]


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def opened(stored: StoredObject, private_key: rsa.RSAPrivateKey) -> tuple[bytes, bytes]:
    """Content key and plaintext, by plain cryptography: unwrap, decrypt, count the padding off."""
    content_key = private_key.decrypt(base64.b64decode(stored.metadata["x-amz-key"]), padding.PKCS1v15())
    iv = base64.b64decode(stored.metadata["x-amz-iv"])
    padded = Cipher(algorithms.AES(content_key), modes.CBC(iv)).decryptor().update(stored.data)
    count = padded[-1]
    assert padded.endswith(bytes([count]) * count)
    return content_key, padded[:-count]


@pytest.mark.parametrize("key_bits", [128, 192, 256])
@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sealed_opens_with_the_private_key(private_key: rsa.RSAPrivateKey, key_bits: int, length: int) -> None:
    plain = bytes(index % 251 for index in range(length))
    stored = seal(plain, private_key.public_key(), key_bits=key_bits)
    content_key, found = opened(stored, private_key)
    assert found == plain == stored.plain
    assert len(content_key) * 8 == key_bits
    assert stored.size == (length // 16 + 1) * 16
    assert stored.metadata["x-amz-unencrypted-content-length"] == str(length)
    assert stored.metadata["x-amz-matdesc"] == "{}"


def test_the_length_header_can_be_left_out_and_the_iv_given(private_key: rsa.RSAPrivateKey) -> None:
    stored = seal(b"x", private_key.public_key(), with_length=False, iv=bytes(16))
    assert set(stored.metadata) == {"x-amz-key", "x-amz-iv", "x-amz-matdesc"}
    assert base64.b64decode(stored.metadata["x-amz-iv"]) == bytes(16)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_recipe_of_wget_base64_and_openssl_opens_it(private_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    plain = b"one hundred and some bytes of a recording " * 3
    stored = seal(plain, private_key.public_key())
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "private.pem").write_bytes(pem)
    unwrap = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "private.pem")]
    wrapped = base64.b64decode(stored.metadata["x-amz-key"])
    content_key = subprocess.run(unwrap, input=wrapped, capture_output=True, check=True).stdout
    iv = base64.b64decode(stored.metadata["x-amz-iv"])
    decrypt = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", content_key.hex(), "-iv", iv.hex()]
    assert subprocess.run(decrypt, input=stored.data, capture_output=True, check=True).stdout == plain


def test_only_a_public_key_in_pem_form_is_one(private_key: rsa.RSAPrivateKey) -> None:
    public = private_key.public_key()
    spki = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert is_public_key_pem(spki)
    private = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pkcs1 = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    broken = spki[: len(spki) // 2]
    assert [is_public_key_pem(text) for text in (private, pkcs1, broken, "", "hello")] == [False] * 5
