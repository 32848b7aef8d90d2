import errno
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.keys import keyring
from tests.crypto.sealed import SealedObject, seal
from tests.mount.harness import needs_root
from tests.transfer.awkward import Ways, awkward
from twfs.errors import ConfigError, MediaDamaged, NoKey
from twfs.transfer.obstacle import DestinationFailed
from twfs.transfer.offline import Decrypted, EncryptedFile, appearing_whole
from twfs.transfer.proof import Md5
from twfs.transfer.saved_headers import SavedHeaders

MIB = 2**20


def decrypted(
    folder: Path, stored: bytes, headers: SavedHeaders, *, key: int = 0, with_md5: bool = True
) -> tuple[bytes, Decrypted]:
    path = folder / "encrypted"
    path.write_bytes(stored)
    plain = io.BytesIO()
    with path.open("rb") as file:
        done = EncryptedFile(file, headers, keyring(key), with_md5=with_md5).decrypt(lambda view: _write(plain, view))
    return plain.getvalue(), done


def _write(target: io.BytesIO, view: memoryview) -> None:
    target.write(view)


def etag_of(sealed: SealedObject) -> str:
    return f'"{hashlib.md5(sealed.ciphertext).hexdigest()}"'


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, MIB - 16, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
@pytest.mark.parametrize("key_size", [16, 24, 32])
def test_plaintext(tmp_path: Path, size: int, key_size: int) -> None:
    plain = (b"0123456789abcdefX" * (size // 17 + 1))[:size]
    sealed = seal(plain, content_key=bytes(range(key_size)), plain_size=None)
    found, done = decrypted(tmp_path, sealed.ciphertext, SavedHeaders(sealed.metadata))
    assert found == plain
    assert (done.plain_size, done.private_key.name, done.md5) == (size, "key 0", Md5.NONE)


def test_everything_that_headers_can_prove(tmp_path: Path) -> None:
    sealed = seal(b"hello" * 100)
    good = SavedHeaders(sealed.metadata, len(sealed.ciphertext), etag_of(sealed))
    assert decrypted(tmp_path, sealed.ciphertext, good)[1].md5 is Md5.OK
    assert decrypted(tmp_path, sealed.ciphertext, good, with_md5=False)[1].md5 is Md5.UNASKED
    kms = SavedHeaders(sealed.metadata | {"x-amz-server-side-encryption": "aws:kms"}, etag=f'"{"0" * 32}"')
    assert decrypted(tmp_path, sealed.ciphertext, kms)[1].md5 is Md5.KMS
    multipart = SavedHeaders(sealed.metadata, etag=f'"{"0" * 32}-3"')
    assert decrypted(tmp_path, sealed.ciphertext, multipart)[1].md5 is Md5.MULTIPART


@settings(max_examples=40)
@given(at=st.integers(0, 511))
def test_any_changed_byte_is_noticed_by_the_etag(tmp_path_factory: pytest.TempPathFactory, at: int) -> None:
    sealed = seal(b"hello" * 101)
    changed = bytearray(sealed.ciphertext)
    changed[at] ^= 1
    with pytest.raises(MediaDamaged):
        decrypted(tmp_path_factory.mktemp("o"), bytes(changed), SavedHeaders(sealed.metadata, etag=etag_of(sealed)))


@pytest.mark.parametrize("cut", [1, 15, 16, 32, 480])
def test_truncated_file(tmp_path: Path, cut: int) -> None:
    sealed = seal(b"hello" * 101)
    with pytest.raises(MediaDamaged):
        decrypted(tmp_path, sealed.ciphertext[:-cut], SavedHeaders(sealed.metadata))
    with pytest.raises(MediaDamaged, match="its headers say 512"):
        decrypted(tmp_path, sealed.ciphertext[:-cut], SavedHeaders(sealed.metadata, len(sealed.ciphertext)))


def test_empty_file(tmp_path: Path) -> None:
    with pytest.raises(MediaDamaged, match="0 bytes"):
        decrypted(tmp_path, b"", SavedHeaders(seal(b"x").metadata))


def test_wrong_key(tmp_path: Path) -> None:
    sealed = seal(b"hello" * 101)
    with pytest.raises(NoKey):
        decrypted(tmp_path, sealed.ciphertext, SavedHeaders(sealed.metadata), key=1)


def test_no_envelope(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no envelope"):
        decrypted(tmp_path, b"plain", SavedHeaders({"other": "x"}))


def test_only_files_have_an_end_to_look_at() -> None:
    with Path("/dev/null").open("rb") as file, pytest.raises(ConfigError, match="must be a file"):
        EncryptedFile(file, SavedHeaders(seal(b"x").metadata), keyring(0), with_md5=True)


def test_file_that_changes_meanwhile(tmp_path: Path) -> None:
    sealed = seal(bytes(3 * MIB), plain_size=None)
    path = tmp_path / "encrypted"
    path.write_bytes(sealed.ciphertext)
    with path.open("rb") as file:
        encrypted = EncryptedFile(file, SavedHeaders(sealed.metadata), keyring(0), with_md5=True)
        os.truncate(path, MIB + 5)
        with pytest.raises(MediaDamaged, match="changed while"):
            encrypted.decrypt(lambda _: None)


def _interrupted(goal: Path) -> None:
    with appearing_whole(goal) as part:
        part.write(memoryview(b"other"))
        raise KeyboardInterrupt


def test_file_appears_whole(tmp_path: Path) -> None:
    with appearing_whole(tmp_path / "a") as part:
        part.write(memoryview(b"hello"))
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"hello"
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"hello"


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    with appearing_whole(tmp_path / "a") as part:
        left = tmp_path / part.name
    left.write_bytes(b"of another object")
    with appearing_whole(tmp_path / "a") as part:
        part.write(memoryview(b"hello"))
    assert (tmp_path / "a").read_bytes() == b"hello"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_name_of_the_unfinished_file_is_never_the_same(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        with appearing_whole(tmp_path / "a") as part:
            names.add(part.name)
    assert len(names) == 3


def test_file_is_the_users_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with appearing_whole(tmp_path / "a") as part:
            part.write(memoryview(b"hello"))
            assert (tmp_path / part.name).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


@needs_root
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_what_did_not_reach_the_disk_is_told_and_gone(tmp_path: Path, number: int) -> None:
    def written(folder: Path) -> None:
        with appearing_whole(folder / "a") as part:
            part.write(memoryview(b"hello"))

    with awkward(tmp_path, Ways({"fsync": number})) as folder:
        with pytest.raises(DestinationFailed, match=f"{folder}: {os.strerror(number)}: "):
            written(folder)
        assert list(folder.iterdir()) == []


def test_file_that_is_too_large_for_the_destination(tmp_path: Path) -> None:
    # As FAT answers beyond 4 GiB: Python has SIGXFSZ ignored, so write(2) fails with EFBIG.
    program = f"""
import resource
from pathlib import Path
from twfs.transfer.offline import appearing_whole
from twfs.transfer.part_file import PartFile
resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
goal = Path({str(tmp_path)!r}) / "a"
for write in appearing_whole, lambda goal: PartFile(goal, "object 1"):
    try:
        with write(goal) as file:
            file.write(memoryview(b"hello"))
    except Exception as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    whole, part = done.stdout.splitlines()
    assert whole.startswith("File too large: the destination takes no file of this size")
    assert "File too large" in part
    assert list(tmp_path.iterdir()) == []


def test_two_of_the_same_do_not_meet(tmp_path: Path) -> None:
    with appearing_whole(tmp_path / "a") as part:
        part.write(memoryview(b"hello"))
        with pytest.raises(KeyboardInterrupt):
            _interrupted(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"hello"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
