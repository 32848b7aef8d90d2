"""What reading needs from the network."""

from typing import Protocol

from twfs.clock import Deadline
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Medium


class StoredStream(Protocol):
    """The stored bytes of one range, in order."""

    def readinto(self, view: memoryview, deadline: Deadline) -> None:
        """Fill `view` whole with the next bytes.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: they cannot be had.
        """

    def close(self) -> None:
        """Done with it, at whatever byte."""


class StoredMedia(Protocol):
    """Where stored bytes come from (`twfs.remote.store.MediaStore`)."""

    def open(self, medium: Medium, stored_range: ByteRange, facts: ObjectFacts) -> StoredStream:
        """A stream of a range; no request before its first read."""
