"""Which certificate authorities TLS connections trust: those that the environment names, else certifi's.

The variables are those of requests, curl and OpenSSL, so that one set for another program counts here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""In the order in which they count."""

_MARKS = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----", b"-----BEGIN X509 CERTIFICATE-----")
"""How a certificate begins in a PEM file (OpenSSL, PEM_read_bio(3))."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """A PEM file of certificates, or a folder of them as `c_rehash` makes it."""

    path: str
    variable: str
    """The variable that names it; empty if none does."""

    @property
    def source(self) -> str:
        """Where they come from, for people."""
        return f"{self.variable}={self.path}" if self.variable else f"certifi ({self.path})"

    def fault(self) -> str:
        """Why they cannot be used, and what to do, in one line; empty if they can."""
        why = _why_not(Path(self.path))
        mend = f"correct or unset {self.variable}" if self.variable else "reinstall certifi"
        return f"the certificates of {self.source} cannot be used ({why}); {mend}" if why else ""


def authorities(environment: Mapping[str, str]) -> Authorities:
    """Those to trust; an empty variable counts as none."""
    named = next((name for name in VARIABLES if environment.get(name)), "")
    return Authorities(environment[named] if named else certifi.where(), named)


def _why_not(path: Path) -> str:
    try:
        if path.is_dir():
            return "" if any(path.iterdir()) else "the folder is empty"
        content = path.read_bytes()
    except OSError as error:
        return (error.strerror or "unreadable").lower()
    return "" if any(mark in content for mark in _MARKS) else "there is no certificate in it"
