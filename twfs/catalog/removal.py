"""Deleting media at Twilio: the only place where twfs takes something away, and what it demands before it does."""

from collections.abc import Callable, Sequence

from twfs.catalog.catalog import Catalog
from twfs.catalog.ports import Records
from twfs.catalog.proving import BackgroundProofs
from twfs.clock import Deadline
from twfs.errors import BadResource, MediaAbsent, MediaDamaged, NotFound, NotVerified, ObjectChanged, ProofPending
from twfs.invocation import twfs_command
from twfs.log import log
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Medium, parse_medium

ABSENCE_SECONDS = 600.0
"""How far apart the first and the last look must be that find no media, before a medium is deleted for having none. A
404 by mistake passes: a proxy or one of Twilio's servers is put right, or restarted, within minutes."""

_PROOFS_SHARE = 0.5
"""Part of a call's time that it waits for a proof; the rest is for the last look and DELETE."""

WasRead = Callable[[str], bool]
"""Whether the object of an identity (`MediaInfo.identity`) is the one of which copies were made here."""


class Remover:
    """Deletes media that are proven to be readable. Safe for use by several threads."""

    def __init__(
        self, catalog: Catalog, records: Records, account: Sequence[str], proofs: BackgroundProofs | None = None
    ) -> None:
        """No request. Without `proofs` only what was proven before is deleted.

        `account` are the words by which commands take the account, for what is said to users.
        """
        self._catalog = catalog
        self._records = records
        self._account = tuple(account)
        self._proofs = proofs

    def remove(self, medium: Medium, deadline: Deadline, by: str, was_read: WasRead | None = None) -> None:
        """Delete a medium once all its bytes are proven: of the object that there is now, by a look just before.

        Args:
            medium: one of the catalogue's.
            deadline: of all requests together.
            by: who asked for it, for the log.
            was_read: tells of an object's identity whether copies were made of it here: another one is not deleted.
                None: nobody has read any.

        Raises:
            NotVerified: that is not proven; nothing was deleted. `ProofPending`: it may be the next time.
            MediaDamaged: reading it whole showed that it is damaged; nothing was deleted.
            NoSuchName: there is no such medium.
            DeadlineExceeded, RemoteError, CredentialsRefused: Twilio or S3 did not confirm; nothing
                vanishes here.
        """
        if self.check(medium, deadline, was_read):
            self._delete(medium, deadline, f"deleted at Twilio, asked for by {by}")
        else:
            log.info("%s: is gone at Twilio already", medium.sid)
            self._catalog.drop(medium.sid)

    def remove_unverified(self, medium: Medium, deadline: Deadline, by: str) -> None:
        """Delete a medium whatever is known of it.

        Raises:
            DeadlineExceeded, RemoteError, CredentialsRefused: Twilio did not confirm it; nothing vanishes here.
        """
        self._delete(medium, deadline, f"deleted at Twilio without proof that it was read, asked for by {by}")

    def check(self, medium: Medium, deadline: Deadline, was_read: WasRead | None = None) -> bool:
        """Whether there is something to delete, and proven; not if it is gone at Twilio. Looks anew.

        Raises:
            As `remove`: why it cannot be deleted.
        """
        before = self._catalog.known_info(medium.sid)
        try:
            info = self._catalog.look(medium.sid, deadline)
        except NotFound as error:
            return self._check_missing(medium, error, deadline)
        _check_same(medium, before, info, was_read)
        facts = self._readable(medium, info)
        damage = self._catalog.damage(medium.sid, facts)
        if damage:
            raise self._damaged(medium, damage)
        if not self._catalog.is_verified(medium.sid, facts):
            self._prove(medium, facts, info, deadline)
            _check_same(medium, info, self._catalog.look(medium.sid, deadline), lambda now: now == info.identity)
        return True

    def _readable(self, medium: Medium, info: MediaInfo) -> ObjectFacts:
        """The object, if it can be proven at all.

        Raises:
            NotVerified: it cannot.
        """
        if info.state is not MediaState.READABLE or info.facts is None:
            raise NotVerified(
                f"{medium.sid} is not deleted: nobody can have read it here ({info.reason});"
                f" {self._all_the_same(medium)}"
            )
        if not info.facts.has_strong_etag:
            raise NotVerified(
                f"{medium.sid} is not deleted: S3 sends no ETag with it that says which object it is, so nothing can"
                f" prove what was read to be what is deleted; {self._all_the_same(medium)}"
            )
        return info.facts

    def _prove(self, medium: Medium, facts: ObjectFacts, info: MediaInfo, deadline: Deadline) -> None:
        """Return once all of it is proven.

        Raises:
            NotVerified, ProofPending, MediaDamaged: it is not.
            TwfsError: why it could not be read.
        """
        if self._proofs is None:
            raise NotVerified(
                f"{medium.sid} is not deleted: nothing proves that all of it can be read; run"
                f" `{self._command('verify', medium)}` first, or {self._all_the_same(medium)}"
            )
        try:
            is_proven = self._proofs.proven_within(deadline.remaining() * _PROOFS_SHARE, medium, facts, info)
        except MediaDamaged as error:
            raise self._damaged(medium, str(error)) from error
        except ObjectChanged as error:
            raise _replaced(medium, "while it was read whole") from error
        if not is_proven:
            raise ProofPending(
                f"{medium.sid} is not deleted yet: it is being read whole, to prove it first; delete it again later"
            )

    def _check_missing(self, medium: Medium, error: NotFound, deadline: Deadline) -> bool:
        """A look found no media: whether the medium is there all the same, and proven to have none.

        Raises:
            NotVerified: the second it is not.
            NotFound: `error`, if that says nothing of the medium.
        """
        record = self._record(medium, deadline)
        if record is None or record.status == "deleted":
            return False
        if not isinstance(error, MediaAbsent):
            raise error
        self._check_absence(medium, record)
        return True

    def _record(self, medium: Medium, deadline: Deadline) -> Medium | None:
        """What Twilio says of it now; None if it has no such medium.

        Raises:
            RemoteError, CredentialsRefused: it did not say.
        """
        try:
            return parse_medium(medium.kind, self._records.fetch(medium.kind, medium.sid, deadline))
        except NotFound:
            return None
        except BadResource as error:
            raise NotVerified(f"{medium.sid} is not deleted: Twilio's record of it cannot be read ({error})") from error

    def _check_absence(self, medium: Medium, record: Medium) -> None:
        """Return if nothing speaks for its having media, so that there is nothing to lose.

        A record may have no size, or 0, and media all the same. Whether that of a track which was muted all the time
        has size 0, null or another one is UNKNOWN; to refuse is the safe side.

        Raises:
            NotVerified: something does. `ProofPending`: no look long enough ago found none.
        """
        known = self._catalog.known_info(medium.sid)
        seconds = self._catalog.seconds_absent(medium.sid)
        if seconds is None:
            raise NotVerified(f"{medium.sid} is not deleted: it has no media yet, which may still come")
        if record.claimed_size or (known is not None and known.state is not MediaState.ABSENT):
            claim = f"its record claims {record.claimed_size} bytes" if record.claimed_size else "it had some before"
            raise NotVerified(
                f"{medium.sid} is not deleted: Twilio finds no media of it, and {claim}; {self._all_the_same(medium)}"
            )
        if seconds < ABSENCE_SECONDS:
            raise ProofPending(
                f"{medium.sid} is not deleted yet: Twilio finds no media of it, which a look {ABSENCE_SECONDS / 60:.0f}"
                f" minutes after the first must confirm; delete it again in {ABSENCE_SECONDS - seconds:.0f} s, or"
                f" {self._all_the_same(medium)}"
            )

    def _damaged(self, medium: Medium, damage: str) -> MediaDamaged:
        return MediaDamaged(
            f"{medium.sid} is not deleted: reading it whole found it damaged ({damage}), and copies of it may be, too;"
            f" `{self._command('verify', medium)}` reads it anew, {self._all_the_same(medium)}"
        )

    def _all_the_same(self, medium: Medium) -> str:
        return f"`{self._command('rm', medium, '--unverified')}` deletes it all the same"

    def _command(self, command: str, medium: Medium, *flags: str) -> str:
        return twfs_command(command, *self._account, medium.sid, *flags, anywhere=True)

    def _delete(self, medium: Medium, deadline: Deadline, report: str) -> None:
        self._records.delete(medium.kind, medium.sid, deadline)
        # A warning, so that it is told at every usual log_level.
        log.warning("%s: %s", medium.sid, report)
        self._catalog.forget(medium.sid)


def _check_same(medium: Medium, before: MediaInfo | None, now: MediaInfo, was_read: WasRead | None) -> None:
    """Return if the object is the one that was shown and read.

    Raises:
        ProofPending: it is not. No ObjectChanged: of ESTALE Linux tries unlink(2) once more by itself (do_unlinkat in
            fs/namei.c), and what was replaced would be deleted then.
    """
    if was_read is not None and not was_read(now.identity):
        raise _replaced(medium, "since it was last read here")
    if before is not None and before.facts != now.facts:
        raise _replaced(medium, "since it was last looked at")


def _replaced(medium: Medium, when: str) -> ProofPending:
    return ProofPending(f"{medium.sid} is not deleted: it was replaced {when}; copy it anew, then delete it again")
