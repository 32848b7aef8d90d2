"""The pre-signed URL of one medium: asked for when first needed, renewed before it expires or when S3 refuses it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from twfs.clock import Clock, Deadline
from twfs.errors import DeadlineExceeded

_LIFETIME = 600.0
"""Twilio's default Ttl, supposed where the URL itself does not tell."""

_LONGEST_LIFE = 7 * 86400.0
"""S3 grants no more (Signature Version 4); what claims more, or less than nothing, is not to be believed."""

_MARGIN = 0.1
"""Part of its life in which a URL is no longer used: clocks differ, and the request still has to get there."""

_LONGEST_MARGIN = 30.0

_PATIENCE = 1.0
"""Seconds for which a URL whose host cannot be reached is kept: an outage must not cost a request per attempt."""


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A pre-signed URL and from when until when (monotonic clock) it is used; the repr shows none of it."""

    url: str
    usable_until: float
    obtained_at: float

    def __repr__(self) -> str:
        """Nothing of the URL: its query opens the medium to anybody."""
        return "SignedUrl(...)"


class UrlLease:
    """Hands out the current URL of one medium; however many ask, it is renewed once."""

    def __init__(self, obtain: Callable[[Deadline], str], clock: Clock) -> None:
        """`obtain` asks for a fresh URL."""
        self._obtain = obtain
        self._clock = clock
        self._renewing = threading.Lock()
        self._current: SignedUrl | None = None
        self.renewals = 0

    def at_hand(self) -> SignedUrl | None:
        """A URL that should work, if there is one."""
        current = self._current
        return current if current is not None and self._is_fresh(current) else None

    def get(self, deadline: Deadline) -> SignedUrl:
        """A URL that should work.

        Raises:
            RemoteError, CredentialsRefused: what `obtain` raises; DeadlineExceeded also while waiting for another's.
        """
        current = self._current
        if current is not None and self._is_fresh(current):
            return current
        return self._renew(current, deadline)

    def refused(self, signed_url: SignedUrl, deadline: Deadline) -> SignedUrl:
        """Another URL in place of one that S3 refused; if somebody has renewed it meanwhile, that one.

        Raises:
            RemoteError, CredentialsRefused: as `get`.
        """
        return self._renew(signed_url, deadline)

    def leads_nowhere(self, signed_url: SignedUrl) -> None:
        """The URL's host cannot be reached: the next reader gets another one, unless this one was just obtained."""
        # Not under the lock, which a renewal may hold for long; at worst this drops a URL that has just come.
        if self._current is signed_url and self._clock.monotonic() - signed_url.obtained_at > _PATIENCE:
            self._current = None

    def _renew(self, worn: SignedUrl | None, deadline: Deadline) -> SignedUrl:
        if not self._renewing.acquire(timeout=deadline.remaining()):
            raise DeadlineExceeded("no fresh pre-signed URL in time (option timeout)")
        try:
            current = self._current
            if current is None or current is worn or not self._is_fresh(current):
                url = self._obtain(deadline)
                now = self._clock.monotonic()
                current = SignedUrl(url, now + _usable_seconds(url, self._clock.wall()), now)
                self._current = current
                self.renewals += 1
            return current
        finally:
            self._renewing.release()

    def _is_fresh(self, signed_url: SignedUrl) -> bool:
        return self._clock.monotonic() < signed_url.usable_until


def _usable_seconds(url: str, now: float) -> float:
    """How long to use a fresh URL: until a little before its expiry as its query tells it, never more than its life.

    The life is trusted more than the moment of signing: this machine's clock may be wrong by a day, and a URL just
    handed out is fresh.
    """
    query = parse_qs(urlsplit(url).query)
    try:
        if "X-Amz-Expires" in query:
            life = float(query["X-Amz-Expires"][0])
            signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            age = now - signed_at.timestamp()
            # Twilio may hand out a URL that it signed a while ago; an age beyond the life is a wrong clock instead.
            life -= age if 0 <= age < life else 0
        else:
            life = float(query["Expires"][0]) - now
    except (KeyError, ValueError):
        life = _LIFETIME
    if not 0 < life <= _LONGEST_LIFE:
        life = _LIFETIME
    return life - min(life * _MARGIN, _LONGEST_MARGIN)
