"""What is counted is what the simulated services were asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

import pytest

from tests.simulator.support import HandClock
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, TwfsError
from twfs.event_loop import LoopThread
from twfs.mount.traffic import MeteredApiPool, MeteredTransport, Traffic
from twfs.ranges import ByteRange
from twfs.remote.answer_head import Head
from twfs.remote.exchange import Sink
from twfs.remote.http import Authorization
from twfs.remote.retry import RateLimit
from twfs.remote.s3 import Network
from twfs.remote.store import MediaStore
from twfs.remote.twilio import TwilioApi
from twfs.resources import Kind, ListFilter, Medium
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.server import Simulator


@dataclass
class Scene:
    """An account, asked by way of metered pools."""

    clock: HandClock
    simulator: Simulator
    traffic: Traffic
    api: TwilioApi
    store: MediaStore
    network: Network

    def outcomes(self) -> dict[tuple[str, str], int]:
        return self.traffic.requests.outcomes.snapshot()

    def list_once(self) -> None:
        for _ in self.api.pages(Kind.RECORDING, ListFilter()):
            pass


@pytest.fixture
def scene() -> Iterator[Scene]:
    clock = HandClock()
    with Simulator(SimulatedAccount(clock=clock)) as simulator:
        account, traffic = simulator.account, Traffic(clock)
        api_pool = MeteredApiPool(4, Authorization(account.api_key, account.api_secret), traffic)
        network = Network(MeteredTransport(4, traffic), LoopThread(2))
        api = TwilioApi(api_pool, simulator.url, RateLimit(1000, clock), clock, 30)
        yield Scene(clock, simulator, traffic, api, MediaStore(api, network, ("localhost",), clock), network)
        api_pool.close()
        network.close()


def test_each_request_is_counted_by_kind_and_outcome(scene: Scene) -> None:
    sid = scene.simulator.account.add_recording(StoredObject(bytes(1000)))
    medium, deadline = Medium(sid, Kind.RECORDING), Deadline(scene.clock, 30)
    scene.list_once()
    scene.api.fetch(Kind.RECORDING, sid)
    facts = scene.store.inspect(medium, deadline)
    body = bytearray()
    scene.network.loop.call(lambda: scene.store.fetch(medium, ByteRange(0, 1000), facts, body.extend, deadline))
    assert scene.outcomes() == {
        ("list", "200"): 1,
        ("resource", "200"): 1,
        ("media_url", "302"): 1,
        ("probe", "206"): 1,
        ("range", "206"): 1,
    }
    counts = {kind: times.count for kind, times in scene.traffic.requests.durations().items()}
    assert sum(counts.values()) == scene.simulator.count("api") + scene.simulator.count("s3")


def test_failures_are_counted_by_status_or_name(scene: Scene) -> None:
    scene.simulator.inject(Fault("api", status=401))
    with pytest.raises(CredentialsRefused):
        scene.list_once()
    scene.simulator.inject(Fault("api", reset_after=0))
    scene.list_once()
    assert scene.outcomes() == {("list", "401"): 1, ("list", "Unreachable"): 1, ("list", "200"): 1}


def test_rate_is_that_of_the_last_ten_seconds(scene: Scene) -> None:
    assert scene.traffic.api_rate() == 0
    for _ in range(5):
        scene.list_once()
    assert scene.traffic.api_rate() == 0.5
    scene.clock.sleep(9)
    scene.list_once()
    assert scene.traffic.api_rate() == pytest.approx(0.6)
    scene.clock.sleep(2)
    assert scene.traffic.api_rate() == pytest.approx(0.1)


class Dated:
    """An answer with that `Date`."""

    status = 200

    def __init__(self, date: str) -> None:
        self.headers = {"Date": date}


@pytest.mark.parametrize("ahead", [-7200, -3, 0, 90])
def test_clock_is_compared_with_the_last_answers(ahead: int) -> None:
    clock = HandClock()
    traffic = Traffic(clock)
    assert traffic.clock_skew() is None
    traffic.answered("list", Dated(formatdate(clock.wall() - ahead, usegmt=True)))  # type: ignore[arg-type]
    clock.sleep(1000)
    assert traffic.clock_skew() == pytest.approx(ahead, abs=1)


def test_a_date_that_is_none_says_nothing() -> None:
    traffic = Traffic(HandClock())
    traffic.answered("list", Dated("yesterday"))  # type: ignore[arg-type]
    assert traffic.clock_skew() is None


def test_an_error_of_twfs_is_what_is_raised() -> None:
    clock = HandClock()
    traffic = Traffic(clock)
    network = Network(MeteredTransport(1, traffic), LoopThread(2))

    def judge(_head: Head) -> Sink:
        raise AssertionError("there is no answer")

    with pytest.raises(TwfsError):
        network.loop.call(
            lambda: network.transport.get("http://127.0.0.1:1/x", {"Range": "bytes=0-1"}, judge, Deadline(clock, 5))
        )
    assert traffic.requests.outcomes.snapshot() == {("range", "NotSent"): 1}
    network.close()
