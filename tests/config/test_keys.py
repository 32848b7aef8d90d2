import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.builders import ENVIRONMENT, Home, pem, public_pem, write
from twfs.config.keys import keys_of_folder, read_private_keys, tell_what_was_passed_over
from twfs.errors import ConfigError


def openssl(*words: str) -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout


def certificate(folder: Path) -> None:
    key = str(folder / "private_key.pem")
    openssl("req", "-x509", "-key", key, "-subj", "/CN=x", "-out", str(folder / "other.pem"))


def request(folder: Path) -> None:
    openssl("req", "-new", "-key", str(folder / "private_key.pem"), "-subj", "/CN=x", "-out", str(folder / "other.pem"))


def pkcs7(folder: Path) -> None:
    certificate(folder)
    openssl("crl2pkcs7", "-nocrl", "-certfile", str(folder / "other.pem"), "-out", str(folder / "other.pem"))


def ec_key(folder: Path) -> None:
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-out", str(folder / "other.pem"))


def dh_parameters(folder: Path) -> None:
    openssl("dhparam", "-out", str(folder / "other.pem"), "512")


def ed25519_key(folder: Path) -> None:
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(folder / "other.pem"))


def bundle(folder: Path) -> None:
    certificate(folder)
    (folder / "other.pem").write_bytes((folder / "other.pem").read_bytes() * 500)


BESIDE: dict[str, Callable[[Path], object]] = {
    "certificate": certificate,
    "request": request,
    "PKCS#7": pkcs7,
    "EC": ec_key,
    "Ed25519": ed25519_key,
    "DH": dh_parameters,
    "bundle": bundle,
    "public": lambda folder: write(folder / "other.pem", public_pem(), 0o644),
    "empty": lambda folder: write(folder / "other.pem", "", 0o644),
    "notes": lambda folder: write(folder / "other.pem", "the other one is Anna's", 0o644),
    "dead link": lambda folder: (folder / "other.pem").symlink_to("nowhere"),
    "link to itself": lambda folder: (folder / "other.pem").symlink_to("other.pem"),
    "folder": lambda folder: (folder / "other.pem").mkdir(),
    "pipe": lambda folder: os.mkfifo(folder / "other.pem"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "keys/private_key.pem", pem()).parent


def names(folder: Path, passphrase: bytes | None = None) -> list[str]:
    return [Path(key.name).name for key in read_private_keys([folder], passphrase)]


@pytest.mark.parametrize("kind", BESIDE)
def test_what_people_keep_beside_a_key_is_passed_over(
    folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    BESIDE[kind](folder)
    ring = read_private_keys([folder], None)
    assert [Path(key.name).name for key in ring] == ["private_key.pem"]
    with caplog.at_level(logging.DEBUG, "twfs"):
        tell_what_was_passed_over(ring)
    ((_, level, line),) = caplog.record_tuples
    assert line.startswith(f"passed over: {folder / 'other.pem'} ")
    assert level == logging.DEBUG


@pytest.mark.parametrize("kind", BESIDE)
def test_a_folder_without_a_usable_key_says_what_it_holds(folder: Path, kind: str) -> None:
    BESIDE[kind](folder)
    (folder / "private_key.pem").unlink()
    with pytest.raises(
        ConfigError, match=f"^{folder} holds no private key; keys are files named .*; {folder}/other.pem"
    ):
        read_private_keys([folder], None)


def test_a_folder_of_many_other_things_names_some(folder: Path) -> None:
    (folder / "private_key.pem").rename(folder / "notes.txt")
    for number in range(5):
        write(folder / f"{number}.key", "")
    with pytest.raises(ConfigError, match=r"0.key is empty; .*1.key is empty; .*2.key is empty; and 2 more$"):
        read_private_keys([folder], None)


@pytest.mark.parametrize("make", [ec_key, ed25519_key])
def test_a_private_key_of_any_kind_that_others_can_read_is_refused(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder)
    (folder / "other.pem").chmod(0o644)
    with pytest.raises(ConfigError, match=f"run: chmod 600 {folder}/other.pem"):
        read_private_keys([folder], None)


@pytest.mark.parametrize("content", [pem(1)[:200], pem(1).decode().encode("utf-16"), b"PuTTY-User-Key-File-2: ssh-rsa"])
def test_a_private_key_in_any_state_that_others_can_read_is_refused(folder: Path, content: bytes) -> None:
    write(folder / "other.pem", content, 0o640)
    with pytest.raises(ConfigError, match="run: chmod 600"):
        read_private_keys([folder], None)


@pytest.mark.parametrize(
    ("content", "passphrase", "said"),
    [
        (pem(1, b"phrase"), None, "is encrypted; give private_key_passphrase_file"),
        (pem(1, b"phrase"), b"another", "wrong passphrase"),
        (pem(1)[:300], None, "holds a damaged private key"),
    ],
)
def test_a_key_that_cannot_be_opened_does_not_vanish_silently(
    folder: Path, content: bytes, passphrase: bytes | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside a usable one it keeps no mount from coming about; it is a warning, and alone it is an error."""
    write(folder / "old.pem", content)
    ring = read_private_keys([folder], passphrase)
    assert len(ring) == 1
    tell_what_was_passed_over(ring)
    ((_, level, line),) = caplog.record_tuples
    assert said in line
    assert level == logging.WARNING
    (folder / "private_key.pem").unlink()
    with pytest.raises(ConfigError, match=r"old\.pem"):
        read_private_keys([folder / "old.pem"], passphrase)
    with pytest.raises(ConfigError, match=f"holds no private key that can be used; .*{said}"):
        read_private_keys([folder], passphrase)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_a_warning(folder: Path) -> None:
    write(folder / "other.pem", pem(1), 0o000)
    (why,) = read_private_keys([folder], None).passed_over
    assert (why.why, why.may_be_needed) == ("cannot be read: Permission denied", True)


def test_a_file_that_is_named_must_be_a_key(tmp_path: Path) -> None:
    for content, said in ((public_pem(), "only: public key"), (b"", "is empty"), (pem(1, b"x"), "is encrypted")):
        path = write(tmp_path / "named.pem", content)
        with pytest.raises(ConfigError, match=f"^{path} .*{said}"):
            read_private_keys([path], None)


def test_a_named_file_may_be_a_pipe(tmp_path: Path) -> None:
    """As the shell gives for `<(…)`."""
    read_end, write_end = os.pipe()
    os.write(write_end, pem())
    os.close(write_end)
    assert len(read_private_keys([Path(f"/dev/fd/{read_end}")], None)) == 1
    os.close(read_end)


def test_certificate_and_key_in_one_file_are_a_key(folder: Path) -> None:
    certificate(folder)
    both = write(folder / "both.pem", (folder / "other.pem").read_bytes() + pem(1))
    assert len(read_private_keys([both], None)) == 1
    assert names(folder) == ["both.pem", "private_key.pem"]


def test_the_users_own_folder_may_be_without_a_key_but_not_with_a_closed_one_alone(home: Home) -> None:
    keys = home.write(".config/twfs/keys/cert.pem", b"").parent
    assert len(home.load().keyring) == 0
    home.write(".config/twfs/keys/old.pem", pem(0, b"phrase"))
    with pytest.raises(ConfigError, match=f"{keys} holds no private key that can be used; .*old.pem is encrypted"):
        home.load()


def test_what_systemd_brings_beside_the_key_is_passed_over(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "credentials.d"
    write(folder / "private_key_a.pem", pem(0), 0o440)
    write(folder / "private_key_empty.pem", b"", 0o440)
    write(folder / "private_key_README", b"keys of 2026", 0o440)
    ring = home.load(environ=ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(folder)}).keyring
    assert [Path(key.name).name for key in ring] == ["private_key_a.pem"]
    assert [Path(each.name).name for each in ring.passed_over] == ["private_key_README", "private_key_empty.pem"]


def test_without_keys_from_systemd_the_users_own_count(home: Home, tmp_path: Path) -> None:
    write(tmp_path / "d/private_key_public_key.pem", public_pem(), 0o440)
    mine = home.write(".config/twfs/keys/mine.pem", pem(0))
    environ = ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(tmp_path / "d")}
    assert [key.name for key in home.load(environ=environ).keyring] == [str(mine)]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be listed"):
        keys_of_folder(tmp_path / "none", None)
