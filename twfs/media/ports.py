"""What reading needs from the network."""

from collections.abc import Callable
from typing import Protocol

from twfs.clock import Deadline
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Medium


class StoredMedia(Protocol):
    """Where stored bytes come from (`twfs.remote.store.MediaStore`)."""

    async def fetch(
        self,
        medium: Medium,
        stored_range: ByteRange,
        facts: ObjectFacts,
        take: Callable[[bytes], object],
        deadline: Deadline,
    ) -> None:
        """Give `take` the bytes of a range of the object that `facts` describe: in order, each of them once.

        They are taken from answers that say that they are these bytes of this object, over as many connections as it
        takes. `take` may renew the deadline with each step that is made, and ends it all by raising something.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: they cannot be had.
            Exception: what `take` raises.
        """
