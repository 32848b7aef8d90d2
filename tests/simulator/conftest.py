"""An empty account, served; and a client of it."""

from collections.abc import Iterator

import pytest

from tests.simulator.support import Client, HandClock
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.server import Simulator


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def account(clock: HandClock) -> SimulatedAccount:
    return SimulatedAccount(clock=clock)


@pytest.fixture
def simulator(account: SimulatedAccount) -> Iterator[Simulator]:
    with Simulator(account) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    client = Client(simulator)
    yield client
    client.close()
