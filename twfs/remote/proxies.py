"""Whether a proxy that the environment names can be used.

A proxy's URL may hold a password, so no message shows it.
"""

import shlex
import sys
from importlib import import_module
from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_FORM = "http://HOST:PORT or socks5h://HOST:PORT"

AUTHENTICATION_NEEDED = (
    "the proxy asks for a user name and password (HTTP 407); write them before the host in its URL, as NAME:PASSWORD@"
)


def proxy_fault(proxy_url: str, target_scheme: str) -> str:
    """Why the proxy for URLs of `target_scheme` cannot be used, and what to do, in one line; empty if it can."""
    scheme = _scheme(proxy_url)
    if scheme is None:
        return f"{target_scheme}_proxy (or all_proxy) names no proxy; set it to {_FORM}"
    if scheme not in _SCHEMES:
        return f"{target_scheme}_proxy (or all_proxy) names a kind of proxy that is not known; set it to {_FORM}"
    if scheme.startswith("socks") and not _has_socks():
        return f"a SOCKS proxy needs the package PySocks; run: {shlex.quote(sys.executable)} -m pip install PySocks"
    return ""


def _has_socks() -> bool:
    """Whether PySocks, by which urllib3 speaks SOCKS, can be imported."""
    try:
        import_module("socks")
    except ImportError:
        return False
    return True


def _scheme(proxy_url: str) -> str | None:
    """That of the proxy's URL, `http` where it has none; None if it is no URL of a proxy."""
    try:
        parts = urlsplit(proxy_url if "://" in proxy_url else f"http://{proxy_url}")
        # Reading the port parses it, and refuses nonsense.
        is_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts.scheme if is_place and not any(character.isspace() for character in proxy_url) else None
