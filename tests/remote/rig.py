"""The simulated account and bucket, seen through everything of `remote`, with a clock that is set by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulator.support import HandClock
from twfs.clock import Deadline
from twfs.ranges import ByteRange
from twfs.remote.http import Authorization, HttpPool
from twfs.remote.retry import RateLimit
from twfs.remote.store import MediaStore
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
        self.media_http = HttpPool(4, Authorization())
        self.limit = RateLimit(rate, clock)
        self.api = TwilioApi(self.api_http, api_url or simulator.url, self.limit, clock, TIMEOUT)
        self.store = MediaStore(self.api, self.media_http, HOSTS, clock)

    def close(self) -> None:
        self.api_http.close()
        self.media_http.close()

    def deadline(self, seconds: float = TIMEOUT) -> Deadline:
        return Deadline(self.clock, seconds)

    def add(self, stored: BucketObject | None) -> Medium:
        """A recording with that object."""
        return Medium(self.account.add_recording(stored), Kind.RECORDING)

    def read(self, medium: Medium, stored_range: ByteRange) -> bytes:
        """A range, by one stream, after one probe."""
        facts = self.store.inspect(medium, self.deadline())
        buffer = bytearray(stored_range.size)
        stream = self.store.open(medium, stored_range, facts)
        try:
            stream.readinto(memoryview(buffer), self.deadline())
        finally:
            stream.close()
        return bytes(buffer)

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
