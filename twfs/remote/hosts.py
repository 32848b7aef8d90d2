"""Where requests may go: checked before a URL that somebody else wrote is followed."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from twfs.errors import Unreachable
from twfs.remote.http import without_query

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
        Unreachable: another scheme, host or port.
    """
    if _origin(_split(url)) != _origin(urlsplit(base_url)):
        raise Unreachable(f"the API points to another host than {base_url}; credentials are not sent there")


def check_media_url(url: str, suffixes: tuple[str, ...]) -> None:
    """Refuse a media URL that is not https on one of the allowed hosts (plain http on loopback, if that is allowed).

    `suffixes` are host names; `localhost` among them stands for every loopback address.

    Raises:
        Unreachable: another scheme or host.
    """
    parts = _split(url)
    host = (parts.hostname or "").lower().rstrip(".")
    loopback = is_loopback(host) and "localhost" in suffixes
    if not loopback and not any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes):
        raise Unreachable(f"media at host {host[:100]!r} is not allowed; if it is right, add it to media_hosts")
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        raise Unreachable(f"media at {without_query(url)} is not https")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Reading the port parses it, and refuses nonsense.
        _ = parts.port
    except ValueError:
        raise Unreachable("a server answered with a URL that is none") from None
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
