"""Where requests may go: checked before a URL that somebody else wrote is followed.

What is refused here raises `RemoteError` and not `Unreachable`: to ask once more would not help.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from twfs.errors import RemoteError
from twfs.remote.http import without_query

# No user name, no backslash, nothing invisible: about these URL parsers disagree, and then what was checked is not
# where the request goes.
_URL = re.compile(r"(?i:https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?][!-\[\]-~]*)?")
_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by address or as `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_same_host(url: str, base_url: str) -> None:
    """Refuse a URL that would carry the credentials of `base_url` elsewhere.

    Raises:
        RemoteError: another scheme, host or port.
    """
    if _origin(_split(url)) != _origin(urlsplit(base_url)):
        raise RemoteError(f"the API points to another host than {base_url}; credentials are not sent there")


def check_media_url(url: str, suffixes: tuple[str, ...]) -> None:
    """Refuse a media URL that is not https on one of the allowed hosts (plain http on loopback, if that is allowed).

    `suffixes` are host names; `localhost` among them stands for every loopback address.

    Raises:
        RemoteError: another scheme or host.
    """
    parts = _split(url)
    host = (parts.hostname or "").lower().rstrip(".")
    loopback = is_loopback(host) and "localhost" in suffixes
    if not loopback and not any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes):
        raise RemoteError(f"media at host {host[:100]!r} is not allowed; if it is right, add it to media_hosts")
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        raise RemoteError(f"media at {without_query(url)} is not https")


def joined(base_url: str, reference: str) -> str:
    """The URL that a server named, perhaps relative to the one that was asked; it is not checked yet.

    Raises:
        RemoteError: it is none.
    """
    try:
        return urljoin(base_url, reference)
    except ValueError:
        raise _no_url() from None


def _split(url: str) -> SplitResult:
    if not _URL.fullmatch(url):
        raise _no_url()
    try:
        parts = urlsplit(url)
        # Reading the port parses it, and refuses nonsense.
        _ = parts.port
    except ValueError:
        raise _no_url() from None
    return parts


def _no_url() -> RemoteError:
    return RemoteError("a server points to what is no plain http or https URL")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
