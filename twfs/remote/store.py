"""The stored media of an account, by SID: Twilio's /Media and S3 put together. What catalog and media are given."""

import threading
from functools import lru_cache

from twfs.clock import Clock, Deadline
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.hosts import check_media_url
from twfs.remote.http import HttpPool
from twfs.remote.lease import UrlLease
from twfs.remote.s3 import RangeStream, S3Object
from twfs.remote.twilio import TwilioApi
from twfs.resources import Kind, Medium

_LEASES = 4096
"""Media whose pre-signed URL is kept for the next read: about 2 KiB each."""


class MediaStore:
    """Looks at stored objects and reads ranges of them. Safe for use by several threads."""

    def __init__(self, api: TwilioApi, http: HttpPool, hosts: tuple[str, ...], clock: Clock) -> None:
        """`http` carries no credentials; `hosts` are the suffixes that media may come from."""
        self._api = api
        self._http = http
        self._hosts = hosts
        self._clock = clock
        self._lock = threading.Lock()
        self._objects = lru_cache(maxsize=_LEASES)(self._new_object)

    def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
        """What one probe of the object tells: one API request, if there is no URL yet, and one of the last 32 bytes.

        Raises:
            MediaAbsent: Twilio has no media for it.
            RemoteError, CredentialsRefused, MediaDamaged: no usable answer.
        """
        return self._object(medium.kind, medium.sid).inspect(deadline)

    def open(self, medium: Medium, stored_range: ByteRange, facts: ObjectFacts) -> RangeStream:
        """A stream of bytes `stored_range` of the object that `facts` describe; no request before its first read."""
        return self._object(medium.kind, medium.sid).open(stored_range, facts)

    def _object(self, kind: Kind, sid: str) -> S3Object:
        # Without the lock two first readers would make two objects, with a lease each.
        with self._lock:
            return self._objects(kind, sid)

    def _new_object(self, kind: Kind, sid: str) -> S3Object:
        def obtain(deadline: Deadline) -> str:
            url = self._api.media_url(kind, sid, deadline)
            check_media_url(url, self._hosts)
            return url

        return S3Object(sid, self._http, UrlLease(obtain, self._clock), self._hosts)
