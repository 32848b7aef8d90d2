"""HTTP as the rest of `remote` needs it: pooled, bounded in time and size, never redirected, errors by name.

The only module that knows `requests`. Redirects are not followed here, because who follows one must first check where
it leads and what it may carry along.
"""

import base64
import contextlib
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import requests
import requests.adapters
import requests.auth
import urllib3.exceptions

from twfs.clock import Deadline
from twfs.errors import Unreachable

_CONNECT_SECONDS = 10.0
"""A TCP and TLS handshake that takes longer is better begun anew: a lost SYN is sent again after 1, 3 and 7 s."""

_STALL_SECONDS = 10.0
"""Silence on an open connection after which it is given up and the rest asked for on a new one."""


class Authorization(requests.auth.AuthBase):
    """Adds HTTP Basic credentials, or nothing; either way `requests` then leaves ~/.netrc alone."""

    def __init__(self, user: str = "", secret: str = "") -> None:
        """Without `user` nothing is added."""
        self._header = f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}" if user else None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign `request`."""
        if self._header is not None:
            request.headers["Authorization"] = self._header
        return request


class Answer:
    """An HTTP answer whose body has not been read yet. Must be closed."""

    def __init__(self, response: requests.Response, where: str) -> None:
        """`where` is the URL for messages, without its query."""
        self._response = response
        self._where = where
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> "Answer":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def read_bounded(self, limit: int, deadline: Deadline) -> bytes:
        """The body, decoded, at most `limit` bytes of it.

        Raises:
            Unreachable: the connection broke.
            DeadlineExceeded: it did not come in time, however slowly it trickles.
        """
        body = bytearray()
        with named_errors(self._where):
            for piece in self._response.iter_content(16 * 1024):
                deadline.remaining()
                body += piece
                if len(body) >= limit:
                    break
        return bytes(body[:limit])

    def readinto(self, view: memoryview) -> int:
        """Read at least 1 byte of the body as it was sent, unless it is at its end.

        Raises:
            Unreachable: the connection broke.
        """
        with named_errors(self._where):
            return self._response.raw.readinto(view)

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        self._response.close()


class HttpPool:
    """Connections kept open for reuse, and the credentials that go with every request on them."""

    def __init__(self, connections: int, authorization: Authorization) -> None:
        """`connections` is how many are kept per host."""
        self._session = requests.Session()
        self._session.auth = authorization
        self._session.headers["User-Agent"] = "twfs"
        adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def get(self, url: str, headers: Mapping[str, str], deadline: Deadline, params: object = None) -> Answer:
        """One GET, headers awaited, body not yet.

        Raises:
            Unreachable: no connection, or it broke before the headers came.
            DeadlineExceeded: there is no time left to begin.
        """
        left = deadline.remaining()
        where = without_query(url)
        with named_errors(where):
            response = self._session.get(
                url,
                params=params,  # type: ignore[arg-type]
                headers=dict(headers),
                timeout=(min(_CONNECT_SECONDS, left), min(_STALL_SECONDS, left)),
                allow_redirects=False,
                stream=True,
            )
        return Answer(response, where)

    def close(self) -> None:
        """Drop all idle connections."""
        self._session.close()


@contextlib.contextmanager
def named_errors(where: str) -> Iterator[None]:
    """Turn what the HTTP libraries raise into `Unreachable`; their texts may hold whole URLs, so only the kind is told.

    Raises:
        Unreachable: in place of any of theirs.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unreachable(f"{where}: {_in_words(error)}") from None


def _in_words(error: Exception) -> str:
    words = (
        (requests.exceptions.SSLError, "the TLS certificate was not accepted"),
        (requests.exceptions.ProxyError, "the proxy refused"),
        (requests.exceptions.ConnectTimeout, "no connection in time"),
        (requests.exceptions.ReadTimeout, "no answer in time"),
        (urllib3.exceptions.ReadTimeoutError, "the connection fell silent"),
        (requests.exceptions.ConnectionError, "no connection"),
        (urllib3.exceptions.IncompleteRead, "the connection closed before the promised length"),
    )
    return next((text for kind, text in words if isinstance(error, kind)), f"it broke off ({type(error).__name__})")


def without_query(url: str) -> str:
    """A URL as it may be logged: pre-signed URLs carry their secret in the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
