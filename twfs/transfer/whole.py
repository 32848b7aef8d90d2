"""A medium from some byte to its end: fetched, proven, decrypted and handed on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol, TypeVar

from twfs.catalog.catalog import Catalog
from twfs.clock import Deadline
from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK, ContentKey
from twfs.errors import MediaAbsent, MediaDamaged, NoKey, NoSuchName, NotFound, ObjectChanged, TwfsError
from twfs.mount.session import Session
from twfs.probe import MediaInfo, MediaState
from twfs.ranges import ByteRange
from twfs.resources import Medium, parse_medium
from twfs.transfer.proof import Proof
from twfs.transfer.reader_pool import PIECE_SIZE, ReaderPool
from twfs.transfer.stored_digest import Seal

T = TypeVar("T")


class Stopped(TwfsError):
    """The work was called off."""


class Watch(Protocol):
    """Who looks on while media are transferred; called from several threads."""

    def spared(self, count: int) -> None:
        """So many bytes that seemed to be needed need not be fetched; if negative, so many more must be."""

    def advanced(self, count: int) -> None:
        """So many more bytes were fetched."""


def readable_info(session: Session, medium: Medium) -> MediaInfo:
    """What is known of a medium that can be read.

    Raises:
        MediaAbsent: Twilio has no media for it.
        NoKey: no private key at hand fits.
        MediaDamaged: it contradicts itself.
        RemoteError, CredentialsRefused: it could not be found out.
    """
    return _readable(session.catalog.info(medium.sid, Deadline(session.clock, session.config.timeout)))


def unless_replaced(session: Session, medium: Medium, info: MediaInfo, transfer: Callable[[MediaInfo], T]) -> T:
    """What `transfer` makes of the medium; once more with what it is now, if what was known of it holds no longer.

    Raises:
        Exception: what `transfer` raises, or `readable_info`.
    """
    try:
        return transfer(info)
    except ObjectChanged as change:
        present = replacement(session, medium, info, change)
    return transfer(present)


def replacement(session: Session, medium: Medium, info: MediaInfo, change: ObjectChanged) -> MediaInfo:
    """What the medium is now, after a transfer by what was known of it, `info`, met the `change`.

    Raises:
        ObjectChanged: `change`, if it is what was known.
        Exception: as `readable_info`.
    """
    present = _readable(session.catalog.examine(medium.sid, Deadline(session.clock, session.config.timeout)))
    if present == info:
        raise change
    return present


@contextmanager
def remembering_damage(catalog: Catalog, medium: Medium, info: MediaInfo) -> Iterator[None]:
    """Where the block finds that what was read whole is damaged, have the catalogue remember it.

    Raises:
        MediaDamaged: so it is.
    """
    try:
        yield
    except MediaDamaged as error:
        if info.facts is not None:
            catalog.record_damage(medium.sid, info.facts, str(error))
        raise


def unless_deleted(session: Session, medium: Medium, error: Exception) -> Exception:
    """`error`; or MediaAbsent, if it came of the medium's deletion after it was listed, of which Twilio is asked."""
    is_like_it = isinstance(error, ObjectChanged | NotFound | NoSuchName) and not isinstance(error, MediaAbsent)
    return MediaAbsent("it was deleted at Twilio") if is_like_it and _is_deleted(session, medium) else error


def _is_deleted(session: Session, medium: Medium) -> bool:
    """Whether Twilio, asked for this one, says so. Lists are taken on with what was known, deleted media included."""
    try:
        return parse_medium(medium.kind, session.api.fetch(medium.kind, medium.sid)).status == "deleted"
    except NotFound:
        return True
    except TwfsError:
        return False


def _readable(info: MediaInfo) -> MediaInfo:
    match info.state:
        case MediaState.ABSENT:
            raise MediaAbsent("Twilio has no media for it")
        case MediaState.LOCKED:
            raise NoKey(info.reason)
        case MediaState.DAMAGED:
            raise MediaDamaged(info.reason)
        case MediaState.READABLE:
            return info


def fetch_rest(
    pool: ReaderPool,
    medium: Medium,
    proof: Proof,
    plain_offset: int,
    *,
    write: Callable[[memoryview], Any] | None,
    watch: Watch,
    stop: threading.Event,
) -> None:
    """Give `proof` all stored bytes from `plain_offset` (a whole AES block) on, and `write` their plaintext.

    Both get them in order, in pieces of at most `PIECE_SIZE`; those of `write` are its own only during the call.

    Raises:
        Stopped: `stop` was set.
        TwfsError: the bytes cannot be had; or whatever `write` raises.
    """
    stored_size, seal = proof.facts.stored_size, proof.seal
    left = proof.plain_size - plain_offset
    # The block before, which is the IV of what is decrypted from there on (CBC).
    lead = AES_BLOCK if seal and plain_offset else 0
    opening: Opening | None = None
    with closing(pool.open(medium, proof.facts, ByteRange(plain_offset - lead, stored_size))) as reader:
        for piece in reader.pieces(proof.afterwards):
            if stop.is_set():
                raise Stopped("called off")
            opening = opening or Opening(seal, bytes(piece[:lead]))
            stored, lead = piece[lead:], 0
            proof.update(stored)
            count = min(len(stored), left)
            left -= count
            if write is not None:
                write(opening.plain(stored)[:count])
            watch.advanced(count)


class Opening:
    """Plaintext of stored pieces in order; the padding is left on."""

    def __init__(self, seal: Seal | None, iv: bytes) -> None:
        """Without a seal they are plaintext. `iv` is the block before the first; empty at the object's start."""
        self._decryptor = ContentKey(seal.content_key).decryptor(iv or seal.iv) if seal else None
        self._plain = memoryview(bytearray(PIECE_SIZE + IN_PLACE_SLACK if seal else 0))

    def plain(self, stored: memoryview) -> memoryview:
        """The plaintext of the next piece, to be used before the one after it."""
        if self._decryptor is None:
            return stored
        self._decryptor.decrypt_into(stored, self._plain[: len(stored) + IN_PLACE_SLACK])
        return self._plain[: len(stored)]
