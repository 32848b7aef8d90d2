"""Whether a medium, read whole, is what S3 stores."""

from collections.abc import Callable
from enum import StrEnum

from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.errors import MediaDamaged
from twfs.probe import TAIL_SIZE, MediaInfo, ObjectFacts
from twfs.transfer.stored_digest import Seal, StoredDigest, is_multipart, md5_of, seal_of


class Md5(StrEnum):
    """What the ETag proved."""

    OK = "ok"
    MULTIPART = "multipart"
    """Not checkable: uploaded in parts, whose ETag is no MD5."""
    KMS = "kms"
    """Not checkable: the bucket encrypts with a key of KMS or of a customer, and the ETag is no MD5."""
    NONE = "none"
    """Not checkable: S3 sent no ETag, or one of another form."""
    UNASKED = "unasked"


class Proof:
    """Takes all of a medium's stored bytes in order, and then says whether they are right.

    Key, padding and length were proven by the object's last two blocks before (`twfs.crypto.unlock`). Proven here:
    that this many bytes came, that the last ones are those that were proven, and where the ETag is the object's MD5,
    every single byte.
    """

    def __init__(self, info: MediaInfo, keyring: Keyring, *, with_md5: bool) -> None:
        """For a READABLE medium.

        Raises:
            NoKey, MediaDamaged: it cannot be decrypted.
        """
        if info.facts is None:
            raise MediaDamaged("there is no object to prove")
        self.facts: ObjectFacts = info.facts
        self.seal: Seal | None = seal_of(info.facts, keyring)
        """What it is encrypted with; None if it is not."""
        self.plain_size = self.seal.plain_size if self.seal else info.facts.stored_size
        if self.plain_size != info.plain_size:
            raise MediaDamaged(f"its size is {self.plain_size}, not {info.plain_size} as was known")
        self._expected = md5_of(info.facts) if with_md5 else None
        self._digest = StoredDigest(self.seal) if self._expected else None
        self._unproven = unproven(info.facts) if with_md5 else Md5.UNASKED
        self._seen = 0
        self._last = b""

    @property
    def private_key(self) -> PrivateKey | None:
        """The key that opens it; None if it is not encrypted."""
        return self.seal.private_key if self.seal else None

    @property
    def needs_all(self) -> bool:
        """Whether what is known already must be given, too; else it may be skipped."""
        return self._digest is not None

    def skip(self, count: int) -> None:
        """`count` bytes are not given; only for what does not need all."""
        self._seen += count

    def replay(self, plain: memoryview) -> None:
        """The next stored bytes by their plaintext: of an encrypted object whole AES blocks."""
        self._seen += len(plain)
        if self._digest is not None:
            self._digest.replay(plain)

    def update(self, stored: memoryview) -> None:
        """The next stored bytes; they must stay as they are until what is given to `afterwards` next is called."""
        self._seen += len(stored)
        self._last = (self._last + bytes(stored[-TAIL_SIZE:]))[-TAIL_SIZE:]
        if self._digest is not None:
            self._digest.update(stored)

    def afterwards(self, call: Callable[[], None]) -> None:
        """Have `call` called, from whatever thread, once what was given so far is not needed any more."""
        if self._digest is None:
            call()
        else:
            self._digest.afterwards(call)

    def conclude(self) -> Md5:
        """What was proven of the whole.

        Raises:
            MediaDamaged: it is not what S3 stores.
        """
        if self._seen != self.facts.stored_size:
            raise MediaDamaged(f"{self._seen} bytes came where there must be {self.facts.stored_size}")
        if not self.facts.tail.endswith(self._last):
            raise MediaDamaged("its last bytes are not those that the object ends with")
        if self._digest is None:
            return self._unproven
        if self._digest.finish() != self._expected:
            raise MediaDamaged(
                "its MD5 is not the ETag: bytes were changed on the way or in the bucket; "
                "or this is no S3, and its ETags are no MD5s (then use --no-md5)"
            )
        return Md5.OK

    def close(self) -> None:
        """Done with it."""
        if self._digest is not None:
            self._digest.close()


def unproven(facts: ObjectFacts) -> Md5:
    """What an ETag that is no MD5 is reported as."""
    if is_multipart(facts.etag):
        return Md5.MULTIPART
    return Md5.KMS if facts.is_under_store_key else Md5.NONE
