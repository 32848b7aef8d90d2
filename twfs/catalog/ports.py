"""What the catalogue needs of others; `mount` and `cli` pass the real things in."""

from collections.abc import Iterator
from typing import Protocol

from twfs.clock import Deadline
from twfs.probe import MediaInfo, ObjectFacts
from twfs.resources import Kind, ListFilter, Medium, Page


class Listing(Protocol):
    """Twilio's lists of recordings and compositions."""

    def pages(self, kind: Kind, wanted: ListFilter, place: str | None = None) -> Iterator[Page]:
        """Raw JSON records, a page of at most 100 at a time, requested as they are consumed.

        An empty page comes before each pause while the next one is awaited, so that the list can be given up there.

        Args:
            kind: whose list.
            wanted: which part of it.
            place: `following` of an earlier page, in whatever process, to go on behind that one.

        Raises:
            RemoteError, CredentialsRefused: a page did not come; no later page will. A `RemoteError` that is no
                `Unreachable` at the first page: that place is refused.
        """

    def fetch(self, kind: Kind, sid: str) -> object:
        """One raw JSON record.

        Raises:
            NotFound: Twilio has no such resource.
            RemoteError, CredentialsRefused: no answer.
        """


class Records(Protocol):
    """Twilio's record of one medium, and its DELETE."""

    def fetch(self, kind: Kind, sid: str, deadline: Deadline) -> object:
        """The raw JSON record.

        Raises:
            NotFound: Twilio has no such resource.
            RemoteError, CredentialsRefused: no answer.
        """

    def delete(self, kind: Kind, sid: str, deadline: Deadline) -> None:
        """Delete one medium; that it is gone already is as good.

        Raises:
            RemoteError, CredentialsRefused: Twilio did not confirm it.
        """


class Prover(Protocol):
    """Reads media whole."""

    def prove(self, medium: Medium, info: MediaInfo) -> None:
        """Read all bytes of a READABLE object, however long it takes, and prove them.

        Raises:
            MediaDamaged: they are not what S3 stores.
            ObjectChanged: it is another object by now.
            NoKey, RemoteError, CredentialsRefused: they cannot be had.
        """


class Inspector(Protocol):
    """One look at a stored object."""

    def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
        """One `/Media` call and one ranged GET of the last 32 bytes.

        Raises:
            MediaAbsent: Twilio has no media for this resource.
            MediaDamaged: S3's answer contradicts itself.
            RemoteError, CredentialsRefused: no answer.
        """


class Interpreter(Protocol):
    """What facts mean with the private keys at hand: pure, a few milliseconds, no request."""

    @property
    def keys(self) -> str:
        """A digest of the keys at hand: as long as it is the same, the same facts mean the same."""

    def interpret(self, facts: ObjectFacts) -> MediaInfo:
        """READABLE only if key, padding and sizes prove it; else LOCKED or DAMAGED with a reason. Never raises."""
