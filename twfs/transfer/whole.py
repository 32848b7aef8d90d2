"""Reading a medium from some byte to its end, while what was read is put to use."""

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, MediaAbsent, MediaDamaged, NoKey, ObjectChanged, TwfsError
from twfs.log import log
from twfs.mount.session import Session
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Medium
from twfs.transfer.aside import Aside
from twfs.transfer.stored_digest import LARGEST_UPDATE

T = TypeVar("T")

CHUNK_SIZE = LARGEST_UPDATE
"""Bytes read at once: as much as libfuse 3 asks for, so that prefetching sees what it sees under a mount."""

_PATIENCE = 4
"""How often a piece may outlast `timeout`: nobody is kept waiting as in a file system, what has come meanwhile is not
lost, and many media at once on a thin line are each slow."""


class Stopped(TwfsError):
    """The work was called off."""


class Watch(Protocol):
    """Who looks on while media are transferred; called from several threads."""

    def spared(self, count: int) -> None:
        """So many bytes that seemed to be needed need not be fetched."""

    def advanced(self, count: int) -> None:
        """So many more bytes were fetched."""


class Source(Protocol):
    """A medium open for reading (`twfs.media.reader.MediumReader`)."""

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext."""

    def read_into(self, view: memoryview, plain_offset: int, deadline: Deadline) -> int:
        """Plaintext from `plain_offset` into `view`."""


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
    except ObjectChanged:
        present = _readable(session.catalog.examine(medium.sid, Deadline(session.clock, session.config.timeout)))
        if present == info:
            raise
        return transfer(present)


def _read_patiently(session: Session, source: Source, view: memoryview, plain_offset: int) -> int:
    for _ in range(_PATIENCE - 1):
        try:
            return source.read_into(view, plain_offset, Deadline(session.clock, session.config.timeout))
        except DeadlineExceeded:
            log.debug("%d bytes at %d take longer than %g s", len(view), plain_offset, session.config.timeout)
    return source.read_into(view, plain_offset, Deadline(session.clock, session.config.timeout))


def _readable(info: MediaInfo) -> MediaInfo:
    match info.state:
        case MediaState.ABSENT:
            raise MediaAbsent("Twilio lists it and has no media for it, as for a track that was muted all the time")
        case MediaState.LOCKED:
            raise NoKey(info.reason)
        case MediaState.DAMAGED:
            raise MediaDamaged(info.reason)
        case MediaState.READABLE:
            return info


def read_on(
    session: Session,
    source: Source,
    plain_offset: int,
    *,
    use: Callable[[memoryview], None],
    watch: Watch,
    stop: threading.Event,
) -> None:
    """Give `use` all plaintext from `plain_offset` on, in pieces of at most `CHUNK_SIZE`, in order.

    The next piece is read while `use` has one, on a thread of its own; two buffers take turns.

    Raises:
        Stopped: `stop` was set.
        TwfsError: it cannot be had; or whatever `use` raises.
    """
    buffers = [memoryview(bytearray(CHUNK_SIZE)) for _ in range(2)]
    with Aside() as using:
        for offset in range(plain_offset, source.plain_size, CHUNK_SIZE):
            if stop.is_set():
                raise Stopped("called off")
            view = buffers[0][: min(CHUNK_SIZE, source.plain_size - offset)]
            count = _read_patiently(session, source, view, offset)
            if count != len(view):
                raise MediaDamaged(f"{count} bytes at {offset} where there must be {len(view)}")
            using.run(use, view)
            buffers.reverse()
            watch.advanced(count)
        using.wait()
