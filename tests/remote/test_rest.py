import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.remote.account_rig import FORM, KEYS, AccountRig, running_account_rig
from tests.remote.rude import Manner, Meeting, RudeServer, answer, saying, tunnelling
from tests.security.tls import Authority, tls_in_front_of
from tests.simulator.support import HandClock
from twfs.clock import Clock, SystemClock
from twfs.errors import CredentialsRefused, NotFound, RemoteError, Unreachable
from twfs.remote.http import Authorization, HttpPool, NotSent
from twfs.remote.rest import OutcomeUnknown, RestApi
from twfs.remote.retry import RateLimit
from twfs.simulator.account import SimulatedAccount, new_sid
from twfs.simulator.faults import Fault
from twfs.simulator.server import Simulator


def sent(account_rig: AccountRig, method: str) -> int:
    return sum(request.method == method for request in account_rig.simulator.requests)


LOST = [
    Fault("api.keys", reset_after=0),
    Fault("api.keys", close_after=0),
    Fault("api.keys", reset_after=5),
    Fault("api.keys", body=b"<html>Sign in to the Wi-Fi</html>"),
]
"""The change is carried out, and its answer is lost or spoilt."""


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.reset_after}-{fault.close_after}")
def test_a_change_whose_answer_is_lost_is_not_made_twice(account_rig: AccountRig, fault: Fault) -> None:
    account_rig.simulator.inject(fault)
    with pytest.raises(OutcomeUnknown, match="may have been carried out, or not"):
        account_rig.create()
    assert sent(account_rig, "POST") == 1
    assert len(account_rig.account.public_keys()) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_change_is_not_made_again_after_a_server_s_trouble(account_rig: AccountRig, status: int) -> None:
    account_rig.simulator.inject(Fault("api.keys", status=status))
    with pytest.raises(OutcomeUnknown, match=f"HTTP {status}.*may have been carried out, or not"):
        account_rig.create()
    assert sent(account_rig, "POST") == 1
    assert account_rig.account.public_keys() == []


def test_a_change_is_not_made_again_after_silence() -> None:
    with running_account_rig(SystemClock(), timeout=1) as account_rig:
        account_rig.simulator.inject(Fault("api.keys", delay=20))
        with pytest.raises(OutcomeUnknown, match="may have been carried out, or not"):
            account_rig.create()
        assert sent(account_rig, "POST") == 1


def test_a_change_refused_for_the_quota_is_made_once_there_is_room(account_rig: AccountRig) -> None:
    account_rig.simulator.inject(Fault("api.keys", status=429, times=2))
    account_rig.create()
    assert sent(account_rig, "POST") == 3
    assert len(account_rig.account.public_keys()) == 1


@pytest.mark.parametrize(("status", "error"), [(400, RemoteError), (401, CredentialsRefused), (404, NotFound)])
def test_a_refused_change_is_told_and_not_tried_again(
    account_rig: AccountRig, status: int, error: type[Exception]
) -> None:
    account_rig.simulator.inject(Fault("api.keys", status=status))
    with pytest.raises(error, match=f"HTTP {status}") as caught:
        account_rig.create()
    assert not isinstance(caught.value, OutcomeUnknown)
    assert sent(account_rig, "POST") == 1


def test_a_404_of_a_gateway_leaves_a_change_uncertain(account_rig: AccountRig) -> None:
    account_rig.simulator.inject(Fault("api.keys", status=404, body="<html>default backend</html>"))
    with pytest.raises(OutcomeUnknown, match="is a proxy in between"):
        account_rig.create()
    assert sent(account_rig, "POST") == 1


class LateClock(HandClock):
    """Its second pause lets something happen."""

    def __init__(self, event: Callable[[], object]) -> None:
        super().__init__()
        self.pauses = 0
        self._event = event

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.pauses += 1
        if self.pauses == 2:
            self._event()


@contextmanager
def rest_api(url: str, clock: Clock, account: SimulatedAccount) -> Iterator[RestApi]:
    pool = HttpPool(1, Authorization(account.api_key, account.api_secret))
    try:
        yield RestApi(pool, url, RateLimit(1000, clock), clock, 30)
    finally:
        pool.close()


def test_a_change_that_finds_no_connection_is_tried_until_there_is_one() -> None:
    with Simulator(SimulatedAccount()) as first:
        url, port = first.url, int(first.url.rpartition(":")[2])
    late = Simulator(SimulatedAccount(), port=port)
    clock = LateClock(late.start)
    with rest_api(url, clock, late.account) as api:
        try:
            assert api.create_or_change(f"{url}{KEYS}", FORM)["friendly_name"] == "mine"
            assert (clock.pauses, late.count("api.keys")) == (2, 1)
        finally:
            late.stop()


def test_a_change_that_never_finds_a_connection_certainly_was_not_made() -> None:
    with Simulator(SimulatedAccount()) as gone:
        url = gone.url
    clock = HandClock()
    with rest_api(url, clock, gone.account) as api:
        with pytest.raises(NotSent, match="no connection"):
            api.create_or_change(f"{url}{KEYS}", FORM)
        with pytest.raises(NotSent):
            api.remove(f"{url}{KEYS}/{new_sid('CR')}")
    assert clock.seconds > 1


def test_a_change_that_no_proxy_lets_through_certainly_was_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with (
        RudeServer(saying(answer(407))) as proxy,
        rest_api("https://video.test", HandClock(), SimulatedAccount()) as api,
    ):
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(NotSent, match="the proxy asks for a user name and password"):
            api.create_or_change(f"https://video.test{KEYS}", FORM)
        assert all(request.startswith(b"CONNECT video.test:443") for request in proxy.requests)


def test_a_change_for_a_server_that_is_not_trusted_certainly_was_not_made(tmp_path: Path) -> None:
    with RudeServer(saying(answer(201, b"{}"))) as server:
        context = Authority(tmp_path, "stranger").server_context("localhost")
        with (
            tls_in_front_of(int(server.url.rpartition(":")[2]), context) as port,
            rest_api(f"https://localhost:{port}", HandClock(), SimulatedAccount()) as api,
            pytest.raises(NotSent, match="certificate was not accepted"),
        ):
            api.create_or_change(f"https://localhost:{port}{KEYS}", FORM)
        assert server.requests == []


def test_a_change_that_a_proxy_let_through_before_it_broke_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with RudeServer(Meeting.hang_up) as server:
        context = authority.server_context("video.test")
        with (
            tls_in_front_of(int(server.url.rpartition(":")[2]), context) as port,
            RudeServer(tunnelling(port)) as proxy,
            rest_api("https://video.test", HandClock(), SimulatedAccount()) as api,
        ):
            monkeypatch.setenv("https_proxy", proxy.url)
            with pytest.raises(OutcomeUnknown):
                api.remove(f"https://video.test{KEYS}/{new_sid('CR')}")
        assert [request.split()[0] for request in server.requests] == [b"DELETE"]


def test_a_deletion_is_made_once_and_what_is_not_there_is_told(account_rig: AccountRig) -> None:
    sid = str(account_rig.create()["sid"])
    account_rig.simulator.inject(Fault("api.keys", reset_after=0))
    with pytest.raises(OutcomeUnknown):
        account_rig.api.remove(f"{account_rig.url}/{sid}")
    assert sent(account_rig, "DELETE") == 1
    assert account_rig.account.public_keys() == []
    with pytest.raises(NotFound, match="code 20404"):
        account_rig.api.remove(f"{account_rig.url}/{sid}")
    account_rig.api.remove(f"{account_rig.url}/{account_rig.create()['sid']}")
    assert account_rig.account.public_keys() == []


def test_no_redirect_of_a_change_is_followed(account_rig: AccountRig) -> None:
    redirect = saying(answer(307, headers={"Location": account_rig.url, "Content-Length": "0"}))
    with RudeServer(redirect) as server, rest_api(server.url, account_rig.clock, account_rig.account) as api:
        with pytest.raises(RemoteError, match="HTTP 307"):
            api.remove(f"{server.url}{KEYS}/{new_sid('CR')}")
        assert len(server.requests) == 1
    assert account_rig.simulator.count("api") == 0


def test_all_pages_of_a_list_are_read_each_once(account_rig: AccountRig) -> None:
    created = [account_rig.create()["sid"] for _ in range(5)]
    account_rig.simulator.clear_requests()
    records = list(account_rig.api.records(f"{account_rig.url}?PageSize=2"))
    assert [record["sid"] for record in records] == created[::-1]  # type: ignore[index]
    assert account_rig.simulator.count("api.keys") == 3


def test_reading_is_tried_again(account_rig: AccountRig) -> None:
    sid = account_rig.create()["sid"]
    account_rig.simulator.inject(Fault("api.keys", status=503, times=2))
    assert account_rig.api.resource(f"{account_rig.url}/{sid}")["sid"] == sid
    assert sent(account_rig, "GET") == 3


def listing(following: object, *records: object) -> Manner:
    content = {"credentials": list(records), "meta": {"key": "credentials", "next_page_url": following}}
    return saying(answer(200, json.dumps(content).encode()))


def test_a_next_page_elsewhere_is_refused_before_credentials_are_sent(account_rig: AccountRig) -> None:
    elsewhere = listing(account_rig.url)
    with RudeServer(elsewhere) as server, rest_api(server.url, account_rig.clock, account_rig.account) as api:
        with pytest.raises(RemoteError, match="another host"):
            list(api.records(f"{server.url}{KEYS}"))
        assert len(server.requests) == 1
    assert account_rig.simulator.count("api") == 0


@pytest.mark.parametrize(("records", "complaint"), [((), "never ends"), (({"sid": "CR1"},), "come again and again")])
def test_a_list_whose_page_urls_grow_ends(account_rig: AccountRig, records: tuple[object, ...], complaint: str) -> None:
    growing = listing("more-and-more/" * 30, *records)
    with RudeServer(growing) as server, rest_api(server.url, account_rig.clock, account_rig.account) as api:
        with pytest.raises(Unreachable, match=complaint):
            list(api.records(f"{server.url}{KEYS}"))
        assert len(server.requests) < 25


def test_a_list_without_end_ends(account_rig: AccountRig) -> None:
    ring = listing(f"{KEYS}?Page=1")
    with RudeServer(ring) as server, rest_api(server.url, account_rig.clock, account_rig.account) as api:
        with pytest.raises(Unreachable, match="never ends"):
            list(api.records(f"{server.url}{KEYS}"))
        assert len(server.requests) == 2


@pytest.mark.parametrize("content", [b"[]", b"1", b"null", b'"text"', b""])
def test_a_change_that_is_answered_with_no_resource_may_have_been_made(account_rig: AccountRig, content: bytes) -> None:
    account_rig.simulator.inject(Fault("api.keys", body=content))
    with pytest.raises(OutcomeUnknown, match="no resource; it may have been carried out, or not"):
        account_rig.create()
    assert sent(account_rig, "POST") == 1
    assert len(account_rig.account.public_keys()) == 1


@pytest.mark.parametrize("content", [b"[]", b"1", b"null", b'"text"'])
def test_what_is_no_resource_is_an_error(account_rig: AccountRig, content: bytes) -> None:
    account_rig.simulator.inject(Fault("api.keys", body=content))
    with pytest.raises(RemoteError, match="no resource") as caught:
        account_rig.api.resource(account_rig.url)
    assert not isinstance(caught.value, OutcomeUnknown)


@contextmanager
def rotated(simulator: Simulator, *, is_found: bool = True) -> Iterator[tuple[RestApi, list[str]]]:
    """An API whose key has been replaced by another; and the looks that it has taken for new credentials."""
    account, looks = simulator.account, []
    pool = HttpPool(1, Authorization(account.api_key, account.api_secret, "the old file"))
    account.api_key, account.api_secret = new_sid("SK"), "another"

    def look() -> None:
        looks.append("look")
        if is_found:
            pool.authorization.replace(account.api_key, account.api_secret, "the new file")

    clock = HandClock()
    try:
        yield RestApi(pool, simulator.url, RateLimit(1000, clock), clock, 30, look_for_credentials=look), looks
    finally:
        pool.close()


def test_new_credentials_are_used_at_once_and_from_then_on() -> None:
    with Simulator(SimulatedAccount()) as simulator, rotated(simulator) as (api, looks):
        made = api.create_or_change(f"{simulator.url}{KEYS}", FORM)
        assert [record["sid"] for record in api.records(f"{simulator.url}{KEYS}")] == [made["sid"]]  # type: ignore[index]
        assert looks == ["look"]


def test_without_new_credentials_the_refusal_says_where_they_come_from() -> None:
    with Simulator(SimulatedAccount()) as simulator, rotated(simulator, is_found=False) as (api, looks):
        for ask in (
            lambda: list(api.records(f"{simulator.url}{KEYS}")),
            lambda: api.remove(f"{simulator.url}{KEYS}/x"),
        ):
            with pytest.raises(CredentialsRefused, match=r"which come from the old file$"):
                ask()
        assert looks == ["look", "look"]


def test_new_credentials_that_are_refused_as_well_are_named() -> None:
    account = SimulatedAccount()
    with Simulator(account) as simulator, rotated(simulator) as (api, looks):
        simulator.inject(Fault("api", status=403, times=None))
        with pytest.raises(CredentialsRefused, match=r"HTTP 403.*which come from the new file$"):
            api.create_or_change(f"{simulator.url}{KEYS}", FORM)
        assert (looks, simulator.count("api")) == (["look"], 2)
