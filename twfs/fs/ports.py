"""What the file system needs of others; the composition root passes the real things in."""

from collections.abc import Mapping
from typing import Protocol

from twfs.clock import Deadline
from twfs.probe import MediaInfo
from twfs.ranges import ByteRange
from twfs.resources import Medium


class Catalog(Protocol):
    """What media exist."""

    @property
    def version(self) -> int:
        """Grows whenever `media()` differs."""

    def media(self) -> Mapping[str, Medium]:
        """Completed media by SID: a snapshot that never changes."""

    def info(self, sid: str, deadline: Deadline) -> MediaInfo:
        """What the probe of a medium found; at once if known, else waits for it.

        Raises:
            RemoteError: it could not be found out (`DeadlineExceeded`: in time).
            CredentialsRefused: nor will it be.
            NoSuchName: the medium is gone.
        """

    def known_info(self, sid: str) -> MediaInfo | None:
        """The same as far as known: neither waits nor asks anybody."""

    def size(self, sid: str, deadline: Deadline) -> tuple[int, bool]:
        """The plain size (bytes), and whether it is proven; else experience speaks for it, and `info` may contradict.

        Raises:
            As `info`.
        """

    def known_size(self, sid: str) -> tuple[int, bool] | None:
        """The same as far as known, from memory alone."""


class OpenMedium(Protocol):
    """One medium open for reading."""

    def read_into(self, view: memoryview, plain_offset: int, deadline: Deadline) -> int:
        """Fill `view` with the plaintext at `[plain_offset, plain_offset + len(view))`.

        What is in memory comes when the deadline is over, too.

        Returns:
            Bytes written: `len(view)`, fewer only at the end of the medium.

        Raises:
            RemoteError, CredentialsRefused, ObjectChanged, MediaDamaged: the bytes could not be had.
        """

    def close(self) -> None:
        """Give back what it holds."""


class MediaLibrary(Protocol):
    """Opens media."""

    def open(self, medium: Medium, info: MediaInfo) -> OpenMedium:
        """Asks nobody; bytes are fetched when they are read. `info` is READABLE.

        Raises:
            MediaDamaged: the object contradicts itself.
        """


class Reading(Protocol):
    """The account of one open file."""

    def delivered(self, plain_range: ByteRange) -> None:
        """These bytes were read; a short call, it is made at each read."""

    def closed(self) -> None:
        """It is not read any more."""


class Readings(Protocol):
    """Keeps account of who reads what."""

    def opened(self, medium: Medium, path: str, plain_size: int) -> Reading:
        """The calling thread serves whoever opens `path`."""


class Remover(Protocol):
    """Deletes media where they are stored."""

    def remove(self, medium: Medium, deadline: Deadline, by: str, read_identity: str | None) -> None:
        """Delete a medium every byte of which is proven; if `read_identity` is one, only the object that has it.

        Raises:
            NotVerified: it is not; `ProofPending`: not yet.
            NoSuchName: there is no such medium.
            RemoteError, CredentialsRefused, MediaDamaged: it was not confirmed that it is gone; nothing vanishes.
        """
