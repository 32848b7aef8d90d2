"""Stored objects for the data plane: files sealed as Twilio's are, and videos made by ffmpeg."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.padding import PKCS7

from tests.benchmarks.figures import MIB

_CHUNK = 4 * MIB
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file of ciphertext, and all there is to know of it."""

    path: Path
    plain_size: int
    content_key: bytes
    iv: bytes
    wrapped_key: bytes
    etag: str

    @property
    def stored_size(self) -> int:
        """Bytes of ciphertext."""
        return self.path.stat().st_size

    @property
    def metadata(self) -> dict[str, str]:
        """`x-amz-meta-*` headers, names without that prefix (AWS's encryption client V1)."""
        return {
            "x-amz-key": base64.b64encode(self.wrapped_key).decode(),
            "x-amz-iv": base64.b64encode(self.iv).decode(),
            "x-amz-matdesc": "{}",
            "x-amz-unencrypted-content-length": str(self.plain_size),
        }


def seal_file(plain: Path, sealed: Path, public_key: RSAPublicKey) -> SealedFile:
    """Encrypt `plain` to `sealed`, AES-256-CBC with PKCS#7 padding, in constant memory."""
    key, iv = os.urandom(32), os.urandom(_BLOCK)
    padder, encryptor = PKCS7(8 * _BLOCK).padder(), Cipher(AES(key), CBC(iv)).encryptor()
    with sealed.open("wb") as target:
        for chunk in chunks_of(plain):
            target.write(encryptor.update(padder.update(chunk)))
        target.write(encryptor.update(padder.finalize()) + encryptor.finalize())
    return SealedFile(sealed, plain.stat().st_size, key, iv, public_key.encrypt(key, PKCS1v15()), _md5(sealed))


def _md5(path: Path) -> str:
    """What S3 makes the ETag of an object that was not uploaded in parts."""
    state = md5(usedforsecurity=False)
    for chunk in chunks_of(path):
        state.update(chunk)
    return state.hexdigest()


def seal_hole(plain_size: int, sealed: Path, public_key: RSAPublicKey) -> SealedFile:
    """An object of any size that takes no space: zeros as ciphertext, and a last block that makes the padding right.

    The block before the last is all zeros, so the last block of CBC is the padded plaintext encrypted as it is.
    Its plaintext is noise and right to the last byte all the same: `plain_size` must leave two blocks at least.
    """
    key, iv = os.urandom(32), os.urandom(_BLOCK)
    padding = _BLOCK - plain_size % _BLOCK
    last = bytes(_BLOCK - padding) + bytes([padding]) * padding
    # One block, chained to zeros, is what ECB makes of it.
    encryptor = Cipher(AES(key), ECB()).encryptor()
    with sealed.open("wb") as target:
        target.truncate(plain_size + padding)
        target.seek(-_BLOCK, os.SEEK_END)
        target.write(encryptor.update(last) + encryptor.finalize())
    # As of an upload in parts, which proves nothing of the content: the MD5 of 16 GiB would take half a minute.
    etag = f"{'0' * 32}-{-(-plain_size // (8 * MIB))}"
    return SealedFile(sealed, plain_size, key, iv, public_key.encrypt(key, PKCS1v15()), etag)


def write_noise(path: Path, size: int) -> Path:
    """A file of `size` random bytes: nothing on the way can take it for empty."""
    with path.open("wb") as file:
        for at in range(0, size, _CHUNK):
            file.write(os.urandom(min(_CHUNK, size - at)))
    return path


def make_video(path: Path, size: int) -> Path:
    """A video of about `size` bytes at some 11 Mbit/s, of the container that `path` names.

    ffmpeg encodes ten seconds once and repeats them: real frames and a real index, in no time. Matroska's cues
    and MP4's moov stand at the end, where ffmpeg puts them unless told otherwise.
    """
    seed = path.with_suffix(".seed.mp4")
    with ExitStack() as cleanup:
        cleanup.callback(seed.unlink, missing_ok=True)
        _ffmpeg(*_PICTURE, *_SOUND, "-t", "10", *_CODECS, str(seed))
        repeats = max(1, round(size / seed.stat().st_size))
        _ffmpeg("-stream_loop", str(repeats - 1), "-i", str(seed), "-c", "copy", str(path))
    return path


_PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25")
_SOUND = ("-f", "lavfi", "-i", "sine=440:r=48000")
_CODECS = ("-c:v", "mpeg4", "-qscale:v", "1", "-g", "25", "-c:a", "aac", "-b:a", "128k")


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], check=True)


def digest(path: Path) -> str:
    """SHA-256 of a file, to see that what was timed was right."""
    state = sha256()
    for chunk in chunks_of(path):
        state.update(chunk)
    return state.hexdigest()


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, some MiB at a time."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
