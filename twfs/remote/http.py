"""HTTP as the rest of `remote` needs it: pooled, bounded in time and size, never redirected, errors by name.

The only module that knows `requests`. Redirects are not followed here, because who follows one must first check where
it leads and what it may carry along.
"""

import base64
import contextlib
import http.client
import io
import os
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from math import ceil
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import requests.adapters
import requests.auth
import requests.utils
import urllib3
import urllib3.connection
import urllib3.exceptions
import urllib3.poolmanager
import urllib3.util.connection

from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, Unreachable
from twfs.remote.certificates import authorities
from twfs.remote.encoding import ACCEPTED, BadEncoding, Decoder
from twfs.remote.proxies import AUTHENTICATION_NEEDED, proxy_fault
from twfs.remote.resolver import bound_lookups
from twfs.remote.retry import Lasting
from twfs.threads import start_thread

_CONNECT_SECONDS = 4.0
"""For a TCP handshake with one address: a lost SYN is sent again after 1 and 3 s. Names of S3 have up to eight
addresses, which are tried in turn as long as the deadline allows."""

_STALL_SECONDS = 10.0
"""Silence on an open connection after which it is given up."""

_SUSPICION = 3.0
"""The same for the first byte of an answer on a connection that stood idle: it may have died without a word, as when
the machine slept. Twilio needs less than one for a page of a list."""


_PIECE = 16 * 1024
_BESIDES = 16
"""Connections kept beside those that ask for pre-signed URLs: for lists, and resources one by one."""

_ANSWERED: "WeakSet[Any]" = WeakSet()
"""Connections that brought an answer before: what is asked on them next, they had stood idle."""

_SUSPICION_NOW: ContextVar[float] = ContextVar("suspicion", default=_STALL_SECONDS)
"""For the request that this thread makes."""

_DEADLINE: ContextVar[Deadline] = ContextVar("deadline")
"""Of the request that this thread makes: the libraries hand on seconds, and count them anew for each receive."""


_UNSENT = "no byte of the request was sent"

_MOST_INTERIM = 16
"""Interim answers (1xx) before the answer itself. Servers send one or two; 103 can be sent without end."""

_FRAMING = 256 * 2**10
"""Bytes of an answer that may be something else than its body: headers have a few KiB, S3 allows 8 KiB."""

_FRAMING_PER_BYTE = 16
"""The same for each byte of the body that came: a chunk of a single byte has five of framing."""


_SOCKS_REFUSALS = ("SOCKS4Error", "SOCKS5Error", "SOCKS5AuthError")
"""PySocks's errors whose texts come from its own table, so that they hold no name and no password."""


class NotSent(Unreachable):
    """No connection came about: the server knows nothing of the request."""


class NoWay(NotSent, Lasting):
    """The environment's proxy or certificates cannot be used; the message says what to change."""


class _Babble(ValueError):
    """Much comes, and little of it is an answer: chunk extensions, trailers or interim answers without end."""

    def __init__(self) -> None:
        """Says so."""
        super().__init__("it sends without end what is no answer")


class Authorization(requests.auth.AuthBase):
    """Adds HTTP Basic credentials, or nothing; either way `requests` then leaves ~/.netrc alone."""

    def __init__(self, user: str = "", secret: str = "", origin: str = "") -> None:
        """Without `user` nothing is added; `origin` is the place that they come from, for messages."""
        self.version = 0
        """Grows when they are replaced."""
        self.origin = ""
        self.replace(user, secret, origin)

    def replace(self, user: str, secret: str, origin: str) -> None:
        """Use others from now on."""
        self._header = f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}" if user else None
        self.origin = origin
        self.version += 1

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
        self.where = where
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> "Answer":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def read_bounded(self, limit: int, deadline: Deadline) -> bytes:
        """The body, decoded, at most `limit` bytes of it. What was read to its end can be used for the next request.

        Raises:
            Unreachable: the connection broke.
            DeadlineExceeded: it did not come in time, however slowly it trickles.
        """
        body = bytearray()
        received = 0
        with named_errors(self.where, deadline):
            decoder = Decoder(self.headers.get("Content-Encoding", ""))
            # What is encoded is no longer than what it stands for, unless it is made to keep somebody busy.
            while len(body) < limit and received <= limit:
                if not (piece := self._read_some(_PIECE, deadline)):
                    decoder.end()
                    break
                received += len(piece)
                body += decoder.decode(piece, limit - len(body))
        return bytes(body)

    def _read_some(self, limit: int, deadline: Deadline) -> bytes:
        """One receive, not `limit` bytes: only so can a deadline be kept when a body trickles."""
        self._wait_no_longer_than(deadline)
        piece: bytes = self._response.raw.read1(limit, decode_content=False) or b""
        self._received.came(len(piece))
        return piece

    def _wait_no_longer_than(self, deadline: Deadline) -> None:
        """Each read has its own deadline, which is not that of the request."""
        self._received.deadline = deadline

    @property
    def _received(self) -> "_Received":
        body: Any = self._response.raw
        received: _Received = body._fp.received  # noqa: SLF001  (no other way to it)
        return received

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        self._response.close()


class HttpPool:
    """Connections kept open for reuse, and the credentials that go with every request on them."""

    def __init__(self, connections: int, authorization: Authorization) -> None:
        """`connections` is how many ranged requests run at once; all are kept open."""
        bound_lookups()
        self._session = requests.Session()
        self.authorization = authorization
        self._headers = {**self._session.headers, "User-Agent": "twfs", "Accept-Encoding": ACCEPTED}
        self._settings_of: dict[str, dict[str, object]] = {}
        self._slowness = 0.0
        """Seconds that the last answer was waited for."""
        adapter = _Adapter(pool_connections=4, pool_maxsize=connections + _BESIDES)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def get(
        self, url: str, headers: Mapping[str, str], deadline: Deadline, params: Mapping[str, str] | None = None
    ) -> Answer:
        """One GET, headers awaited, body not yet.

        Raises:
            Unreachable: no connection, or it broke before the headers came.
            DeadlineExceeded: there is no time left, or they did not come in time.
        """
        return self.request("GET", url, headers, deadline, params=params)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, with `form` as its body if there is one; headers awaited, body not yet.

        Raises:
            NotSent: no connection; the server knows nothing of it. NoWay: nor will there be one.
            Unreachable: the connection broke before the headers came.
            DeadlineExceeded: there is no time left, or they did not come in time.
        """
        left = deadline.remaining()
        where = without_query(url)
        patience = urllib3.Timeout(connect=min(_CONNECT_SECONDS, left), read=min(_STALL_SECONDS, left), total=left)
        try:
            with named_errors(where, deadline):
                # Not Session.request: it merges settings that are always the same, reads the whole body of a redirect,
                # followed or not, and keeps cookies.
                request = self.authorization(self._prepare(method, url, params))
                request.headers.update(headers)
                if form is not None:
                    request.prepare_body(form, None)
                send = self._session.get_adapter(url).send
                _DEADLINE.set(deadline)
                # What changes something is not asked twice, so it has all the time there is.
                _SUSPICION_NOW.set(max(_SUSPICION, 2 * self._slowness) if method == "GET" else _STALL_SECONDS)
                response = send(request, timeout=patience, **self._settings(where))  # type: ignore[arg-type]  # stubs
        except NotSent:
            raise
        except Unreachable:
            # What took one connection may have taken all that stood idle, as when the machine slept.
            self._session.close()
            raise
        try:
            self._slowness = left - deadline.remaining()
        except DeadlineExceeded:
            response.close()
            raise
        if response.status_code == http.client.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise NoWay(f"{where}: {AUTHENTICATION_NEEDED}")
        return Answer(response, where)

    def _prepare(self, method: str, url: str, params: Mapping[str, str] | None = None) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.prepare(method, url, self._headers, params=params)
        return request

    def _settings(self, where: str) -> dict[str, object]:
        """Proxies and certificates as the environment names them for a host; looked up once.

        Raises:
            NoWay: they cannot be used.
        """
        host = "/".join(where.split("/", 3)[:3])
        if host not in self._settings_of:
            found = dict(self._session.merge_environment_settings(where, {}, True, None, None))  # noqa: FBT003  (stream)
            self._settings_of[host] = found | {"verify": way_to(where).trusted}
        return self._settings_of[host]

    def close(self) -> None:
        """Drop all idle connections."""
        self._session.close()


class _TlsContext(ssl.SSLContext):
    """Reads a bundle of authorities once, however often it is told to: urllib3 does so for each connection.

    Each time takes 16 ms of processor time with certifi's bundle: with 16 connections as much as to start Python.
    """

    def __init__(self, *_: object) -> None:
        """Server and name are verified (PROTOCOL_TLS_CLIENT)."""
        self._loaded: set[tuple[object, object]] = set()
        self._loading = threading.Lock()

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """As SSLContext's."""
        with self._loading:
            if (cafile, capath) not in self._loaded or cadata:
                super().load_verify_locations(cafile, capath, cadata)
                self._loaded.add((cafile, capath))


class _Received(io.RawIOBase):
    """What comes on a connection for one answer; nothing is received beyond the deadline, however little or much comes.

    Headers and the lines between chunks take as many receives as a server likes, in one call of a library. So what is
    no part of a body is bounded in bytes as well: else a server that sends it fast keeps a processor busy till then.
    Until it is closed the connection does not block.
    """

    def __init__(self, raw: Any, plug: Any) -> None:
        """`raw` is the file of `plug`, and is closed with this."""
        self.deadline = _DEADLINE.get()
        self._raw = raw
        self._plug = plug
        self._framing_left = _FRAMING
        self._patience = plug.gettimeout()
        self._wait = min(_SUSPICION_NOW.get(), _STALL_SECONDS) if plug in _ANSWERED else _STALL_SECONDS
        self._news = select.poll()
        self._news.register(plug, select.POLLIN)
        plug.settimeout(0.0)

    def readable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The connection's."""
        return int(self._raw.fileno())

    def came(self, count: int) -> None:
        """So many bytes of what was received were the body's."""
        self._framing_left += count * (1 + _FRAMING_PER_BYTE)

    def readinto(self, view: Any) -> int:
        """What has come, as far as it fits; awaited if nothing has. 0 at the end.

        Raises:
            DeadlineExceeded: there is no time left.
            TimeoutError: nothing came for too long.
            _Babble: too much came that was no part of a body.
        """
        self.deadline.remaining()
        if self._framing_left <= 0:
            raise _Babble
        while (count := self._take(view)) is None:
            patience = min(self._wait, self.deadline.remaining())
            if not self._news.poll(ceil(patience * 1000)):
                raise TimeoutError("nothing came")
        self._wait = _STALL_SECONDS
        self._framing_left -= count
        return count

    def _take(self, view: Any) -> int | None:
        """How much there was; None if there will be some."""
        try:
            return int(self._plug.recv_into(view))
        except (ssl.SSLWantReadError, BlockingIOError):
            return None

    def close(self) -> None:
        """Done with the answer. What comes next on the connection, such as TLS behind a proxy's, waits as before."""
        if not self.closed and self._plug.fileno() != -1:
            _ANSWERED.add(self._plug)
            self._plug.settimeout(self._patience)
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is received by a deadline."""

    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        """As HTTPResponse's."""
        super().__init__(sock, *arguments, **named)
        file: Any = self.fp
        self.interim_answers = 0
        self.received = _Received(file.detach(), sock)
        self.fp = io.BufferedReader(self.received)

    def _read_status(self) -> tuple[str, int, str]:
        """Of all interim answers `http.client` passes over 100 only: after another the real one would be the next's."""
        version, status, reason = super()._read_status()  # type: ignore[misc]  # the stubs do not have it
        if status // 100 != 1:
            return version, status, reason
        self.interim_answers += 1
        if self.interim_answers > _MOST_INTERIM:
            raise _Babble
        return version, http.client.CONTINUE, reason


class _Connection(urllib3.connection.HTTPConnection):
    """One that comes about by the deadline, whose answers are received by it."""

    response_class = _Response

    def connect(self) -> None:
        """With what proxy and TLS demand before a request may be sent."""
        try:
            super().connect()
        except Exception as error:
            error.add_note(_UNSENT)
            raise

    def _new_conn(self) -> socket.socket:
        family = urllib3.util.connection.allowed_gai_family()
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, family, socket.SOCK_STREAM)
            return _connected(found, self.socket_options or (), _DEADLINE.get())
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(self, "no connection in time") from error
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, "no connection") from error


class _TlsConnection(_Connection, urllib3.connection.HTTPSConnection):
    """The same with TLS."""


class _HttpConnections(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _HttpsConnections(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _connected(found: Sequence[Any], options: Iterable[Any], deadline: Deadline) -> socket.socket:
    """A connection to the first of the addresses in getaddrinfo's answer that takes one.

    Raises:
        DeadlineExceeded: there is no time left to try the next.
        OSError: why the last of them did not.
    """
    try:
        return _connection(found[0], options, deadline)
    except OSError:
        if len(found) == 1:
            raise
    return _connected(found[1:], options, deadline)


def _connection(place: Any, options: Iterable[Any], deadline: Deadline) -> socket.socket:
    family, kind, protocol, _, address = place
    plug = socket.socket(family, kind, protocol)
    try:
        for option in options:
            plug.setsockopt(*option)
        plug.settimeout(min(_CONNECT_SECONDS, deadline.remaining()))
        plug.connect(address)
        # What is left is for the TLS handshake.
        plug.settimeout(min(_CONNECT_SECONDS, deadline.remaining()))
    except BaseException:
        plug.close()
        raise
    return plug


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that keep deadlines, with one TLS context for all."""

    def init_poolmanager(self, *sizes: Any, **settings: Any) -> None:
        """Connections without a proxy."""
        self._context = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
        self._lock = threading.Lock()
        super().init_poolmanager(*sizes, **settings, ssl_context=self._context)
        _keep_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Connections through one."""
        # Without the lock another thread could use a new one before it keeps deadlines.
        with self._lock:
            if proxy not in self.proxy_manager:
                _keep_deadlines(super().proxy_manager_for(proxy, **settings, ssl_context=self._context))
            return self.proxy_manager[proxy]


def _keep_deadlines(manager: Any) -> None:
    """Have it make connections that do. Those to a SOCKS proxy come about in their own way."""
    pools: Mapping[str, Any] = manager.pool_classes_by_scheme
    if pools is urllib3.poolmanager.pool_classes_by_scheme:
        manager.pool_classes_by_scheme = {"http": _HttpConnections, "https": _HttpsConnections}
    else:
        manager.pool_classes_by_scheme = {scheme: _receiving(pool) for scheme, pool in pools.items()}


def _receiving(pool: Any) -> Any:
    """The same kind of connections, made and their answers received by the deadline."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]  # known only now
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            try:
                return _made_by(super()._new_conn, _DEADLINE.get())
            except TimeoutError as error:
                raise urllib3.exceptions.ConnectTimeoutError(self, "no connection in time") from error

    return type("Connections", (pool,), {"ConnectionCls": Connection})


def _made_by(make: Callable[[], socket.socket], deadline: Deadline) -> socket.socket:
    """What `make` makes, in a thread that is left behind if it takes longer: PySocks awaits each byte anew.

    Raises:
        TimeoutError: it takes longer; what comes late is closed.
        NoMoreThreads: the machine refuses one.
    """
    made: Future[socket.socket] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            made.set_exception(error)

    start_thread(run, "twfs-socks")
    try:
        return made.result(deadline.remaining())
    except TimeoutError:
        made.add_done_callback(_drop)
        raise


def _drop(made: Future[socket.socket]) -> None:
    if made.exception() is None:
        made.result().close()


@contextlib.contextmanager
def named_errors(where: str, deadline: Deadline) -> Iterator[None]:
    """Turn what the HTTP libraries raise into our errors; their texts may hold whole URLs, so only the kind is told.

    Raises:
        DeadlineExceeded: in place of any of theirs, if time is up.
        Unreachable: in place of any of theirs, else.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        failure = _kind(error)(f"{where}: {_in_words(error)}")
    else:
        return
    deadline.remaining()
    raise failure


def _kind(error: Exception) -> type[Unreachable]:
    if _proxy_status(error) == http.client.PROXY_AUTHENTICATION_REQUIRED:
        return NoWay
    return NotSent if _never_left(error) else Unreachable


def _proxy_status(error: Exception) -> int | None:
    """What a proxy answered to CONNECT if it opened no tunnel. `http.client` has it in its text only."""
    refusals = (re.match(r"Tunnel connection failed: ([0-9]{3})\b", str(cause)) for cause in _causes(error))
    return next((int(found[1]) for found in refusals if found), None)


def _never_left(error: Exception) -> bool:
    """Whether no connection came about, so that not a byte of the request was sent.

    That urllib3 blames the proxy proves nothing: it does so as well when the connection breaks after the request.
    """
    never = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return any(isinstance(cause, never) or _UNSENT in getattr(cause, "__notes__", ()) for cause in _causes(error))


def _in_words(error: Exception) -> str:
    if isinstance(error, _Babble | BadEncoding):
        return str(error)
    causes = tuple(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "the TLS certificate was not accepted"
    status = _proxy_status(error)
    if status is not None:
        is_asking = status == http.client.PROXY_AUTHENTICATION_REQUIRED
        return AUTHENTICATION_NEEDED if is_asking else f"the proxy opens no way there (HTTP {status})"
    words = (
        (requests.exceptions.SSLError, "the TLS handshake failed"),
        (requests.exceptions.ProxyError, "no way through the proxy"),
        (requests.exceptions.ConnectTimeout, "no connection in time"),
        (requests.exceptions.ReadTimeout, "no answer in time"),
        (urllib3.exceptions.ReadTimeoutError, "the connection fell silent"),
        (requests.exceptions.ConnectionError, "no connection"),
        (urllib3.exceptions.IncompleteRead, "the connection closed before the promised length"),
    )
    text = next((text for kind, text in words if isinstance(error, kind)), f"it broke off ({type(error).__name__})")
    if any(type(cause).__module__ == "socks" for cause in causes):
        text = "no way through the SOCKS proxy"
    why = next(filter(None, map(_reason, causes)), "")
    return f"{text}: {why}" if why else text


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It, and those that it was made of, which each library names in another way."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        within = next((part for part in cause.args if isinstance(part, BaseException)), None)
        cause = cause.__cause__ or within or _cause_of_socks(cause)


def _cause_of_socks(error: BaseException) -> BaseException | None:
    """PySocks's error, which urllib3 names as context only; of that one, the system's."""
    context = error.__context__
    is_of_socks = type(context).__module__ == "socks"
    return context if is_of_socks else getattr(error, "socket_err", None)


def _reason(error: BaseException) -> str:
    """What the system or OpenSSL has to say, by its number or symbol; empty if `error` is none of theirs.

    Never the text that an error carries: libraries put theirs there too, and those may hold URLs.
    """
    if isinstance(error, socket.gaierror):
        return "the name cannot be looked up" if error.errno == socket.EAI_AGAIN else "the name was not found"
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or ""
    if type(error).__name__ in _SOCKS_REFUSALS:
        return str(getattr(error, "msg", "")).lower()
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if isinstance(number, int) else ""


def without_query(url: str) -> str:
    """A URL as it may be logged: pre-signed URLs carry their secret in the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@dataclass(frozen=True, slots=True)
class Way:
    """How the environment has a host asked."""

    proxy: str
    """Its URL; empty: none."""
    trusted: str
    """The file, or folder, of the certificate authorities that are trusted."""


def way_to(where: str) -> Way:
    """How to ask the host of a URL.

    Raises:
        NoWay: the proxy or the certificates that the environment names cannot be used.
    """
    scheme = urlsplit(where).scheme
    proxy = requests.utils.select_proxy(where, requests.utils.get_environ_proxies(where))
    trusted = authorities(os.environ)
    fault = (proxy and proxy_fault(proxy, scheme)) or (trusted.fault() if scheme == "https" else "")
    if fault:
        raise NoWay(f"{where}: {fault}")
    return Way((proxy or "") if not proxy or "://" in proxy else f"http://{proxy}", trusted.path)
