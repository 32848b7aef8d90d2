"""How libcurl is told to behave, and what its errors mean."""

import os
from pathlib import Path
from typing import Any

import pycurl

_CONNECT_SECONDS = 8
"""For the name, TCP and TLS. A lost SYN is sent again after 1 and 3 s; of several addresses libcurl tries the next one
after half of what is left, and IPv4 beside IPv6 after 0.2 s."""

_KEEPALIVE_SECONDS = 30
"""Between TCP's own probes of an idle connection, which also keep a NAT from forgetting it."""

_BUFFER_SIZE = 512 * 2**10
"""The most that libcurl hands over at once (it allows 10 MiB); over https it is a TLS record, 16 KiB."""

_SUPPRESS_CONNECT_HEADERS, _DNS_SHUFFLE_ADDRESSES, _DISALLOW_USERNAME_IN_URL, _QUICK_EXIT = 265, 275, 278, 322
"""Numbers of options (curl/curl.h) that pycurl has no names for. The last: nobody waits for a look-up in the end."""

_E_PROXY, _E_TOO_LARGE = 97, 100
"""Errors (curl/curl.h) that pycurl has no names for: a SOCKS proxy refused; headers are more than libcurl takes."""


def new_easy(authorities: str) -> Any:
    """A handle with all that is the same for each request."""
    easy = pycurl.Curl()
    for option, value in _ALWAYS.items():
        easy.setopt(option, value)
    # Of proxies that are spoken to by TLS as well.
    place = (pycurl.CAPATH, pycurl.PROXY_CAPATH) if Path(authorities).is_dir() else (pycurl.CAINFO, pycurl.PROXY_CAINFO)
    for option in place:
        easy.setopt(option, authorities)
    return easy


_ALWAYS: dict[int, Any] = {
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,  # S3 has no other
    pycurl.HTTP09_ALLOWED: 0,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.FOLLOWLOCATION: 0,
    pycurl.PATH_AS_IS: 1,  # else `..` goes from signed paths
    pycurl.HTTP_CONTENT_DECODING: 0,
    pycurl.NETRC: pycurl.NETRC_IGNORED,
    pycurl.NOSIGNAL: 1,
    pycurl.NOPROXY: "",  # whom to ask by a proxy is decided by `proxy_for`
    pycurl.SSL_VERIFYPEER: 1,
    pycurl.SSL_VERIFYHOST: 2,
    pycurl.USERAGENT: "twfs",
    pycurl.CONNECTTIMEOUT: _CONNECT_SECONDS,
    pycurl.BUFFERSIZE: _BUFFER_SIZE,
    pycurl.TCP_KEEPALIVE: 1,
    pycurl.TCP_KEEPIDLE: _KEEPALIVE_SECONDS,
    pycurl.TCP_KEEPINTVL: _KEEPALIVE_SECONDS,
    _SUPPRESS_CONNECT_HEADERS: 1,
    _DNS_SHUFFLE_ADDRESSES: 1,
    _DISALLOW_USERNAME_IN_URL: 1,
    _QUICK_EXIT: 1,
}

NEVER_SENT = frozenset(
    (
        pycurl.E_COULDNT_RESOLVE_PROXY,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_OPERATION_TIMEDOUT,  # CONNECTTIMEOUT: libcurl is given no other limit
        _E_PROXY,
    )
)
"""Errors before a byte of a request can have gone."""

_WORDS = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "no way through the proxy: its name was not found",
    _E_PROXY: "no way through the proxy",
    pycurl.E_COULDNT_RESOLVE_HOST: "no connection: the name was not found",
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_SSL_CONNECT_ERROR: "the TLS handshake failed",
    pycurl.E_PEER_FAILED_VERIFICATION: "the TLS certificate was not accepted",
    pycurl.E_SSL_CACERT_BADFILE: "the certificates of authorities cannot be read",
    pycurl.E_PARTIAL_FILE: "the connection closed before the promised length",
    pycurl.E_GOT_NOTHING: "the connection closed without an answer",
    pycurl.E_OPERATION_TIMEDOUT: "no connection in time",
    _E_TOO_LARGE: "its headers never end",
    pycurl.E_SEND_ERROR: "it broke off",
    pycurl.E_RECV_ERROR: "it broke off",
}


def in_words(easy: Any, code: int) -> str:
    """Never libcurl's own text, which may hold the URL."""
    tunnel = easy.getinfo(pycurl.HTTP_CONNECTCODE)
    if tunnel >= 300:
        return f"no way through the proxy: HTTP {tunnel}"
    text = _WORDS.get(code, f"it broke off (libcurl's error {code})")
    number = easy.getinfo(pycurl.OS_ERRNO) if code in (pycurl.E_COULDNT_CONNECT, *_BROKEN) else 0
    return f"{text}: {os.strerror(number).lower()}" if number else text


def wants_password(easy: Any) -> bool:
    """Whether the proxy did not let the request through because nobody said who asks."""
    return bool(easy.getinfo(pycurl.HTTP_CONNECTCODE) == 407)


_BROKEN = (pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR)
