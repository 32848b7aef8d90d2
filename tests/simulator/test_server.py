import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from urllib3.exceptions import ReadTimeoutError

from tests.simulator.support import Client, HandClock, error_code
from twfs.simulator.account import SimulatedAccount, StoredObject
from twfs.simulator.exchange import Answer
from twfs.simulator.faults import Fault
from twfs.simulator.server import Simulator

SIZE = 1_000_000
LISTS = "/v1/Recordings"


@pytest.fixture
def url(client: Client) -> str:
    return client.media_url(client.account.add_recording(StoredObject(bytes(SIZE))))


def test_it_leaves_no_thread_and_no_listener() -> None:
    before = threading.active_count()
    with Simulator(SimulatedAccount()) as simulator:
        assert threading.active_count() == before + 1
        places = [urlsplit(url) for url in (simulator.url, simulator.bucket_url)]
        with requests.Session() as session:
            assert session.get(simulator.url, timeout=10).status_code == 401
    assert threading.active_count() == before
    for place in places:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((place.hostname, place.port), timeout=5)


def test_the_bucket_has_an_origin_of_its_own(client: Client, url: str) -> None:
    simulator = client.simulator
    assert url.startswith(f"{simulator.bucket_url}/")
    assert urlsplit(simulator.bucket_url).hostname != urlsplit(simulator.url).hostname
    # Neither service answers for the other.
    assert client.read(url.replace(simulator.bucket_url, simulator.url)).status_code == 401
    assert error_code(client.read(f"{simulator.bucket_url}{LISTS}")) == "AccessDenied"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_that_follows_the_redirect_leaves_the_credentials_behind(client: Client, tmp_path: Path) -> None:
    account = client.account
    sid = account.add_recording(StoredObject(bytes(SIZE)))
    login, goal = f"{account.api_key}:{account.api_secret}", tmp_path / "medium"
    words = ["-sS", "--fail", "-L", "-u", login, "-o", str(goal), f"{client.simulator.url}/v1/Recordings/{sid}/Media"]
    subprocess.run(["curl", *words], check=True, timeout=60)
    assert goal.read_bytes() == bytes(SIZE)


def test_requests_that_follows_the_redirect_leaves_the_credentials_behind(client: Client) -> None:
    sid = client.account.add_recording(StoredObject(b"medium"))
    answer = client.api.get(f"{client.simulator.url}/v1/Recordings/{sid}/Media", timeout=10)
    assert (answer.status_code, answer.content) == (200, b"medium")


def test_urls_signed_before_a_restart_stay_good() -> None:
    simulator = Simulator(SimulatedAccount())
    sid = simulator.account.add_recording(StoredObject(b"medium"))
    with simulator, closing(Client(simulator)) as client:
        url = client.media_url(sid)
    with simulator:
        assert requests.get(url, timeout=10).content == b"medium"


def test_it_stops_in_the_middle_of_an_answer() -> None:
    with Simulator(SimulatedAccount()) as simulator, requests.Session() as session:
        account = simulator.account
        session.auth = (account.api_key, account.api_secret)
        sid = account.add_recording(StoredObject(bytes(SIZE)))
        answer = session.get(f"{simulator.url}/v1/Recordings/{sid}/Media", allow_redirects=False, timeout=10)
        simulator.inject(Fault("s3.get", rate=1000, times=None))
        with requests.get(answer.headers["Location"], stream=True, timeout=10) as body:
            assert len(body.raw.read(10)) == 10
            simulator.stop()
            assert all(thread.name != "simulator" for thread in threading.enumerate())


def test_who_hangs_up_before_the_answer_is_no_trouble(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.simulator.inject(Fault("api.unknown", delay=0.2, times=None))
    address = ("127.0.0.1", int(client.simulator.url.rpartition(":")[2]))
    for _ in range(4):
        with socket.create_connection(address, timeout=10) as caller:
            caller.sendall(b"GET /v1/Nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.get("/v1/Nothing").status_code == 404
    assert client.simulator.count("api.unknown") == 5
    assert caplog.messages == []


def test_it_can_be_started_again_and_stopped_twice() -> None:
    simulator = Simulator(SimulatedAccount())
    for _ in range(2):
        simulator.start()
        assert requests.get(simulator.url, timeout=10).status_code == 401
        simulator.stop()
        simulator.stop()


def test_a_taken_port_is_an_error_and_no_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        before = threading.active_count()
        with pytest.raises(OSError, match="in use"):
            Simulator(SimulatedAccount(), port=taken.getsockname()[1]).start()
        assert threading.active_count() == before


def test_a_number_that_is_no_port_is_an_error_and_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(OverflowError):
        Simulator(SimulatedAccount(), port=70_000).start()
    assert threading.active_count() == before


def test_it_counts_requests_and_bytes(client: Client, url: str) -> None:
    client.simulator.clear_requests()
    client.get(LISTS)
    client.read(url, "bytes=0-99")
    client.read(url, "bytes=-32")
    simulator = client.simulator
    assert (simulator.count("api.list"), simulator.count("s3.get"), simulator.count("api"), simulator.count("s3")) == (
        1,
        2,
        1,
        2,
    )
    assert simulator.bytes_sent("s3.get") == 132
    first, second, third = simulator.requests
    assert (first.kind, first.method, first.path, first.status) == ("api.list", "GET", LISTS, 200)
    assert first.headers["authorization"].startswith("Basic ")
    assert (second.status, second.range, second.bytes_sent) == (206, "bytes=0-99", 100)
    assert "authorization" not in third.headers
    assert "X-Amz-Signature" in third.query_string
    assert "X-Amz-Signature" not in repr(third)


def test_an_injected_status_has_the_services_own_error_body(client: Client, url: str) -> None:
    client.simulator.inject(Fault("api.list", status=503))
    client.simulator.inject(Fault("s3.get", status=503))
    refused = client.get(LISTS)
    assert (refused.status_code, refused.json()["code"]) == (503, 20503)
    assert refused.headers["Twilio-Request-Id"].startswith("RQ")
    slow = client.read(url)
    assert (slow.status_code, error_code(slow)) == (503, "SlowDown")
    assert client.get(LISTS).status_code == client.read(url).status_code == 200


def test_an_injected_error_keeps_the_request_from_happening(client: Client) -> None:
    sid = client.account.add_recording(StoredObject(b"x"))
    client.simulator.inject(Fault("api.delete", status=500))
    assert client.request("DELETE", f"{LISTS}/{sid}").status_code == 500
    assert client.account.medium(sid).status == "completed"


def test_body_and_headers_can_be_changed(client: Client, url: str) -> None:
    client.simulator.inject(Fault("api.list", status=502, body="<html>proxy</html>", headers={"Retry-After": "7"}))
    answer = client.get(LISTS)
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (502, "<html>proxy</html>", "7")
    client.simulator.inject(Fault("s3.get", body=b"short", headers={"ETag": None, "Content-Range": "bytes 0-0/9"}))
    answer = client.read(url, "bytes=0-99")
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (206, b"short", "bytes 0-0/9")
    assert "ETag" not in answer.headers


def test_a_redirect_can_be_told_in_the_body_only(client: Client) -> None:
    sid = client.account.add_recording(StoredObject(b"x"))
    client.simulator.inject(Fault("api.media", status=307, headers={"Location": None}))
    answer = client.get(f"{LISTS}/{sid}/Media")
    assert answer.status_code == 307
    assert "Location" not in answer.headers
    assert client.read(answer.json()["redirect_to"]).content == b"x"


@pytest.mark.parametrize("after", [0, 1, 300_000])
@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_can_be_cut(client: Client, url: str, reset: bool, after: int) -> None:
    fault = Fault("s3.get", reset_after=after) if reset else Fault("s3.get", close_after=after)
    client.simulator.inject(fault)
    with pytest.raises(requests.RequestException) as cut:
        client.read(url)
    assert ("reset by peer" in str(cut.value)) is reset
    assert client.simulator.requests[-1].bytes_sent == after
    assert len(client.read(url).content) == SIZE


def test_a_cut_beyond_the_body_cuts_nothing(client: Client, url: str) -> None:
    client.simulator.inject(Fault("s3.get", reset_after=SIZE))
    assert len(client.read(url).content) == SIZE


@pytest.mark.parametrize("after", [0, 1000])
def test_an_answer_can_stall(client: Client, url: str, after: int) -> None:
    client.simulator.inject(Fault("s3.get", stall_after=after))
    with requests.get(url, stream=True, timeout=2) as answer:
        assert answer.headers["Content-Length"] == str(SIZE)
        assert len(answer.raw.read(after)) == after
        with pytest.raises(ReadTimeoutError):
            answer.raw.read(1)


def test_an_answer_can_have_no_end_and_no_length(client: Client) -> None:
    client.simulator.inject(Fault("api.list", body="over and ", endless=True))
    with client.request("GET", LISTS, stream=True) as answer:
        assert "Content-Length" not in answer.headers
        assert answer.raw.read(9 * 100_000) == b"over and " * 100_000
    assert client.get(LISTS).status_code == 200


def test_an_answer_can_be_altered_at_will(client: Client, url: str) -> None:
    def halve(answer: Answer) -> Answer:
        return replace(answer, body=answer.body.read(0, len(answer.body) // 2))  # type: ignore[union-attr]

    client.simulator.inject(fault := Fault("s3.get", alter=halve))
    answer = client.read(url, "bytes=0-99")
    assert (answer.headers["Content-Length"], answer.headers["Content-Range"]) == ("50", f"bytes 0-99/{SIZE}")
    assert client.simulator.strikes(fault) == 1


def test_a_fault_taken_away_strikes_no_more(client: Client, url: str) -> None:
    client.simulator.inject(fault := Fault("s3.get", status=503, times=None))
    assert client.read(url).status_code == 503
    client.simulator.remove_fault(fault)
    assert client.read(url).status_code == 200


def test_answers_can_be_late_and_slow(client: Client, url: str) -> None:
    client.simulator.inject(Fault("s3.get", delay=0.2, rate=100_000))
    start = time.monotonic()
    assert len(client.read(url, "bytes=0-19999").content) == 20_000
    assert 0.38 <= time.monotonic() - start < 5


def test_latency_is_every_answers() -> None:
    with Simulator(SimulatedAccount(), latency=0.1) as simulator:
        start = time.monotonic()
        assert requests.get(simulator.url, timeout=10).status_code == 401
        assert time.monotonic() - start >= 0.1


def test_a_slow_answer_keeps_nobody_waiting(client: Client, url: str) -> None:
    client.simulator.inject(Fault("s3.get", delay=60))
    with pytest.raises(requests.ReadTimeout):
        client.bucket.get(url, timeout=0.2)
    with ThreadPoolExecutor(8) as pool:
        ranges = [f"bytes={start}-{start + 99_999}" for start in range(0, SIZE, 100_000)]
        answers = list(pool.map(lambda wanted: requests.get(url, headers={"Range": wanted}, timeout=10), ranges))
    assert [len(answer.content) for answer in answers] == [100_000] * 10


def test_a_limited_rate_is_429() -> None:
    clock = HandClock()
    account = SimulatedAccount(clock=clock)
    with Simulator(account, api_rate=2) as simulator, requests.Session() as session:
        session.auth = (account.api_key, account.api_secret)
        answers = [session.get(simulator.url + LISTS, timeout=10) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["code"] == 20429
        clock.seconds = 1
        assert session.get(simulator.url + LISTS, timeout=10).status_code == 200


def test_a_time_to_live_of_its_own_overrides_what_was_asked_for() -> None:
    clock = HandClock()
    account = SimulatedAccount(clock=clock)
    sid = account.add_recording(StoredObject(b"x"))
    with Simulator(account, url_ttl=5) as simulator, requests.Session() as session:
        session.auth = (account.api_key, account.api_secret)
        answer = session.get(f"{simulator.url}{LISTS}/{sid}/Media?Ttl=3600", allow_redirects=False, timeout=10)
        url = answer.headers["Location"]
        assert requests.get(url, timeout=10).status_code == 200
        clock.seconds = 5
        assert requests.get(url, timeout=10).status_code == 403


def test_a_body_too_large_is_refused(client: Client) -> None:
    answer = client.request("POST", "/v1/Credentials/PublicKeys", data={"PublicKey": "x" * 2**21})
    assert answer.status_code == 413
    assert client.get(LISTS).status_code == 200
