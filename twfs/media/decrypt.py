"""Plaintext from stored bytes: an object as it is read, encrypted or not."""

from dataclasses import dataclass

from twfs.clock import Deadline
from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK, ContentKey, cipher_range
from twfs.crypto.unlock import Unlocked
from twfs.media.ports import StoredMedia, StoredStream
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange, ceil_div
from twfs.resources import Medium


@dataclass(frozen=True, slots=True)
class PlainObject:
    """A medium with all it takes to read it: where its bytes are, and its content key unless it is not encrypted."""

    medium: Medium
    facts: ObjectFacts
    plain_size: int
    unlocked: Unlocked | None
    stored: StoredMedia

    def open(self, plain_range: ByteRange) -> "PlainStream":
        """A stream of plaintext; `plain_range` is not empty, starts at a whole AES block, ends at one or at the end.

        Every read from it but the last must be of whole AES blocks.
        """
        if self.unlocked is None:
            return PlainStream(self.stored.open(self.medium, plain_range, self.facts), None, None)
        stored_stream = self.stored.open(self.medium, cipher_range(plain_range), self.facts)
        iv = self.unlocked.iv if plain_range.start == 0 else None
        return PlainStream(stored_stream, self.unlocked.content_key, iv)


class PlainStream:
    """Plaintext in order. One thread at a time."""

    def __init__(self, stored_stream: StoredStream, content_key: ContentKey | None, iv: bytes | None) -> None:
        """Without a content key stored bytes are plaintext; with one and no `iv` their first block is the IV."""
        self._stored_stream = stored_stream
        self._content_key = content_key
        self._decryptor = None if content_key is None or iv is None else content_key.decryptor(iv)

    def readinto(self, buffer: memoryview, size: int, deadline: Deadline) -> None:
        """The next `size` bytes of plaintext into the front of `buffer`.

        `buffer` is at least `buffer_size(size)` long; what is behind `size` is not defined after.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: they cannot be had.
        """
        if self._content_key is None:
            self._stored_stream.readinto(buffer[:size], deadline)
            return
        if self._decryptor is None:
            self._decryptor = self._content_key.decryptor(self._read_iv(deadline))
        size_in_blocks = ceil_div(size, AES_BLOCK) * AES_BLOCK
        self._stored_stream.readinto(buffer[:size_in_blocks], deadline)
        self._decryptor.decrypt_in_place(buffer, size_in_blocks)

    def _read_iv(self, deadline: Deadline) -> bytes:
        iv = bytearray(AES_BLOCK)
        self._stored_stream.readinto(memoryview(iv), deadline)
        return bytes(iv)

    def close(self) -> None:
        """Done with it, at whatever byte."""
        self._stored_stream.close()


def buffer_size(size: int) -> int:
    """How long a buffer must be for `size` bytes to be decrypted in it."""
    return ceil_div(size, AES_BLOCK) * AES_BLOCK + IN_PLACE_SLACK
