"""The simulated account, seen through what reads and changes its keys and settings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulator.support import HandClock
from twfs.clock import Clock
from twfs.remote.accounts import PublicKeys
from twfs.remote.http import Authorization, HttpPool
from twfs.remote.rest import RestApi
from twfs.remote.retry import RateLimit
from twfs.remote.settings import EncryptionSettings
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.sealing import throwaway_public_key
from twfs.simulator.server import Simulator

KEYS = "/v1/Credentials/PublicKeys"
PEM = throwaway_public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
FORM = {"FriendlyName": "mine", "PublicKey": PEM}


class AccountRig:
    """All of it, through `pool`."""

    def __init__(self, simulator: Simulator, clock: Clock, pool: HttpPool, timeout: float) -> None:
        self.simulator = simulator
        self.account = simulator.account
        self.clock = clock
        self.url = f"{simulator.url}{KEYS}"
        self.api = RestApi(pool, simulator.url, RateLimit(1000, clock), clock, timeout)
        self.keys = PublicKeys(self.api, simulator.url)
        self.settings = EncryptionSettings(self.api, simulator.url, self.account.account_sid)

    def create(self) -> Mapping[str, object]:
        """A new public key's record."""
        return self.api.create_or_change(self.url, FORM)


@contextmanager
def running_account_rig(
    clock: Clock | None = None, pool: type[HttpPool] = HttpPool, timeout: float = 30
) -> Iterator[AccountRig]:
    with Simulator(SimulatedAccount()) as simulator:
        account = simulator.account
        http = pool(1, Authorization(account.api_key, account.api_secret))
        try:
            yield AccountRig(simulator, clock or HandClock(), http, timeout)
        finally:
            http.close()
