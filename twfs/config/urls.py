"""Base URLs of the APIs: https, or plain http to this very machine."""

from urllib.parse import SplitResult, urlsplit

from twfs.errors import ConfigError
from twfs.remote.hosts import is_loopback


def checked_base_url(name: str, url: str) -> str:
    """The URL without trailing slashes.

    Raises:
        ConfigError: it is no https URL of just host, port and path, or plain http to another machine.
    """
    parts = _split(name, url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{name} must be a URL such as https://video.twilio.com")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{name} may have a host, a port and a path, but no user, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError(
            f"{name}: plain http would show the credentials to the network; write https://{parts.hostname}"
        )
    return url.rstrip("/")


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise ConfigError(f"{name} is no URL") from None
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ConfigError(f"{name} is no URL")
    return parts
