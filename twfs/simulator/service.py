"""The simulated services behind two addresses: which answers a request, and what disturbs it; knows no HTTP library."""

from collections import deque
from dataclasses import replace

from twfs.clock import Clock
from twfs.simulator import s3, twilio_api
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.exchange import Answer, Request
from twfs.simulator.faults import Fault
from twfs.simulator.s3 import Bucket
from twfs.simulator.signing import Signer
from twfs.simulator.twilio_api import TwilioApi


class Service:
    """Twilio's API and the bucket of one account. Used by the event loop's thread only, but for `expire_urls`."""

    def __init__(self, account: SimulatedAccount, *, url_ttl: int | None, api_rate: int | None) -> None:
        """`api_rate`: requests per second before the API answers 429; None: no limit."""
        self._signer = Signer()
        self._bucket = Bucket(account, self._signer)
        self._api = TwilioApi(account, self._bucket, url_ttl)
        self._limit = RateLimit(account.clock, api_rate) if api_rate is not None else None

    def listen_at(self, api_url: str, bucket_url: str) -> None:
        """Tell the services where they are reached."""
        self._api.base_url = api_url
        self._bucket.base_url = bucket_url

    def expire_urls(self) -> None:
        """Every pre-signed URL handed out so far is expired."""
        self._signer.end_session()

    def kind(self, request: Request) -> str:
        """One of `faults.KINDS`."""
        if not request.to_bucket:
            return self._api.kind(request)
        return "s3.get" if request.method == "GET" else "s3.other"

    def answer(self, kind: str, request: Request, fault: Fault | None) -> Answer:
        """What is answered, disturbed by `fault`."""
        if fault is not None and fault.status is not None and fault.status >= 400:
            return _disturbed(_error(kind, fault.status), fault)
        answer = self._own_answer(kind, request)
        return answer if fault is None else _disturbed(answer, fault)

    def _own_answer(self, kind: str, request: Request) -> Answer:
        if kind.startswith("s3."):
            return self._bucket.answer(request)
        if self._limit is not None and not self._limit.admits():
            return _error(kind, 429)
        return self._api.answer(request)


class RateLimit:
    """At most so many requests within any second."""

    def __init__(self, clock: Clock, per_second: int) -> None:
        """`per_second` >= 1."""
        self._clock = clock
        self._admitted: deque[float] = deque(maxlen=per_second)

    def admits(self) -> bool:
        """Whether one more may pass now; if so it is counted."""
        now = self._clock.monotonic()
        if len(self._admitted) == self._admitted.maxlen and now - self._admitted[0] < 1:
            return False
        self._admitted.append(now)
        return True


def _error(kind: str, status: int) -> Answer:
    if kind.startswith("s3."):
        return s3.error(status, *_S3_ERRORS.get(status, ("InternalError", "We encountered an internal error.")))
    return twilio_api.error(status, *_API_ERRORS.get(status, (20000 + status, "Simulated failure")))


_S3_ERRORS = {
    400: ("ExpiredToken", "The provided token has expired."),
    403: ("AccessDenied", "Request has expired"),
    404: ("NoSuchKey", "The specified key does not exist."),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
    503: ("SlowDown", "Please reduce your request rate."),
}
_API_ERRORS = {
    401: (20003, "Authenticate"),
    403: (20403, "Forbidden"),
    404: (20404, "The requested resource was not found"),
    429: (20429, "Too Many Requests"),
    500: (20500, "Internal Server Error"),
    503: (20503, "Service Unavailable"),
}


def _disturbed(answer: Answer, fault: Fault) -> Answer:
    merged = {**answer.headers, **fault.headers}
    headers = {name: value for name, value in merged.items() if value is not None}
    answer = replace(answer, headers=headers, status=fault.status or answer.status)
    if fault.body is not None:
        answer = replace(answer, body=fault.body.encode() if isinstance(fault.body, str) else fault.body)
    return answer if fault.alter is None else fault.alter(answer)
