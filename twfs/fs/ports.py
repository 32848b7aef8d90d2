"""What the file system needs of others; the composition root passes the real things in."""

from collections.abc import Callable, Sequence
from typing import Protocol

from twfs.clock import Deadline
from twfs.folders import KnownFolder, PlacedMedium, Totals
from twfs.probe import MediaInfo
from twfs.ranges import ByteRange
from twfs.resources import Medium


class MediaIndex(Protocol):
    """What media exist, folder by folder, as queries that neither wait for the network nor for a writer.

    An answer is what was true at one moment; two answers with the same `version` are of the same state.
    A state that cannot be read is an error, never an empty answer.
    """

    @property
    def version(self) -> int:
        """Grows whenever a medium comes, goes or changes, is found to be another object, or was told a wrong size.

        What was kept of `find`, `folder`, `subfolders` and `page` under an equal version still holds.
        """

    @property
    def size_version(self) -> int:
        """Grows whenever a proven size that was told may be wrong by now: new media alone change nothing here."""

    def find(self, sid: str) -> PlacedMedium | None:
        """The completed medium of that SID, if the mount has it."""

    def folder(self, path: str) -> KnownFolder | None:
        """The folder at `path`; None if there is none, or if it has no media in it or below it.

        Always there are the root (`twfs.folders.ROOT`) and `FIXED_FOLDERS`.
        """

    def subfolders(self, path: str, after: int, limit: int) -> Sequence[KnownFolder]:
        """At most `limit` of the folders that are shown in `path` and have cookies above `after`, in that order.

        Fewer than `limit` only at the end. Empty for a path that is no folder.
        """

    def page(self, path: str, after: int, limit: int) -> Sequence[PlacedMedium]:
        """The same of the media in `path`. What was there during a whole listing comes once, whatever else changes."""

    def known_sizes(self, sids: Sequence[str]) -> list[tuple[int, bool] | None]:
        """What `known_size` tells of each, in one go; None of one that there is not."""

    def totals(self) -> Totals:
        """How much there is, as far as known; kept up to date, so that it costs the same for any number of media."""


class Catalog(MediaIndex, Protocol):
    """What media exist, and what each of them is."""

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
        """The same as far as known: neither waits nor asks anybody."""


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

    def remove(self, medium: Medium, deadline: Deadline, by: str, was_read: Callable[[str], bool] | None) -> None:
        """Delete a medium every byte of which is proven; with `was_read`, only an object whose identity it approves of.

        Raises:
            NotVerified: it is not; `ProofPending`: not yet.
            NoSuchName: there is no such medium.
            RemoteError, CredentialsRefused, MediaDamaged: it was not confirmed that it is gone; nothing vanishes.
        """
