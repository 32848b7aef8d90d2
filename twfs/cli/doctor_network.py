"""Why `twfs doctor` got no answer from a server, and what to do about it."""

import shlex
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from twfs.errors import DeadlineExceeded, NotFound, TwfsError, Unreachable
from twfs.remote.http import NoWay

_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


def api_mend(error: TwfsError, url: str) -> str:
    """What to do when the API at `url` has answered so; empty if the error says it itself."""
    if isinstance(error, NoWay):
        return ""
    if isinstance(error, NotFound):
        return "look whether api_url is right"
    return connection_mend(url) if isinstance(error, Unreachable | DeadlineExceeded) else ""


def connection_mend(url: str) -> str:
    """What to do when a server gives no answer that can be used: tries to resolve its name and to connect."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    if {parts.scheme, "all"} & getproxies().keys() and not proxy_bypass(host):
        # The proxy's own URL may hold a password.
        return f"look at the proxy, which {parts.scheme}_proxy (or all_proxy) names; run: curl -v {shlex.quote(url)}"
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except socket.gaierror:
        return f"the name {host} is not resolved: look at /etc/resolv.conf; run: getent ahosts {shlex.quote(host)}"
    except OSError as error:
        why = error.strerror or "no answer in time"
        return f"{host}:{port} cannot be connected to ({why}): look at firewalls; if a proxy is needed, set https_proxy"
    return f"{host}:{port} can be connected to: look at https://status.twilio.com; run: curl -v {shlex.quote(url)}"
