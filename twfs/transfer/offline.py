"""A stored object in a file at hand, decrypted without any network."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK, ContentKey
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.errors import ConfigError, MediaDamaged
from twfs.probe import TAIL_SIZE, ObjectFacts
from twfs.transfer.new_file import NewFile, beside
from twfs.transfer.obstacle import told
from twfs.transfer.part_file import folder_of
from twfs.transfer.proof import Md5, unproven
from twfs.transfer.saved_headers import SavedHeaders
from twfs.transfer.shortcomings import Shortcomings
from twfs.transfer.stored_digest import Seal, StoredDigest, md5_of, seal_of

_CHUNK_SIZE = 2**20
"""Bytes decrypted at once: whole AES blocks."""


@dataclass(frozen=True, slots=True)
class Decrypted:
    """What was decrypted."""

    plain_size: int
    private_key: PrivateKey
    md5: Md5


class EncryptedFile:
    """An object in a file, whose key, padding and length are proven before anything is decrypted."""

    def __init__(self, file: BinaryIO, headers: SavedHeaders, keyring: Keyring, *, with_md5: bool) -> None:
        """`file` is open, and a regular one; `with_md5` if the headers' ETag is to be believed where it may be an MD5.

        Raises:
            NoKey: none of the private keys fits.
            MediaDamaged: the file is cut, or does not belong to these headers.
            ConfigError: it is no regular file, or the headers hold no envelope.
        """
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("the encrypted input must be a file: its end is looked at first")
        self._file = file
        self._stored_size = status.st_size
        if headers.stored_size not in (None, self._stored_size):
            raise MediaDamaged(f"the file has {self._stored_size} bytes, its headers say {headers.stored_size}")
        file.seek(max(0, self._stored_size - TAIL_SIZE))
        facts = ObjectFacts(self._stored_size, headers.etag, headers.metadata, file.read(TAIL_SIZE))
        self._expected = md5_of(facts) if with_md5 else None
        self._unproven = unproven(facts) if with_md5 else Md5.UNASKED
        seal = seal_of(facts, keyring)
        if seal is None:
            raise ConfigError("the headers hold no envelope (x-amz-key and x-amz-iv); the file is not encrypted")
        self._seal: Seal = seal
        self._tail = facts.tail

    def decrypt(self, write: Callable[[memoryview], Any]) -> Decrypted:
        """Give `write` all plaintext in order, in pieces that are its own only during the call.

        Raises:
            MediaDamaged: the file's MD5 is not the headers' ETag, or it changed meanwhile; the plaintext is worthless.
        """
        plain_size = 0
        with closing(StoredDigest(None)) as md5:
            for ciphertext, plain in self._pieces():
                if self._expected is not None:
                    md5.update(memoryview(ciphertext))
                write(plain)
                plain_size += len(plain)
            if self._expected not in (None, md5.finish()):
                raise MediaDamaged("the file's MD5 is not the ETag of its headers: it is not what S3 stores")
        return Decrypted(plain_size, self._seal.private_key, self._unproven if self._expected is None else Md5.OK)

    def _pieces(self) -> Iterator[tuple[bytes, memoryview]]:
        """Ciphertext and plaintext, the padding left out."""
        buffer = memoryview(bytearray(_CHUNK_SIZE + IN_PLACE_SLACK))
        decryptor = ContentKey(self._seal.content_key).decryptor(self._seal.iv)
        self._file.seek(0)
        left = self._stored_size
        while left:
            ciphertext = self._file.read(min(_CHUNK_SIZE, left))
            left -= len(ciphertext)
            ends_otherwise = not left and ciphertext[-AES_BLOCK:] != self._tail[-AES_BLOCK:]
            if not ciphertext or len(ciphertext) % AES_BLOCK or ends_otherwise:
                raise MediaDamaged("the file changed while it was read")
            buffer[: len(ciphertext)] = ciphertext
            decryptor.decrypt_in_place(buffer, len(ciphertext))
            padding = 0 if left else buffer[len(ciphertext) - 1]
            yield ciphertext, buffer[: len(ciphertext) - padding]


class Appearing:
    """A file that has not got its name yet."""

    def __init__(self, file: NewFile) -> None:
        """`name` is the one that it has."""
        self.name = file.name
        self._file = file

    def write(self, view: memoryview) -> None:
        """Append.

        Raises:
            DestinationFailed: it cannot be written.
        """
        with told(self._file.folder.path):
            self._file.write(view)


@contextmanager
def appearing_whole(goal: Path) -> Iterator[Appearing]:
    """A file to write to, that gets its name when the block ends well, and is gone if it does not.

    It is the user's alone, under a name that nobody can foresee. What runs left that were killed goes.

    Raises:
        ConfigError: `goal` is something that a file cannot replace.
        Occupied: somebody put another file in its place.
        DestinationFailed: it cannot be written.
    """
    with ExitStack() as stack:
        with told(goal.parent):
            folder = stack.enter_context(folder_of(goal))
            file = stack.enter_context(beside(folder, goal.name, Shortcomings()))
        yield Appearing(file)
        with told(goal.parent):
            file.take_place(goal.name, None)
