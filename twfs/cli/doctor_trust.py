"""Whom `twfs doctor` finds trusted on https connections, and by which proxy they go."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

from twfs.cli.finding import OK, PROBLEM, Finding
from twfs.remote.certificates import Authorities, authorities
from twfs.remote.proxies import proxy_fault


def trust_findings(host: str) -> Iterator[Finding]:
    """The certificate authorities, and the proxy to `host` if there is one."""
    yield check_authorities(authorities(os.environ))
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if proxy and not proxy_bypass(host):
        yield check_proxy(proxy)


def check_authorities(found: Authorities) -> Finding:
    """Whether they can be read, and by which variable they are named."""
    fault = found.fault() or _unreadable(found)
    if fault:
        return Finding(PROBLEM, "certificates", fault)
    return Finding(OK, "certificates", f"certificates: servers are verified by those of {found.source}")


def check_proxy(proxy: str) -> Finding:
    """Whether it can be used, as far as its URL tells, which is not shown: it may hold a password."""
    fault = proxy_fault(proxy, "https")
    if fault:
        return Finding(PROBLEM, "proxy", fault)
    return Finding(OK, "proxy", "proxy: https goes by the one that https_proxy (or all_proxy) names")


def _unreadable(found: Authorities) -> str:
    if Path(found.path).is_dir():
        return ""
    try:
        ssl.create_default_context(cafile=found.path)
    except ssl.SSLError as error:
        return f"the certificates of {found.source} cannot be used ({error.reason}); correct or unset {found.variable}"
    return ""
