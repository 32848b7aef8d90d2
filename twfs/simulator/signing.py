"""Pre-signed URLs: AWS Signature Version 4 in the query string, really computed and really checked.

Algorithm: AWS General Reference, "Signature Version 4, query parameters"; payload UNSIGNED-PAYLOAD, signed header host.
URLs are signed with temporary credentials, as Twilio's are, and these can be ended before the URL's own time.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_REGION = "us-east-1"
_TIME = "%Y%m%dT%H%M%SZ"
_LONGEST = 604800
"""Seconds: the longest life S3 allows a URL."""


class Refused(Exception):
    """The URL gives no access."""

    def __init__(self, code: str, message: str) -> None:
        """`code` and `message` of S3's error body."""
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class _Session:
    """Temporary credentials."""

    key_id: str
    secret: str
    token: str
    ended: bool = False


class Signer:
    """Signs and checks URLs; may be used from several threads."""

    def __init__(self) -> None:
        """With fresh temporary credentials."""
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._current = self._begin()

    def end_session(self) -> None:
        """Every URL signed so far is expired from now on."""
        with self._lock:
            self._current.ended = True
            self._current = self._begin()

    def sign(self, host: str, path: str, *, now: datetime, ttl: int, extra: Mapping[str, str] | None = None) -> str:
        """The query string that gives access to GET `path` at `host` for `ttl` seconds; `extra` is signed too."""
        with self._lock:
            session = self._current
        parameters = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{session.key_id}/{_scope(now.strftime(_TIME))}",
            "X-Amz-Date": now.strftime(_TIME),
            "X-Amz-Expires": str(ttl),
            "X-Amz-Security-Token": session.token,
            "X-Amz-SignedHeaders": "host",
            **(extra or {}),
        }
        query = _canonical_query(list(parameters.items()))
        signature = _signature(session.secret, _canonical("GET", host, path, query), parameters["X-Amz-Date"])
        return f"{query}&X-Amz-Signature={signature}"

    def check(self, method: str, host: str, path: str, query: Sequence[tuple[str, str]], now: datetime) -> None:
        """Let the request pass.

        Raises:
            Refused: not signed, signed otherwise, or too old.
        """
        given = dict(query)
        session = self._session(given.get("X-Amz-Credential", ""))
        signed = [(name, value) for name, value in query if name != "X-Amz-Signature"]
        date = given.get("X-Amz-Date", "")
        expected = _signature(session.secret, _canonical(method, host, path, _canonical_query(signed)), date)
        if not hmac.compare_digest(expected.encode(), given.get("X-Amz-Signature", "").encode()):
            raise Refused(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
            )
        # Whatever is signed was written by sign(): from here on the parameters are well formed.
        signed_at = datetime.strptime(date, _TIME).replace(tzinfo=UTC)
        if session.ended or now >= signed_at + timedelta(seconds=min(int(given["X-Amz-Expires"]), _LONGEST)):
            raise Refused("AccessDenied", "Request has expired")

    def _session(self, credential: str) -> _Session:
        if not credential:
            raise Refused("AccessDenied", "Access Denied")
        with self._lock:
            session = self._sessions.get(credential.partition("/")[0])
        if session is None:
            raise Refused("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        return session

    def _begin(self) -> _Session:
        session = _Session(f"ASIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30), secrets.token_urlsafe(60))
        self._sessions[session.key_id] = session
        return session


def _scope(date: str) -> str:
    return f"{date[:8]}/{_REGION}/s3/aws4_request"


def _canonical_query(parameters: list[tuple[str, str]]) -> str:
    return "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parameters))


def _canonical(method: str, host: str, path: str, query: str) -> str:
    return f"{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"


def _signature(secret: str, request: str, date: str) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in _scope(date).split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, f"{_ALGORITHM}\n{date}\n{_scope(date)}\n{digest}".encode(), "sha256").hex()
