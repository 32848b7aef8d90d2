"""Whether a medium, read whole, is what S3 stores."""

from enum import StrEnum

from twfs.crypto.cbc import AES_BLOCK, ContentKey
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.errors import MediaDamaged
from twfs.probe import TAIL_SIZE, MediaInfo, ObjectFacts
from twfs.transfer.stored_digest import Seal, is_multipart, md5_in, seal_of, stored_digest


class Md5(StrEnum):
    """What the ETag proved."""

    OK = "ok"
    MULTIPART = "multipart"
    """Not checkable: uploaded in parts, whose ETag is no MD5."""
    NONE = "none"
    """Not checkable: S3 sent no ETag, or one of another form."""
    UNASKED = "unasked"


class Proof:
    """Takes all of a medium's plaintext in order, and then says whether it is right.

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
        self._facts: ObjectFacts = info.facts
        self._plain_size = info.plain_size
        self._seal: Seal | None = seal_of(info.facts, keyring)
        self._expected = md5_in(info.etag) if with_md5 else None
        self._digest = stored_digest(self._seal) if self._expected else None
        self._unproven = unproven(info.etag) if with_md5 else Md5.UNASKED
        self._seen = 0
        self._last = b""

    @property
    def private_key(self) -> PrivateKey | None:
        """The key that opens it; None if it is not encrypted."""
        return self._seal.private_key if self._seal else None

    @property
    def needs_all(self) -> bool:
        """Whether plaintext that is known already must be given, too; else its last 32 bytes do, after `skip`."""
        return self._digest is not None

    def skip(self, count: int) -> None:
        """`count` bytes are not given; only for what does not need all."""
        self._seen += count

    def update(self, plain: memoryview) -> None:
        """The next plaintext, at most `LARGEST_UPDATE` bytes."""
        self._seen += len(plain)
        self._last = (self._last + bytes(plain[-TAIL_SIZE:]))[-TAIL_SIZE:]
        if self._digest is not None:
            self._digest.update(plain)

    def conclude(self) -> Md5:
        """What was proven of the whole.

        Raises:
            MediaDamaged: it is not what S3 stores.
        """
        if self._seen != self._plain_size:
            raise MediaDamaged(f"{self._seen} bytes came where there must be {self._plain_size}")
        if not self._ends_well():
            raise MediaDamaged("its last bytes are not those that the object ends with")
        if self._digest is None:
            return self._unproven
        if self._digest.finish() != self._expected:
            raise MediaDamaged(
                "its MD5 is not the ETag: bytes were changed on the way, or the bucket encrypts with KMS, "
                "whose ETags are no MD5 (then use --no-md5)"
            )
        return Md5.OK

    def close(self) -> None:
        """Done with it."""
        if self._digest is not None:
            self._digest.close()

    def _ends_well(self) -> bool:
        tail = self._facts.tail
        if self._seal is None:
            return self._last[-len(tail) :] == tail if tail else not self._last
        iv = tail[:AES_BLOCK] if len(tail) == TAIL_SIZE else self._seal.iv
        last_block = ContentKey(self._seal.content_key).decrypt(iv, tail[-AES_BLOCK:])
        size = self._plain_size % AES_BLOCK
        return self._last[len(self._last) - size :] == last_block[:size]


def unproven(etag: str) -> Md5:
    """What an ETag that is no MD5 is reported as."""
    return Md5.MULTIPART if is_multipart(etag) else Md5.NONE
