import os
from pathlib import Path

import pytest

from tests.config.builders import ACCOUNT, API_KEY, pem, write
from twfs.config.keys import read_private_keys
from twfs.config.secrets import (
    Secret,
    credential_set,
    read_credentials_file,
    read_passphrase,
    read_private_file,
)
from twfs.crypto.keypair import generate_key_pair
from twfs.errors import ConfigError


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o606, 0o666, 0o620])
def test_file_open_to_others_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "secret", "x", mode)
    with pytest.raises(ConfigError, match=f"run: chmod 600 {path}$"):
        read_private_file(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_file_of_the_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    assert read_private_file(write(tmp_path / "secret", "x", mode)) == b"x"


def test_folder_of_systemd_is_trusted_and_no_link_out_of_it(tmp_path: Path) -> None:
    inside = write(tmp_path / "d/secret", "x", 0o444)
    outside = write(tmp_path / "other", "x", 0o444)
    (tmp_path / "d/link").symlink_to(outside)
    assert read_private_file(inside, tmp_path / "d") == b"x"
    for path in (outside, tmp_path / "d/link"):
        with pytest.raises(ConfigError, match="chmod 600"):
            read_private_file(path, tmp_path / "d")


def test_every_kind_of_secret_file_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "k.pem", pem(), 0o644)
    for read in (
        lambda: read_credentials_file(path),
        lambda: read_passphrase(path),
        lambda: read_private_keys([path], None),
        lambda: read_private_keys([tmp_path], None),
    ):
        with pytest.raises(ConfigError, match="chmod 600"):
            read()


def test_endless_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        read_private_file(Path("/dev/zero"))


def test_folder_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_private_file(tmp_path)


def test_credentials_file_with_comments_spaces_and_windows_line_ends(tmp_path: Path) -> None:
    text = f"\ufeff# mine\r\n\r\n account_sid = {ACCOUNT}\r\n  # key\r\napi_key={API_KEY}\r\napi_secret=a=b#c\r\n"
    found = read_credentials_file(write(tmp_path / "c", text))
    assert (found.account_sid, found.api_key, found.api_secret) == (ACCOUNT, API_KEY, Secret("a=b#c"))
    assert found.auth_token is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hunter2", "line 1: no NAME=VALUE line"),
        ("# x\napi_secert=hunter2", "line 2: unknown name; did you mean api_secret?"),
        ("hunter2=", "line 1: unknown name; known: account_sid"),
        ("api_key=hunter2", "api_key must be SK and 32 hexadecimal digits"),
        (b"\xff\xfehunter2", "is no text"),
    ],
)
def test_bad_credentials_file_never_shows_its_content(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    path = write(tmp_path / "c", text)
    with pytest.raises(ConfigError) as caught:
        read_credentials_file(path)
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["api_secret", "auth_token"])
def test_a_secret_in_another_encoding_is_refused_by_its_name_alone(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^here: {name} is no UTF-8$"):
        credential_set({name: os.fsdecode(b"hunter2\xff")}, "here")


def test_passphrase_is_the_first_line(tmp_path: Path) -> None:
    assert read_passphrase(write(tmp_path / "p", "open sesame \r\nnext\n")) == b"open sesame "


def test_empty_passphrase_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no passphrase"):
        read_passphrase(write(tmp_path / "p", "\n"))


def test_passphrase_may_be_as_long_as_openssl_takes(tmp_path: Path) -> None:
    longest = "x" * 1023
    assert read_passphrase(write(tmp_path / "p", longest)) == longest.encode()
    generate_key_pair(passphrase=longest.encode())
    with pytest.raises(ConfigError, match="has a first line of 1024 bytes; keys take 1023 at most"):
        read_passphrase(write(tmp_path / "q", longest + "x"))


def test_secret_shows_nothing_and_compares() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r}"
    assert secret == Secret("hunter2") != Secret("hunter3")
    assert len({secret, Secret("hunter2")}) == 1
