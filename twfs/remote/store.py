"""The stored media of an account, by SID: Twilio's /Media and S3 put together. What catalog and media are given."""

import threading
from collections.abc import Callable
from functools import lru_cache

from twfs.clock import Clock, Deadline
from twfs.errors import CredentialsRefused, DeadlineExceeded, MediaDamaged, RemoteError, Unreachable
from twfs.log import log
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.hosts import check_media_url
from twfs.remote.lease import UrlLease
from twfs.remote.s3 import Network, S3Object
from twfs.remote.twilio import TwilioApi
from twfs.remote.unsealed import (
    HEAD_SIZE,
    begins_like_media,
    has_known_container,
    may_be_ciphertext,
    record_says_encrypted,
)
from twfs.resources import Kind, Medium

_LEASES = 4096
"""Media whose pre-signed URL is kept for the next read: about 2 KiB each."""
_HEAD = ByteRange(0, HEAD_SIZE)
"""An object that could be ciphertext has as many bytes."""
_SETTINGS_SECONDS = 600.0
"""How long the account's word on encryption is good for: settings are seldom changed."""


class MediaStore:
    """Looks at stored objects and reads ranges of them. Safe for use by several threads."""

    def __init__(self, api: TwilioApi, network: Network, hosts: tuple[str, ...], clock: Clock) -> None:
        """`network` carries no credentials; `hosts` are the suffixes that media may come from."""
        self._api = api
        self._network = network
        self._hosts = hosts
        self._clock = clock
        self._encrypts: dict[Kind, tuple[float, bool]] = {}
        self._lock = threading.Lock()
        self._objects = lru_cache(maxsize=_LEASES)(self._new_object)

    def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
        """What one probe of the object tells: one API request, if there is no URL yet, and one of the last 32 bytes.

        An object that has no envelope, and could be ciphertext, costs up to one more of each.

        Raises:
            MediaAbsent: Twilio has no media for it.
            MediaDamaged: its envelope is missing; or no usable answer.
            ObjectChanged, RemoteError, CredentialsRefused: no usable answer.
        """
        stored_object = self._object(medium.kind, medium.sid)
        facts = stored_object.inspect(deadline)
        if may_be_ciphertext(facts) and self._lost_its_envelope(medium, stored_object, facts, deadline):
            raise MediaDamaged(
                f"{medium.sid}: should be encrypted, and came without its envelope (x-amz-meta headers);"
                " is there a proxy that drops them?"
            )
        return facts

    async def fetch(
        self,
        medium: Medium,
        stored_range: ByteRange,
        facts: ObjectFacts,
        take: Callable[[bytes], object],
        deadline: Deadline,
    ) -> None:
        """Give `take` bytes `stored_range` of the object that `facts` describe, in order.

        Raises:
            ObjectChanged, RemoteError, CredentialsRefused: they cannot be had.
            Exception: what `take` raises.
        """
        await self._object(medium.kind, medium.sid).fetch(stored_range, facts, take, deadline)

    def _lost_its_envelope(
        self, medium: Medium, stored_object: S3Object, facts: ObjectFacts, deadline: Deadline
    ) -> bool:
        """Of an object that could be ciphertext: whether it should be encrypted and does not look like plain media."""
        try:
            if not self._should_be_encrypted(medium, facts, deadline):
                return False
        except Unreachable as error:
            # Nobody says whether it should be, for now: only what looks like plain media can be taken for that.
            if begins_like_media(stored_object.read(_HEAD, facts, deadline)):
                return False
            raise Unreachable(
                f"{medium.sid}: came without an envelope, and whether it should have one cannot be found out ({error})"
            ) from None
        return not begins_like_media(stored_object.read(_HEAD, facts, deadline))

    def _should_be_encrypted(self, medium: Medium, facts: ObjectFacts, deadline: Deadline) -> bool:
        if record_says_encrypted(medium, facts):
            return True
        return has_known_container(medium) and self._account_encrypts(medium.kind, deadline)

    def _account_encrypts(self, kind: Kind, deadline: Deadline) -> bool:
        """Whether the account's settings say so; where they may not be asked for, or are not there, they do not.

        Raises:
            Unreachable, DeadlineExceeded: they cannot be had now. That is no answer, and is not remembered.
        """
        until, answer = self._encrypts.get(kind, (0.0, False))
        if self._clock.monotonic() < until:
            return answer
        try:
            answer = self._api.encrypts(kind, deadline)
        except (Unreachable, DeadlineExceeded):
            raise
        except (RemoteError, CredentialsRefused) as error:
            log.debug("whether %s are encrypted cannot be found out: %s", kind, error)
            answer = False
        self._encrypts[kind] = (self._clock.monotonic() + _SETTINGS_SECONDS, answer)
        return answer

    def _object(self, kind: Kind, sid: str) -> S3Object:
        # Without the lock two first readers would make two objects, with a lease each.
        with self._lock:
            return self._objects(kind, sid)

    def _new_object(self, kind: Kind, sid: str) -> S3Object:
        def obtain(deadline: Deadline) -> str:
            url = self._api.media_url(kind, sid, deadline)
            check_media_url(url, self._hosts)
            return url

        return S3Object(sid, self._network, UrlLease(obtain, self._clock), self._hosts)
