"""Media proven with the bytes that a mount's readers get: through its cache, its connections and its memory.

What a copy was just read from is not fetched again, and a block of it that is wrong is found; so is one that memory had
no room for, for when it is fetched again it is another one.
"""

from contextlib import closing

from twfs.clock import Deadline
from twfs.errors import MediaDamaged
from twfs.fs.ports import OpenMedium
from twfs.log import log
from twfs.mount.session import Session
from twfs.probe import MediaInfo
from twfs.resources import Medium
from twfs.transfer.proof import Md5, Proof

_IN_WORDS = {
    Md5.OK: "its MD5 is the ETag",
    Md5.MULTIPART: "length, end and one ETag (uploaded in parts: no MD5 to compare)",
    Md5.KMS: "length, end and one ETag (the bucket's own key: no MD5 to compare)",
    Md5.NONE: "length, end and one ETag (which is no MD5)",
}

_PIECE_SIZE = 2**20
"""Bytes read at once: whole AES blocks."""


class MountedProver:
    """Proves media of one session. Safe for use by several threads."""

    def __init__(self, session: Session) -> None:
        """No request."""
        self._session = session

    def prove(self, medium: Medium, info: MediaInfo) -> None:
        """Read all bytes of a READABLE object as the mount's readers do, and prove them.

        Raises:
            MediaDamaged: they are not what S3 stores, or not what this mount's readers got before.
            ObjectChanged: it is another object by now.
            NoKey, RemoteError, CredentialsRefused: they cannot be had.
        """
        with (
            closing(Proof(info, self._session.config.keyring, with_md5=True)) as proof,
            closing(self._session.library.open(medium, info)) as source,
        ):
            self._read(source, proof)
            if source.has_differed:
                raise MediaDamaged("bytes of it that were read again are not those that were read first")
            md5 = proof.conclude()
        log.info("%s: all of it was read and proven: %s", medium.sid, _IN_WORDS[md5])

    def _read(self, source: OpenMedium, proof: Proof) -> None:
        """Give `proof` what is stored: the plaintext, and the padding, whose end was proven when it was looked at."""
        clock, timeout = self._session.clock, self._session.config.timeout
        stored_size, plain_size = proof.facts.stored_size, proof.plain_size
        buffer = memoryview(bytearray(_PIECE_SIZE))
        for start in range(0, stored_size, _PIECE_SIZE):
            stored = buffer[: min(_PIECE_SIZE, stored_size - start)]
            plain = stored[: plain_size - start]
            if plain and source.read_into(plain, start, Deadline(clock, timeout)) != len(plain):
                raise MediaDamaged(f"fewer bytes came than there must be, {plain_size}")
            padding = len(stored) - len(plain)
            stored[len(plain) :] = bytes([stored_size - plain_size]) * padding
            proof.replay(stored)
