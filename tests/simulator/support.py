"""What the simulator's tests share: a clock that is set by hand, and a client that knows the account."""

from datetime import UTC, datetime
from typing import Any

import requests

from twfs.simulator.account import SimulatedAccount
from twfs.simulator.server import Simulator

START = datetime(2017, 11, 23, 16, 47, 17, tzinfo=UTC)


class HandClock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return START.timestamp() + self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)


class Client:
    """Asks the API with the account's key, and the bucket without."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.api = requests.Session()
        self.api.auth = (simulator.account.api_key, simulator.account.api_secret)
        self.bucket = requests.Session()

    @property
    def account(self) -> SimulatedAccount:
        return self.simulator.account

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.api.request(method, self.simulator.url + path, allow_redirects=False, timeout=10, **arguments)

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.request("GET", path, params=parameters)

    def media_url(self, sid: str, **parameters: Any) -> str:
        collection = "Recordings" if sid.startswith("RT") else "Compositions"
        return self.get(f"/v1/{collection}/{sid}/Media", **parameters).headers["Location"]

    def read(self, url: str, wanted: str | None = None, **headers: str) -> requests.Response:
        if wanted is not None:
            headers["Range"] = wanted
        return self.bucket.get(url, headers=headers, timeout=10)

    def close(self) -> None:
        self.api.close()
        self.bucket.close()


def error_code(response: requests.Response) -> str:
    """`<Code>` of S3's error body."""
    return response.text.partition("<Code>")[2].partition("</Code>")[0]
