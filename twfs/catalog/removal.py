"""Deleting media at Twilio: the only place where twfs takes something away, and what it demands before it does."""

from collections.abc import Callable

from twfs.catalog.catalog import Catalog
from twfs.catalog.ports import Deleter
from twfs.clock import Deadline
from twfs.errors import MediaAbsent, NotVerified
from twfs.log import log
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Medium


class Remover:
    """Deletes media that are proven to be readable. Safe for use by several threads."""

    def __init__(self, catalog: Catalog, deleter: Deleter) -> None:
        """No request."""
        self._catalog = catalog
        self._deleter = deleter

    def remove(self, medium: Medium, deadline: Deadline, by: str, was_read: Callable[[MediaInfo], bool]) -> None:
        """Delete a medium all of whose bytes were read and proven; one that never had media counts as read.

        The object is looked at once more: it is the one that Twilio has now that must have been read. If there is
        none, and Twilio's record claims a size, nothing is deleted: a 404 may be a mistake. Whether the record of a
        track that was muted all the time has size 0, null or another one is UNKNOWN; to refuse is the safe side.

        Args:
            medium: one of the catalogue's.
            deadline: of all requests together.
            by: who asked for it, for the log.
            was_read: whether the caller itself had all bytes of this object, beside what the catalogue remembers.

        Raises:
            NotVerified: that is not proven; nothing was deleted.
            NoSuchName: there is no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused, MediaDamaged: Twilio or S3 did not confirm; nothing
                vanishes here.
        """
        self._check(medium, deadline, was_read)
        self._delete(medium, deadline, f"deleted at Twilio, asked for by {by}")

    def remove_unverified(self, medium: Medium, deadline: Deadline, by: str) -> None:
        """Delete a medium whatever is known of it.

        Raises:
            DeadlineExceeded, RemoteError, CredentialsRefused: Twilio did not confirm it; nothing vanishes here.
        """
        self._delete(medium, deadline, f"deleted at Twilio without proof that it was read, asked for by {by}")

    def _check(self, medium: Medium, deadline: Deadline, was_read: Callable[[MediaInfo], bool]) -> None:
        sid = medium.sid
        try:
            info = self._catalog.examine(sid, deadline)
        except MediaAbsent as error:
            raise NotVerified(f"{sid} is not deleted: it has no media yet, which may still come") from error
        match info.state:
            case MediaState.ABSENT:
                if medium.claimed_size:
                    raise NotVerified(
                        f"{sid} is not deleted: Twilio finds no media of it, and its record claims"
                        f" {medium.claimed_size} bytes; `twfs rm --unverified {sid}` deletes it all the same"
                    )
            case MediaState.READABLE:
                if not (self._catalog.is_verified(sid, info.etag) or was_read(info)):
                    raise NotVerified(
                        f"{sid} is not deleted: nothing proves that all of it was read; run `twfs verify {sid}`"
                        f" (in a mount, reading it whole there does too) or `twfs rm --unverified {sid}`"
                    )
            case MediaState.LOCKED | MediaState.DAMAGED:
                raise NotVerified(
                    f"{sid} is not deleted: nobody can have read it here ({info.reason});"
                    f" `twfs rm --unverified {sid}` deletes it all the same"
                )

    def _delete(self, medium: Medium, deadline: Deadline, report: str) -> None:
        self._deleter.delete(medium.kind, medium.sid, deadline)
        # A warning, so that it is told at every usual log_level.
        log.warning("%s: %s", medium.sid, report)
        self._catalog.forget(medium.sid)
