import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.remote.line import Line, line
from tests.remote.rude import (
    NEVER_COMES_TO_ITS_END,
    Manner,
    Meeting,
    RudeServer,
    answer,
    falling_silent_after,
    saying,
    saying_and_closing,
    tunnelling,
)
from tests.remote.socks import socks_proxy
from tests.security.tls import Authority, tls_in_front_of
from twfs.clock import Deadline, SystemClock
from twfs.errors import DeadlineExceeded, ObjectChanged, Unreachable
from twfs.remote.http import NotSent, NoWay
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.server import Simulator

SECRET = "X-Amz-Signature=5ec2e7"
SLACK = 4.0
"""Seconds by which a busy machine may be late; other limits than the one that is meant are 5 s or longer."""

BODY = random.Random(3).randbytes(300_000)


@pytest.fixture
def wire() -> Iterator[Line]:
    with line() as built:
        yield built


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def timed(action: Callable[[], object]) -> tuple[float, Exception]:
    began = time.monotonic()
    with pytest.raises((DeadlineExceeded, Unreachable)) as caught:
        action()
    return time.monotonic() - began, caught.value


def test_an_answer_comes_whole_and_its_connection_is_used_again(wire: Line) -> None:
    chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    redirect = answer(302, b"{}", {"Location": "https://elsewhere.test/"})
    with RudeServer(saying(answer(206, BODY)), saying(chunked), saying(redirect), saying(answer(204))) as server:
        assert [wire.fetch(server.url) for _ in range(4)] == [BODY, b"abc", b"{}", b""]
        assert [head.status for head in wire.heads] == [206, 403, 302, 204]
        assert (len(server.requests), server.connections) == (4, 1)


def test_request_says_what_it_is_told_to_and_no_more(wire: Line) -> None:
    with RudeServer(saying(answer(200, b"", {"Set-Cookie": "a=b; Path=/"}))) as server:
        wire.fetch(f"{server.url}/a/../b?{SECRET}", headers={"Range": "bytes=0-1", "If-Match": '"e"'})
        wire.fetch(server.url)
    first, second = server.requests
    assert first.startswith(b"GET /a/../b?X-Amz-Signature=5ec2e7 HTTP/1.1\r\n")
    assert b"Range: bytes=0-1\r\n" in first
    assert b'If-Match: "e"\r\n' in first
    for word in (b"range", b"if-match", b"cookie", b"authorization", b"accept-encoding"):
        assert word not in second.lower()


def test_netrc_is_never_used(wire: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login thief password booty\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with RudeServer(saying(answer())) as server:
        wire.fetch(server.url)
        assert b"authorization" not in server.requests[0].lower()


def test_nothing_is_decoded(wire: Line) -> None:
    with RudeServer(saying(answer(200, b"no gzip", {"Content-Encoding": "gzip"}))) as server:
        assert wire.fetch(server.url) == b"no gzip"


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_answer_is_not_taken_for_the_answer(wire: Line, status: int) -> None:
    interim = f"HTTP/1.1 {status} Not yet\r\nLink: </style.css>\r\n\r\n".encode()
    with RudeServer(*[saying(interim * 2 + answer(200, body)) for body in (b"first", b"second")]) as server:
        assert [wire.fetch(server.url) for _ in range(2)] == [b"first", b"second"]
        assert server.connections == 1
    assert all("link" not in head.headers for head in wire.heads)


def test_who_judges_the_headers_decides_before_a_byte_of_the_body(wire: Line) -> None:
    wire.judged = ObjectChanged("another object")
    dropped = threading.Event()

    def serve(meeting: Meeting) -> None:
        meeting.send(answer(206, b"begun", {"Content-Length": "100000"}))
        if not meeting.plug.recv(1):
            dropped.set()

    with RudeServer(serve) as server:
        with pytest.raises(ObjectChanged):
            wire.fetch(server.url)
        assert dropped.wait(5)
    assert wire.bodies == []


@pytest.mark.parametrize("manner", NEVER_COMES_TO_ITS_END)
def test_nothing_takes_longer_than_its_deadline(wire: Line, manner: Manner) -> None:
    with RudeServer(manner) as server:
        lasted, error = timed(lambda: wire.fetch(f"{server.url}?{SECRET}", 0.4))
    assert isinstance(error, DeadlineExceeded)
    assert 0.3 < lasted < 0.4 + SLACK
    assert SECRET not in str(error)


def endless(start: bytes, again: bytes) -> Manner:
    def meet(meeting: Meeting) -> None:
        meeting.send(start)
        while not meeting.stopped.is_set():
            meeting.send(again)

    return meet


@pytest.mark.parametrize(
    ("start", "again", "words"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "without end"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "never end"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000, ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", b"X: y\r\n", "never end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;", b"x" * 1000, "silent"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 1000 + b"\r\n.\r\n", "few bytes"),
    ],
)
def test_what_never_ends_is_given_up(wire: Line, start: bytes, again: bytes, words: str) -> None:
    with RudeServer(endless(start, again)) as server:
        lasted, error = timed(lambda: wire.fetch(server.url, 30))
    assert words in str(error)
    assert lasted < 2.5 + SLACK


@pytest.mark.parametrize(
    "manner",
    [
        Meeting.hang_up,
        Meeting.reset,
        saying_and_closing(b"HTTP/1.1 abc\r\n\r\n"),
        saying_and_closing(b"SSH-2.0-OpenSSH_9.2\r\n"),
        saying_and_closing(b"\0" * 100_000),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000),
        saying_and_closing(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000),
        saying_and_closing(b"HTTP/1.1 99999999999999999999 OK\r\n\r\n"),
        saying_and_closing(b"HTTP/2 200 OK\r\n\r\n"),
        saying_and_closing(answer(200, b"ab", {"Content-Length": "3"})),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nab"),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
    ],
)
def test_nonsense_is_one_clear_error(wire: Line, manner: Manner) -> None:
    with RudeServer(manner) as server:
        _, error = timed(lambda: wire.fetch(f"{server.url}/path?{SECRET}"))
    assert isinstance(error, Unreachable)
    assert not isinstance(error, NotSent)
    assert str(error).startswith(f"{server.url}/path: ")
    assert SECRET not in str(error)
    assert "\n" not in str(error)


def complaint(wire: Line, target: str) -> str:
    """What is said of a request that cannot be sent, behind its URL, which stands there without its query."""
    _, error = timed(lambda: wire.fetch(f"{target}/path?{SECRET}", 30))
    assert isinstance(error, NotSent)
    where, said, why = str(error).partition(f"{target}/path: ")
    assert (where, said) == ("", f"{target}/path: ")
    return why


def test_no_server_is_an_error_that_says_why(wire: Line) -> None:
    with RudeServer(saying(answer())) as server:
        url = server.url
    assert complaint(wire, url) == "no connection: connection refused"
    assert complaint(wire, "http://name.invalid") == "no connection: the name was not found"


def test_a_host_that_lets_nobody_connect_was_sent_nothing(wire: Line) -> None:
    with RudeServer(falling_silent_after(b"")) as server:
        lasted, error = timed(lambda: wire.fetch(server.url.replace("http:", "https:"), 30))
    assert isinstance(error, NotSent)
    assert str(error).endswith("no connection in time")
    assert 7 < lasted < 8 + SLACK


def test_a_server_that_speaks_no_tls_is_told_from_a_certificate_that_is_not_accepted(
    wire: Line, tmp_path: Path
) -> None:
    with Simulator(SimulatedAccount()) as server:
        port = urlsplit(server.url).port
        assert port is not None
        assert complaint(wire, f"https://localhost:{port}") == "the TLS handshake failed"
        with tls_in_front_of(port, Authority(tmp_path, "unknown").server_context("localhost")) as secure_port:
            assert complaint(wire, f"https://localhost:{secure_port}") == "the TLS certificate was not accepted"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_whom_to_trust_is_said_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    authority = Authority(tmp_path, "trusted")
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, str(authority.bundle))
    with line() as wire, RudeServer(saying(answer(206, BODY))) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with tls_in_front_of(port, authority.server_context("localhost")) as secure_port:
            assert [wire.fetch(f"https://localhost:{secure_port}/") for _ in range(2)] == [BODY, BODY]
            assert server.connections == 1
            assert complaint(wire, f"https://127.0.0.1:{secure_port}") == "the TLS certificate was not accepted"


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_proxies_of_the_environment_are_used(wire: Line, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with RudeServer(saying(answer(body=b"by proxy"))) as proxy:
        monkeypatch.setenv(variable, proxy.url.removeprefix("http://"))
        assert wire.fetch("http://video.test/v1") == b"by proxy"
        assert proxy.requests[0].startswith(b"GET http://video.test/v1 ")


def test_hosts_that_need_no_proxy_are_asked_themselves(wire: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with RudeServer(saying(answer(body=b"itself"))) as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.0/8")
        assert wire.fetch(server.url) == b"itself"


def test_tls_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with line() as wire, RudeServer(saying(answer(body=BODY))) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with (
            tls_in_front_of(port, authority.server_context("video.test")) as secure_port,
            RudeServer(tunnelling(secure_port)) as proxy,
        ):
            monkeypatch.setenv("https_proxy", proxy.url)
            assert [wire.fetch("https://video.test/v1") for _ in range(2)] == [BODY, BODY]
            assert (len(proxy.requests), server.connections) == (1, 1)
    assert [head.status for head in wire.heads] == [200, 200]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_needs_nothing_more(wire: Line, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with RudeServer(saying(answer(body=BODY))) as server, socks_proxy() as place:
        monkeypatch.setenv("all_proxy", f"{scheme}://{place}")
        assert wire.fetch(server.url) == BODY
    with socks_proxy(reply=5) as place:
        monkeypatch.setenv("all_proxy", f"{scheme}://{place}")
        assert complaint(wire, "http://127.0.0.2").startswith("no way through the proxy")


def test_a_proxy_that_wants_a_password_is_asked_once(wire: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with RudeServer(saying(answer(407, b"who?"))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(NoWay, match="HTTP 407"):
            wire.fetch("https://video.test/")


def test_certificates_that_cannot_be_used_are_named(
    wire: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(NoWay, match="REQUESTS_CA_BUNDLE="):
        wire.fetch("https://127.0.0.1:1/")


def test_a_proxy_that_lets_nobody_through_is_named(wire: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with RudeServer(saying(answer(403, b"no"))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        assert complaint(wire, "https://video.test") == "no way through the proxy: HTTP 403"


def test_a_deadline_that_has_passed_begins_no_request(wire: Line) -> None:
    with RudeServer(saying(answer())) as server:
        with pytest.raises(DeadlineExceeded):
            wire.fetch(server.url, 0)
        assert server.connections == 0


class JumpingClock(SystemClock):
    """Whose time is up at the third look: the process was stopped between two of its steps."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return 0.0 if self.looks <= 2 else 1000.0


def test_a_deadline_that_passes_just_before_the_request_leaves_nothing_under_way(wire: Line) -> None:
    with RudeServer(saying(answer(206, BODY))) as server:
        with pytest.raises(DeadlineExceeded):
            wire.loop.call(lambda: wire.get(server.url, Deadline(JumpingClock(), 30)))
        wire.fetch(server.url)
        assert server.connections == 1
        assert wire.bodies == [BODY]


# Connections that die without a word


class Generations:
    """A server all of whose connections can fall silent at once; new ones answer."""

    def __init__(self, delay: float = 0.0) -> None:
        self.dead: set[socket.socket] = set()
        self.seen: set[socket.socket] = set()
        self.delay = delay

    def __call__(self, meeting: Meeting) -> None:
        if meeting.plug in self.dead:
            meeting.stopped.wait()
            return
        self.seen.add(meeting.plug)
        meeting.stopped.wait(self.delay)
        meeting.send(answer(206, BODY))

    def die(self) -> None:
        self.dead |= self.seen


def test_connections_that_died_in_silence_cost_one_detection_together(wire: Line) -> None:
    generations = Generations(0.05)
    with RudeServer(generations) as server:
        assert wire.fetch_all([server.url] * 8) == [BODY] * 8
        generations.die()
        began = time.monotonic()
        lost = wire.fetch_all([server.url] * 4, 30)
        assert [str(error).endswith("fell silent") for error in lost] == [True] * 4
        # Eight stood idle: those that were not even tried are not used either.
        assert wire.fetch_all([server.url] * 8, 30) == [BODY] * 8
        assert 1.5 < time.monotonic() - began < 2 + SLACK


def test_a_request_on_another_connection_as_old_does_not_wait_for_itself(wire: Line) -> None:
    generations = Generations(0.05)
    with RudeServer(generations) as server:
        wire.fetch_all([server.url] * 2)
        generations.die()
        later: list[float] = []

        def ask() -> None:
            later.append(timed(lambda: wire.fetch(server.url, 30))[0])

        first = threading.Thread(target=ask)
        first.start()
        time.sleep(1.2)
        ask()
        first.join()
        assert later[0] < 1.9 or later[1] < 1.9


def test_a_host_that_is_slow_to_answer_is_not_taken_for_dead(wire: Line) -> None:
    with RudeServer(Generations(2.4)) as server:
        assert [wire.fetch(server.url, 30) for _ in range(2)] == [BODY] * 2
        assert server.connections == 1


def test_a_body_that_stops_is_given_up_soon_and_later_at_each_attempt(wire: Line) -> None:
    with RudeServer(falling_silent_after(answer(206, b"ab", {"Content-Length": "1000"}))) as server:
        lasted, error = timed(lambda: wire.fetch(server.url, 30))
        again, _ = timed(lambda: wire.fetch(server.url, 30, attempt=1))
    assert "fell silent" in str(error)
    assert 2 < lasted < 2.5 + SLACK
    assert again > 4.5


# Processes


def test_a_forked_child_begins_anew_and_leaves_the_parent_s_connections(wire: Line) -> None:
    with RudeServer(saying(answer(206, BODY))) as server:
        assert wire.fetch(server.url) == BODY
        child = os.fork()
        if child == 0:
            os._exit(0 if wire.fetch(server.url) == BODY else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert wire.fetch(server.url) == BODY
        assert (len(server.requests), server.connections) == (3, 2)
