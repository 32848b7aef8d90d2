import errno
import gzip
import random
import socket
import ssl
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import urllib3.connection
import urllib3.exceptions
from hypothesis import given
from hypothesis import strategies as st

from tests.remote.rude import (
    NEVER_COMES_TO_ITS_END,
    Manner,
    Meeting,
    RudeServer,
    answer,
    falling_silent_after,
    saying,
    saying_and_closing,
    streaming,
    trickling,
    tunnelling,
)
from tests.remote.socks import NONE_ACCEPTED, socks_proxy
from tests.security.tls import Authority, tls_in_front_of
from tests.simulator.support import HandClock
from twfs.clock import Deadline, SystemClock
from twfs.errors import DeadlineExceeded, Unreachable
from twfs.remote.certificates import VARIABLES
from twfs.remote.http import (
    Authorization,
    HttpPool,
    NoWay,
    _Adapter,
    _connected,
    _keep_deadlines,
    named_errors,
    without_query,
)
from twfs.remote.retry import retrying
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.server import Simulator

SECRET = "X-Amz-Signature=5ec2e7"
SLACK = 4.0
"""Seconds by which a busy machine may be late; other limits than the one that is meant are 5 s or longer."""


@pytest.fixture
def pool() -> Iterator[HttpPool]:
    pool = HttpPool(4, Authorization())
    yield pool
    pool.close()


def within(seconds: float) -> Deadline:
    return Deadline(SystemClock(), seconds)


def timed(action: Callable[[], object]) -> tuple[float, Exception]:
    began = time.monotonic()
    with pytest.raises((DeadlineExceeded, Unreachable)) as caught:
        action()
    return time.monotonic() - began, caught.value


def get_all(pool: HttpPool, url: str, deadline: Deadline, limit: int = 10**6) -> bytes:
    with pool.get(url, {}, deadline) as answer:
        return answer.read_bounded(limit, deadline)


def test_connections_are_used_again_once_an_answer_was_read_to_its_end(pool: HttpPool) -> None:
    chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    redirect = answer(302, b"{}", {"Location": "https://elsewhere.test/"})
    manners = [saying(answer(body=b"x" * 100_000)), saying(chunked), saying(redirect), saying(answer(204))]
    with RudeServer(*manners) as server:
        assert [len(get_all(pool, server.url, within(5))) for _ in range(4)] == [100_000, 3, 2, 0]
        assert (len(server.requests), server.connections) == (4, 1)


def test_whom_to_trust_is_read_once_for_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    pools = [HttpPool(4, Authorization()) for _ in range(2)]
    with RudeServer(*[saying_and_closing(answer(body=b"x"))] * 3) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with tls_in_front_of(port, authority.server_context("localhost")) as secure_port:
            url = f"https://localhost:{secure_port}/"
            assert get_all(pools[0], url, within(20)) == b"x"
            authority.bundle.write_text("no certificates any more")
            assert [get_all(pools[0], url, within(20)) for _ in range(2)] == [b"x", b"x"]
            with pytest.raises(Unreachable):
                get_all(pools[1], url, within(20))
        assert server.connections == 3
    for pool in pools:
        pool.close()


def test_a_connection_with_bytes_left_on_it_is_dropped(pool: HttpPool) -> None:
    with RudeServer(saying(answer(body=b"x" * 100_000))) as server:
        for _ in range(2):
            with pool.get(server.url, {}, within(5)) as part:
                assert part.read_bounded(10, within(5)) == b"x" * 10
        assert server.connections == 2


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_answer_is_not_taken_for_the_answer(pool: HttpPool, status: int) -> None:
    interim = f"HTTP/1.1 {status} Not yet\r\nLink: </style.css>\r\n\r\n".encode()
    with RudeServer(*[saying(interim * 2 + answer(200, body)) for body in (b"first", b"second")]) as server:
        assert [get_all(pool, server.url, within(5)) for _ in range(2)] == [b"first", b"second"]
        assert server.connections == 1


def test_a_redirect_is_not_followed_and_its_body_not_awaited(pool: HttpPool) -> None:
    endless = answer(302, b"x" * 1000, {"Location": "/elsewhere", "Content-Length": str(30 * 2**20)})
    with RudeServer(falling_silent_after(endless)) as server:
        with pool.get(server.url, {}, within(5)) as redirect:
            assert (redirect.status, redirect.headers["location"]) == (302, "/elsewhere")
        assert len(server.requests) == 1


def test_a_body_without_end_is_read_no_further_than_its_limit(pool: HttpPool) -> None:
    with RudeServer(saying(answer(500, b"x" * 30 * 2**20))) as server:
        assert get_all(pool, server.url, within(20), 65536) == b"x" * 65536


def test_compressed_bodies_are_decoded_and_bounded_in_their_decoded_size(pool: HttpPool) -> None:
    body = gzip.compress(bytes(100 * 2**20), compresslevel=1)
    with RudeServer(saying(answer(200, body, {"Content-Encoding": "gzip"}))) as server:
        assert get_all(pool, server.url, within(20), 1000) == bytes(1000)
        assert b"accept-encoding: gzip\r\n" in server.requests[0].lower()


def bombs() -> dict[str, bytes]:
    once = gzip.compress(bytes(256 * 2**20))
    return {
        "gzip": once,
        "gzip, gzip": gzip.compress(gzip.compress(bytes(2**30))),
        "x-gzip": gzip.compress(b"") * 20_000 + once,
        "deflate": zlib.compress(bytes(64 * 2**20)),
        "br": b"\xcb\xff\xff\x03",
    }


@pytest.fixture(scope="module")
def packed() -> dict[str, bytes]:
    return bombs()


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "x-gzip", "deflate", "br"])
def test_what_swells_takes_no_more_memory_than_its_limit(
    pool: HttpPool, packed: dict[str, bytes], encoding: str
) -> None:
    with RudeServer(saying(answer(200, packed[encoding], {"Content-Encoding": encoding}))) as server:
        tracemalloc.start()
        try:
            assert set(get_all(pool, server.url, within(60), 100_000)) <= {0}
        except Unreachable as error:
            assert "is encoded in a way that was not asked for" in str(error)  # noqa: PT017 - some are refused
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 3 * 2**20


def test_what_one_request_carries_does_not_stick_to_the_next_for_the_same_url(pool: HttpPool) -> None:
    with RudeServer(saying(answer(200, b"{}"))) as server:
        for headers in ({"Range": "bytes=0-1", "If-Match": "a"}, {"Range": "bytes=2-3"}):
            with pool.get(server.url, headers, within(5)) as part:
                part.read_bounded(10, within(5))
        with pool.get(server.url, {}, within(5)) as plain:
            plain.read_bounded(10, within(5))
        requests_seen = server.requests
    first, second, last = (text.lower() for text in requests_seen)
    assert b"range: bytes=0-1" in first
    assert b"if-match: a" in first
    assert b"range: bytes=2-3" in second
    assert b"if-match" not in second
    assert b"range" not in last


def test_silence_in_the_middle_ends_at_the_deadline(pool: HttpPool) -> None:
    silent = falling_silent_after(answer(200, b"abc", {"Content-Length": "1000"}))
    with RudeServer(silent) as server, pool.get(server.url, {}, within(5)) as part:
        lasted, error = timed(lambda: part.read_bounded(100, within(0.3)))
    assert isinstance(error, DeadlineExceeded)
    assert lasted < 0.3 + SLACK


@pytest.mark.parametrize("manner", NEVER_COMES_TO_ITS_END)
def test_nothing_takes_longer_than_its_deadline(pool: HttpPool, manner: Manner) -> None:
    with RudeServer(manner) as server:
        lasted, error = timed(lambda: get_all(pool, f"{server.url}?{SECRET}", within(0.4)))
    assert isinstance(error, DeadlineExceeded)
    assert 0.3 < lasted < 0.4 + SLACK
    assert SECRET not in str(error)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAMS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "headers of an interim answer": (b"HTTP/1.1 103 Early Hints\r\n", b"X: y\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "an extension of a chunk": (CHUNKED + b"1;", b"x"),
    "extensions of chunks": (CHUNKED, b"1;" + b"x" * 1000 + b"\r\n.\r\n"),
    "trailers": (CHUNKED + b"1\r\n.\r\n0\r\n", b"X: y\r\n"),
    "a trailer": (CHUNKED + b"1\r\n.\r\n0\r\nX: ", b"x"),
}


@pytest.mark.parametrize("what", STREAMS)
def test_what_comes_fast_and_without_end_around_an_answer_ends_soon(pool: HttpPool, what: str) -> None:
    with RudeServer(streaming(*STREAMS[what])) as server:
        began, spent = time.monotonic(), time.process_time()
        with pytest.raises(Unreachable, match=f"{server.url}: "):
            get_all(pool, server.url, within(120), 100_000)
        assert time.process_time() - spent < 2
        assert time.monotonic() - began < 10


def test_what_comes_without_end_ends_at_the_deadline_however_much_of_it_is_the_body(pool: HttpPool) -> None:
    with RudeServer(streaming(CHUNKED, b"4\r\n....\r\n")) as server:
        lasted, error = timed(lambda: get_all(pool, server.url, within(0.4), 10**9))
    assert isinstance(error, DeadlineExceeded)
    assert lasted < 0.4 + SLACK


def test_bodies_in_small_chunks_are_bodies(pool: HttpPool) -> None:
    body = random.Random(2).randbytes(100_000)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    with RudeServer(saying(CHUNKED + chunks + b"0\r\nX-Checked: yes\r\n\r\n")) as server:
        assert get_all(pool, server.url, within(20)) == body
        assert get_all(pool, server.url, within(20)) == body
        assert server.connections == 1


TRICKLING_HEADER = trickling(b"HTTP/1.1 200 OK\r\nX: ", 0.05)


def test_headers_that_trickle_through_tls_end_at_the_deadline(
    pool: HttpPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with RudeServer(TRICKLING_HEADER) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with tls_in_front_of(port, authority.server_context("localhost")) as secure_port:
            lasted, error = timed(lambda: pool.get(f"https://localhost:{secure_port}/", {}, within(1)))
        assert len(server.requests) == 1
    assert isinstance(error, DeadlineExceeded)
    assert lasted < 1 + SLACK


def test_a_proxy_that_trickles_ends_at_the_deadline(pool: HttpPool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with RudeServer(TRICKLING_HEADER) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        lasted, error = timed(lambda: pool.get("https://video.test/", {}, within(0.4)))
        assert proxy.requests[0].startswith(b"CONNECT video.test:443 ")
    assert isinstance(error, DeadlineExceeded)
    assert lasted < 0.4 + SLACK


def test_connections_of_an_own_kind_as_of_a_socks_proxy_keep_deadlines_too() -> None:
    class OwnConnection(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return socket.create_connection((self.host, self.port), 5)

    class OwnPool(urllib3.HTTPConnectionPool):
        ConnectionCls = OwnConnection

    class OwnAdapter(_Adapter):
        def init_poolmanager(self, *sizes: Any, **settings: Any) -> None:
            super().init_poolmanager(*sizes, **settings)
            self.poolmanager.pool_classes_by_scheme = {"http": OwnPool}
            _keep_deadlines(self.poolmanager)

    pool = HttpPool(1, Authorization())
    pool._session.mount("http://", OwnAdapter())
    with RudeServer(saying(answer(body=b"abc")), TRICKLING_HEADER) as server:
        assert get_all(pool, server.url, within(5)) == b"abc"
        _, error = timed(lambda: pool.get(server.url, {}, within(0.4)))
    pool.close()
    assert isinstance(error, DeadlineExceeded)


def test_a_body_after_which_the_server_hangs_up_has_its_reads_deadline_too(pool: HttpPool) -> None:
    silent = answer(200, b"ab", {"Content-Length": "4", "Connection": "close"})
    with RudeServer(falling_silent_after(silent)) as server, pool.get(server.url, {}, within(30)) as body:
        lasted, error = timed(lambda: body.read_bounded(4, within(0.3)))
    assert isinstance(error, DeadlineExceeded)
    assert lasted < 0.3 + SLACK


class TickingClock(HandClock):
    """A second passes each time that somebody looks."""

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


def address(url: str) -> Any:
    """In a form as getaddrinfo's."""
    parts = urlsplit(url)
    return socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)[0]


def test_a_host_s_addresses_are_tried_in_turn_until_the_deadline() -> None:
    with RudeServer(saying(answer())) as gone:
        dead = address(gone.url)
    clock = TickingClock()
    with pytest.raises(DeadlineExceeded):
        _connected([dead] * 100, (), Deadline(clock, 5))
    assert clock.seconds < 10
    with pytest.raises(ConnectionRefusedError):
        _connected([dead] * 3, (), Deadline(HandClock(), 5))
    with RudeServer(saying(answer())) as server:
        _connected([dead, address(server.url)], (), Deadline(HandClock(), 5)).close()


def test_each_read_has_its_own_deadline_not_what_was_left_when_the_request_began(pool: HttpPool) -> None:
    def late(meeting: Meeting) -> None:
        meeting.send(answer(200, b"ab", {"Content-Length": "4"}))
        meeting.stopped.wait(2.5)
        meeting.send(b"cd")

    with RudeServer(late) as server:
        with pool.get(server.url, {}, within(2)) as body:
            assert body.read_bounded(4, within(30)) == b"abcd"
        with pool.get(server.url, {}, within(5)) as body:
            lasted, _ = timed(lambda: body.read_bounded(4, within(0.2)))
            assert lasted < 0.2 + SLACK


def test_a_deadline_that_has_passed_begins_no_request(pool: HttpPool) -> None:
    clock = HandClock()
    deadline = Deadline(clock, 5)
    clock.sleep(5)
    with RudeServer(saying(answer())) as server:
        with pytest.raises(DeadlineExceeded):
            pool.get(server.url, {}, deadline)
        assert server.connections == 0


@pytest.mark.parametrize(
    "manner",
    [
        Meeting.hang_up,
        Meeting.reset,
        saying_and_closing(b"HTTP/1.1 abc\r\n\r\n"),
        saying_and_closing(b"SSH-2.0-OpenSSH_9.2\r\n"),
        saying_and_closing(b"\0" * 100_000),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000),
        saying_and_closing(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000),
        saying_and_closing(b"HTTP/1.1 99999999999999999999 OK\r\n\r\n"),
        saying_and_closing(answer(200, b"ab", {"Content-Length": "3"})),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nab"),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
        saying(answer(200, b"no gzip", {"Content-Encoding": "gzip"})),
    ],
)
def test_nonsense_is_one_clear_error(pool: HttpPool, manner: Manner) -> None:
    with RudeServer(manner) as server:
        _, error = timed(lambda: get_all(pool, f"{server.url}/path?{SECRET}", within(5)))
    assert isinstance(error, Unreachable)
    assert str(error).startswith(f"{server.url}/path: ")
    assert SECRET not in str(error)
    assert "\n" not in str(error)


def complaint(pool: HttpPool, target: str) -> str:
    """What is said of a request to `target` behind its URL, which stands there without its query."""
    _, error = timed(lambda: get_all(pool, f"{target}/path?{SECRET}", within(30)))
    where, said, why = str(error).partition(f"{target}/path: ")
    assert (where, said) == ("", f"{target}/path: ")
    return why


def test_no_server_is_an_error_that_says_why(pool: HttpPool) -> None:
    with RudeServer(saying(answer())) as server:
        url = server.url
    assert complaint(pool, url) == "no connection: connection refused"
    # What a machine says that has no name server at all.
    unresolved = ("no connection: the name was not found", "no connection: the name cannot be looked up")
    assert complaint(pool, "http://name.invalid") in unresolved


def test_a_server_that_speaks_no_tls_is_told_from_a_certificate_that_is_not_accepted(
    pool: HttpPool, tmp_path: Path
) -> None:
    with Simulator(SimulatedAccount()) as server:
        port = urlsplit(server.url).port
        assert port is not None
        # OpenSSL goes on to say WRONG_VERSION_NUMBER, or something else in other versions.
        assert complaint(pool, f"https://localhost:{port}").startswith("the TLS handshake failed")
        with tls_in_front_of(port, Authority(tmp_path, "unknown").server_context("localhost")) as secure_port:
            assert complaint(pool, f"https://localhost:{secure_port}") == "the TLS certificate was not accepted"


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (socket.gaierror(socket.EAI_NONAME, SECRET), "the name was not found"),
        (socket.gaierror(socket.EAI_AGAIN, SECRET), "the name cannot be looked up"),
        (OSError(errno.ECONNREFUSED, SECRET), "connection refused"),
        (OSError(errno.EHOSTUNREACH, SECRET), "no route to host"),
        (OSError(errno.ENETUNREACH, SECRET), "network is unreachable"),
        (OSError(errno.ETIMEDOUT, SECRET), "connection timed out"),
    ],
)
def test_why_there_is_no_connection_is_told_in_the_system_s_words(cause: OSError, why: str) -> None:
    reason = urllib3.exceptions.HTTPError(SECRET)
    reason.__cause__ = cause
    with pytest.raises(Unreachable) as caught, named_errors("http://h.test/", Deadline(HandClock(), 1)):
        raise requests.ConnectionError(reason)
    assert str(caught.value) == f"http://h.test/: no connection: {why}"


def test_netrc_is_never_used(pool: HttpPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login thief password booty\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    own = HttpPool(1, Authorization("SK1", "word"))
    with RudeServer(saying(answer())) as server:
        # Proof that it would be used if it could.
        requests.get(server.url, timeout=5).close()
        get_all(pool, server.url, within(5))
        get_all(own, server.url, within(5))
        first, bare, signed = (request.lower() for request in server.requests)
    own.close()
    assert b"authorization: basic dghpzwy6ym9vdhk=" in first
    assert b"authorization" not in bare
    assert b"authorization: basic u0sxondvcmq=" in signed


def test_proxies_of_the_environment_are_used(pool: HttpPool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with RudeServer(saying(answer(body=b"by proxy"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert get_all(pool, "http://video.test/v1", within(5)) == b"by proxy"
        assert proxy.requests[0].startswith(b"GET http://video.test/v1 ")


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Sets one variable of the environment, and no other that names a proxy."""

    def be(variable: str, url: str) -> None:
        for scheme in ("http", "https", "all", "no"):
            for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()):
                monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, url)

    return be


Proxied = Callable[[str, str], None]


def timed_once(pool: HttpPool, url: str) -> Exception:
    """What is raised of it, at once: neither after a time limit nor after other attempts."""
    deadline = within(20)
    lasted, error = timed(lambda: retrying(lambda: pool.get(url, {}, deadline), deadline))
    assert lasted < 20 - SLACK
    return error


def test_a_proxy_that_asks_who_one_is_is_told_so_and_not_asked_again(pool: HttpPool, proxied: Proxied) -> None:
    refusal = saying(answer(407, b"", {"Proxy-Authenticate": "Basic"}))
    for variable, url in (("http_proxy", "http://video.test/v1"), ("https_proxy", "https://video.test/v1")):
        with RudeServer(refusal) as proxy:
            proxied(variable, proxy.url.replace("//", "//user:wrong@"))
            error = timed_once(pool, f"{url}?{SECRET}")
            assert len(proxy.requests) == 1
        assert isinstance(error, NoWay)
        assert str(error).startswith(f"{url}: the proxy asks for a user name and password (HTTP 407); write")
        assert "wrong" not in str(error)


def test_what_a_proxy_says_that_opens_no_tunnel_is_told(pool: HttpPool, proxied: Proxied) -> None:
    with RudeServer(saying_and_closing(answer(403))) as proxy:
        proxied("https_proxy", proxy.url)
        assert complaint(pool, "https://video.test") == "the proxy opens no way there (HTTP 403)"


def test_a_proxy_that_is_none_is_named_at_once(pool: HttpPool, proxied: Proxied) -> None:
    proxied("ALL_PROXY", "http://user:word@:3128")
    error = timed_once(pool, "https://video.test/v1")
    assert isinstance(error, NoWay)
    assert "https_proxy (or all_proxy) names no proxy" in str(error)
    assert "word" not in str(error)


def test_hosts_that_no_proxy_names_are_asked_directly(
    pool: HttpPool, proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxied("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,video.test")
    with RudeServer(saying(answer(body=b"directly"))) as server:
        assert get_all(pool, server.url, within(5)) == b"directly"


@pytest.mark.parametrize("variable", ["ALL_PROXY", "http_proxy"])
def test_a_socks_proxy_is_gone_through(pool: HttpPool, proxied: Proxied, variable: str) -> None:
    with RudeServer(saying(answer(body=b"by socks"))) as server, socks_proxy() as place:
        proxied(variable, f"socks5h://{place}")
        assert get_all(pool, server.url.replace("127.0.0.1", "localhost"), within(5)) == b"by socks"


def test_a_socks_proxy_that_trickles_ends_at_the_deadline(pool: HttpPool, proxied: Proxied) -> None:
    with socks_proxy(trickle=0.05) as place:
        proxied("ALL_PROXY", f"socks5h://{place}")
        lasted, error = timed(lambda: pool.get("https://video.test/", {}, within(0.4)))
    assert isinstance(error, DeadlineExceeded)
    assert lasted < 0.4 + SLACK


def test_why_a_socks_proxy_lets_nobody_through_is_told(pool: HttpPool, proxied: Proxied) -> None:
    with socks_proxy(reply=4) as place:
        proxied("ALL_PROXY", f"socks5h://{place}")
        assert complaint(pool, "https://video.test") == "no way through the SOCKS proxy: 0x04: host unreachable"
    assert complaint(pool, "https://video.test") == "no way through the SOCKS proxy: connection refused"
    with socks_proxy(NONE_ACCEPTED) as place:
        proxied("ALL_PROXY", f"socks5h://{place}")
        assert complaint(pool, "https://two.test").startswith("no way through the SOCKS proxy: all offered socks5 auth")


def test_without_pysocks_a_socks_proxy_is_named_at_once_with_what_to_install(
    pool: HttpPool, proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    proxied("ALL_PROXY", "socks5h://user:word@127.0.0.1:9")
    error = timed_once(pool, "https://video.test/v1")
    assert isinstance(error, NoWay)
    assert str(error).endswith(f"a SOCKS proxy needs the package PySocks; run: {sys.executable} -m pip install PySocks")


@pytest.mark.parametrize("variable", VARIABLES)
def test_certificates_are_those_that_the_environment_names(
    pool: HttpPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    authority = Authority(tmp_path, "trusted")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(authority.bundle))
    with RudeServer(saying(answer(body=b"x"))) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with tls_in_front_of(port, authority.server_context("localhost")) as secure_port:
            assert get_all(pool, f"https://localhost:{secure_port}/", within(20)) == b"x"
            monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
            other = HttpPool(1, Authorization())
            error = timed_once(other, f"https://localhost:{secure_port}/")
            other.close()
    assert isinstance(error, NoWay)
    assert f"{variable}={tmp_path}/nowhere cannot be used (no such file or directory)" in str(error)


def test_tls_through_a_proxy(pool: HttpPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    body = random.Random(5).randbytes(300_000)
    with RudeServer(*[saying(answer(body=body))] * 2) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with (
            tls_in_front_of(port, authority.server_context("video.test")) as secure_port,
            RudeServer(tunnelling(secure_port)) as proxy,
        ):
            monkeypatch.setenv("https_proxy", proxy.url)
            assert [get_all(pool, "https://video.test/v1", within(20)) for _ in range(2)] == [body, body]
            assert (len(proxy.requests), server.connections) == (1, 1)


class Dying:
    """A server whose connections can all fall silent at once; new ones answer, after `delay` seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.seen: set[socket.socket] = set()
        self.dead: set[socket.socket] = set()

    def __call__(self, meeting: Meeting) -> None:
        if meeting.plug in self.dead:
            meeting.stopped.wait()
            return
        self.seen.add(meeting.plug)
        meeting.stopped.wait(self.delay)
        meeting.send(answer(200, b"{}"))

    def die(self) -> None:
        self.dead |= self.seen


def test_connections_that_died_in_silence_cost_one_suspicion_together(pool: HttpPool) -> None:
    dying = Dying(0.2)
    with RudeServer(dying) as server, ThreadPoolExecutor(4) as threads:
        urls = [server.url] * 4
        assert list(threads.map(lambda url: get_all(pool, url, within(20)), urls)) == [b"{}"] * 4
        dying.die()
        lasted, error = timed(lambda: pool.get(server.url, {}, within(20)))
        assert "fell silent" in str(error) or "no answer in time" in str(error)
        assert 2.5 < lasted < 3 + SLACK
        began = time.monotonic()
        assert list(threads.map(lambda url: get_all(pool, url, within(20)), urls)) == [b"{}"] * 4
        assert time.monotonic() - began < 2.5


def test_a_host_that_is_slow_to_answer_is_not_taken_for_dead(pool: HttpPool) -> None:
    with RudeServer(Dying(3.5)) as server:
        assert [get_all(pool, server.url, within(20)) for _ in range(2)] == [b"{}"] * 2
        assert server.connections == 1


def test_what_changes_something_is_never_suspected(pool: HttpPool) -> None:
    dying = Dying()
    with RudeServer(dying) as server:
        assert get_all(pool, server.url, within(20)) == b"{}"
        dying.delay = 3.5
        with pool.request("POST", server.url, {}, within(20), form={"a": "b"}) as changed:
            assert changed.status == 200


def test_cookies_are_not_kept(pool: HttpPool) -> None:
    with RudeServer(saying(answer(200, b"", {"Set-Cookie": "a=b; Path=/"}))) as server:
        get_all(pool, server.url, within(5))
        get_all(pool, server.url, within(5))
        assert b"cookie" not in server.requests[1].lower()


def test_authorization_shows_no_secret() -> None:
    assert "word" not in repr(Authorization("SK1", "word"))


@given(st.from_regex(r"[A-Za-z0-9%=&_.-]{8,60}", fullmatch=True), st.integers(0, 11))
def test_no_library_s_words_get_into_a_message(secret: str, which: int) -> None:
    url = f"https://bucket.s3.amazonaws.com/RT1?{secret}"
    error = (
        requests.ConnectionError(url),
        requests.exceptions.InvalidURL(url),
        requests.exceptions.SSLError(url),
        requests.exceptions.ProxyError(url),
        urllib3.exceptions.LocationParseError(url),
        urllib3.exceptions.ProtocolError(url),
        OSError(url),
        OSError(url, url),
        ssl.SSLError(url),
        ssl.SSLError(1, url),
        ValueError(url),
        UnicodeError(url),
    )[which]
    with pytest.raises(Unreachable) as caught, named_errors(without_query(url), Deadline(HandClock(), 1)):
        raise error
    assert str(caught.value).startswith("https://bucket.s3.amazonaws.com/RT1: ")
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_url_is_shown_without_user_query_and_fragment() -> None:
    assert without_query("https://u:p@h.test:8443/a/b?q=1#f") == "https://h.test:8443/a/b"
