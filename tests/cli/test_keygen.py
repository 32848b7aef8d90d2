import errno
import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import SECONDS, twfs
from tests.mount.harness import needs_root
from tests.transfer.awkward import Ways, awkward
from twfs.cli.main import main
from twfs.config.keys import read_private_keys
from twfs.crypto.keypair import parse_public_key


def openssl(*words: str | Path) -> str:
    return subprocess.run(
        ["openssl", *map(str, words)], check=True, capture_output=True, text=True, timeout=SECONDS
    ).stdout


def made(folder: Path, *words: str | Path) -> None:
    assert main(["keygen", str(folder), *map(str, words)]) == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_the_private_key_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    made(folder)
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    assert mode(folder / "private_key.pem") == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["private_key.pem", "public_key.pem"]


def test_the_pair_is_what_openssl_makes(tmp_path: Path) -> None:
    made(tmp_path)
    private, public = tmp_path / "private_key.pem", tmp_path / "public_key.pem"
    assert private.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert openssl("rsa", "-check", "-noout", "-in", private) == "RSA key ok\n"
    assert "Private-Key: (2048 bit" in openssl("rsa", "-text", "-noout", "-in", private)
    assert openssl("rsa", "-pubout", "-in", private) == public.read_text()


def test_it_says_the_fingerprint_the_warning_and_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my keys"
    made(folder)
    shown = capsys.readouterr().out
    public = folder / "public_key.pem"
    assert parse_public_key(public.read_bytes(), "p").fingerprint in shown
    assert "lost for ever" in shown
    assert re.search(rf"Next: .*twfs public-key create '{public}' --name key-[0-9a-f]{{16}}\n", shown)
    assert not any(line in shown for line in (folder / "private_key.pem").read_text().splitlines()[1:-1])


def test_bits(tmp_path: Path) -> None:
    made(tmp_path, "--bits", "3072")
    assert "Private-Key: (3072 bit" in openssl("rsa", "-text", "-noout", "-in", tmp_path / "private_key.pem")


@pytest.mark.parametrize("bits", ["1024", "16384", "-1", "many"])
def test_sizes_that_would_not_do_are_refused(bits: str, tmp_path: Path) -> None:
    assert main(["keygen", str(tmp_path / "k"), f"--bits={bits}"]) == 2
    assert not (tmp_path / "k").exists()


def test_with_a_passphrase_file_the_private_key_is_encrypted(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("open sesame\nnot this\n")
    passphrase.chmod(0o600)
    folder = tmp_path / "keys"
    made(folder, "--passphrase-file", passphrase)
    private = folder / "private_key.pem"
    assert private.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    public = openssl("rsa", "-pubout", "-in", private, "-passin", "pass:open sesame")
    assert public == (folder / "public_key.pem").read_text()
    (key,) = read_private_keys([private], b"open sesame")
    assert key.fingerprint == parse_public_key(public.encode(), "p").fingerprint


def test_a_passphrase_that_others_can_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("open sesame\n")
    passphrase.chmod(0o644)
    assert main(["keygen", str(tmp_path / "k"), "--passphrase-file", str(passphrase)]) == 2
    assert f"run: chmod 600 {passphrase}" in capsys.readouterr().err
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize("name", ["private_key.pem", "public_key.pem"])
@pytest.mark.parametrize("what", ["file", "dangling link", "folder"])
def test_nothing_is_ever_overwritten(name: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if what == "file":
        path.write_text("precious")
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    assert main(["keygen", str(tmp_path)]) == 2
    assert f"{path} is there already" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert what != "file" or path.read_text() == "precious"


def test_of_two_at_once_one_makes_a_pair_and_the_other_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "twfs", "keygen", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    codes = sorted(command.wait(SECONDS) for command in running)
    assert codes[0] == 0
    assert codes[1] in (1, 2)
    private, public = folder / "private_key.pem", folder / "public_key.pem"
    assert openssl("rsa", "-pubout", "-in", private) == public.read_text()


def full_disk() -> None:
    """Files of the process may have 1000 bytes: less than a private key, more than a public one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    done = subprocess.run(
        [sys.executable, "-m", "twfs", "keygen", str(folder)],
        preexec_fn=full_disk,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = twfs("keygen", tmp_path / "file")
    assert done.code == 1
    assert "Not a directory" in done.complaint


@needs_root
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_folder_that_cannot_be_synced_is_no_trouble(tmp_path: Path, number: int) -> None:
    with awkward(tmp_path, Ways({"fsync": number, "fsyncdir": number})) as folder:
        made(folder / "keys")
        assert sorted(path.name for path in (folder / "keys").iterdir()) == ["private_key.pem", "public_key.pem"]


@needs_root
@pytest.mark.parametrize(
    ("ways", "why"),
    [
        (Ways({"fsync": errno.EIO}), "Input/output error: the disk or the server behind it fails"),
        (Ways({"fsyncdir": errno.EIO}), "Input/output error: the disk or the server behind it fails"),
        (Ways(mode=0o777), "keeps no permissions: others could read the private key; give another DIR"),
        (Ways(mode=0o640), "keeps no permissions: others could read the private key; give another DIR"),
    ],
    ids=str,
)
def test_pair_that_is_lost_or_open_to_others_is_not_there(
    tmp_path: Path, ways: Ways, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with awkward(tmp_path, ways) as folder:
        assert main(["keygen", str(folder / "keys")]) != 0
        (line,) = capsys.readouterr().err.splitlines()
        assert why in line
        assert list(folder.iterdir()) == []
