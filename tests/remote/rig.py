"""The simulated account and bucket, seen through everything of `remote`, with a clock that is set by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulator.support import HandClock
from twfs.clock import Deadline
from twfs.event_loop import LoopThread
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.http import Authorization, HttpPool
from twfs.remote.retry import RateLimit
from twfs.remote.s3 import Network
from twfs.remote.store import MediaStore
from twfs.remote.transport import Transport
from twfs.remote.twilio import TwilioApi
from twfs.resources import Kind, Medium
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import BucketObject
from twfs.simulator.server import Simulator

TIMEOUT = 30.0
HOSTS = ("amazonaws.com", "twilio.com", "localhost")


class Rig:
    """All of it; `api_url` is the simulator's unless said otherwise."""

    def __init__(self, simulator: Simulator, clock: HandClock, api_url: str | None = None, rate: float = 1000) -> None:
        account = simulator.account
        self.simulator = simulator
        self.account = account
        self.clock = clock
        self.api_http = HttpPool(4, Authorization(account.api_key, account.api_secret))
        self.network = Network(Transport(4), LoopThread(4))
        self.limit = RateLimit(rate, clock)
        self.api = TwilioApi(self.api_http, api_url or simulator.url, self.limit, clock, TIMEOUT)
        self.store = MediaStore(self.api, self.network, HOSTS, clock)

    def close(self) -> None:
        self.api_http.close()
        self.network.close()

    def deadline(self, seconds: float = TIMEOUT) -> Deadline:
        return Deadline(self.clock, seconds)

    def add(self, stored: BucketObject | None) -> Medium:
        """A recording with that object."""
        return Medium(self.account.add_recording(stored), Kind.RECORDING)

    def read(self, medium: Medium, stored_range: ByteRange) -> bytes:
        """A range, after one probe."""
        return self.read_of(medium, stored_range, self.store.inspect(medium, self.deadline()))

    def read_of(self, medium: Medium, stored_range: ByteRange, facts: ObjectFacts, seconds: float = TIMEOUT) -> bytes:
        """A range of the object that `facts` describe."""
        body, deadline = bytearray(), self.deadline(seconds)
        self.network.loop.call(lambda: self.store.fetch(medium, stored_range, facts, body.extend, deadline))
        return bytes(body)

    @property
    def costs(self) -> tuple[int, int]:
        """Requests so far to the API and to S3."""
        return self.simulator.count("api"), self.simulator.count("s3")


@contextmanager
def running_rig(rate: float = 1000) -> Iterator[Rig]:
    clock = HandClock()
    with Simulator(SimulatedAccount(clock=clock)) as simulator:
        rig = Rig(simulator, clock, rate=rate)
        try:
            yield rig
        finally:
            rig.close()
