"""Plaintext from stored bytes: an object as it is read, encrypted or not."""

from dataclasses import dataclass

from twfs.clock import Deadline
from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK, Decryptor, cipher_range
from twfs.media.ports import StoredMedia, StoredStream
from twfs.media.unlocking import Unlocking
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange, ceil_div
from twfs.resources import Medium


@dataclass(frozen=True, slots=True)
class PlainObject:
    """A medium with all it takes to read it: where its bytes are, and the way to its content key if it is encrypted."""

    medium: Medium
    facts: ObjectFacts
    plain_size: int
    unlocking: Unlocking | None
    stored: StoredMedia

    def open(self, plain_range: ByteRange) -> "PlainStream":
        """A stream of plaintext; `plain_range` is not empty, starts at a whole AES block, ends at one or at the end.

        Every read from it but the last must be of whole AES blocks.
        """
        stored_range = plain_range if self.unlocking is None else cipher_range(plain_range)
        stored_stream = self.stored.open(self.medium, stored_range, self.facts)
        return PlainStream(stored_stream, self.unlocking, is_first=plain_range.start == 0)


class PlainStream:
    """Plaintext in order. One thread at a time."""

    def __init__(self, stored_stream: StoredStream, unlocking: Unlocking | None, *, is_first: bool) -> None:
        """Without `unlocking` stored bytes are plaintext; with it their first block is the IV unless `is_first`."""
        self._stored_stream = stored_stream
        self._unlocking = unlocking
        self._is_first = is_first
        self._decryptor: Decryptor | None = None

    def readinto(self, buffer: memoryview, size: int, deadline: Deadline) -> None:
        """The next `size` bytes of plaintext into the front of `buffer`.

        `buffer` is at least `buffer_size(size)` long; what is behind `size` is not defined after.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: they cannot be had.
            NoKey, MediaDamaged: they cannot be decrypted.
        """
        if self._unlocking is None:
            self._stored_stream.readinto(buffer[:size], deadline)
            return
        size_in_blocks = ceil_div(size, AES_BLOCK) * AES_BLOCK
        iv = self._read_iv(deadline) if self._decryptor is None and not self._is_first else None
        self._stored_stream.readinto(buffer[:size_in_blocks], deadline)
        if self._decryptor is None:
            # Not before: until the bytes come there is time to find the key.
            unlocked = self._unlocking.result()
            self._decryptor = unlocked.content_key.decryptor(iv or unlocked.iv)
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
