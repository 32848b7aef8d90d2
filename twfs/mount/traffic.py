"""What goes over the network: every HTTP request by kind and outcome, and what the answers' clocks say."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from twfs.clock import Clock, Deadline
from twfs.errors import TwfsError
from twfs.metrics import CallMeter
from twfs.remote.answer_head import Head
from twfs.remote.exchange import Judge, Sink
from twfs.remote.http import Answer, Authorization, HttpPool
from twfs.remote.transport import Transport

LIST, MEDIA_URL, RESOURCE = "list", "media_url", "resource"
"""Requests of Twilio's API: a page of a list, a pre-signed URL, one resource or a change of it."""

PROBE, RANGE = "probe", "range"
"""Requests of S3: the last bytes with all headers, and bytes for readers."""

_RATE_SECONDS = 10.0
"""The API's quota counts requests per second; a mean over ten seconds can be read off a screen."""

_LISTS = ("/Recordings", "/Compositions")


class Traffic:
    """Requests of one account so far. Safe for use by several threads."""

    def __init__(self, clock: Clock) -> None:
        """Nothing was sent yet."""
        self._clock = clock
        self.requests = CallMeter(clock.monotonic)
        """By kind: seconds until the headers came, and outcomes: the HTTP status, or the error's name."""
        self._lock = threading.Lock()
        self._api_moments: deque[float] = deque()
        self._dated: tuple[str, float] | None = None

    def sent_to_api(self) -> None:
        """A request counts against the account's quota now."""
        with self._lock:
            self._api_moments.append(self._clock.monotonic())
            self._forget_old_moments()

    def api_rate(self) -> float:
        """Requests of the API per second, over the last ten seconds."""
        with self._lock:
            self._forget_old_moments()
            return len(self._api_moments) / _RATE_SECONDS

    def answered(self, kind: str, answer: Answer | Head) -> None:
        """Headers came."""
        self.requests.outcomes.add((kind, str(answer.status)))
        date = answer.headers.get("Date")
        if date:
            self._dated = (date, self._clock.wall())

    def failed(self, kind: str, error: TwfsError) -> None:
        """None came."""
        self.requests.outcomes.add((kind, type(error).__name__))

    def clock_skew(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the last answer's `Date`; None if that is not known.

        That header has whole seconds, and was written before it was read: less than 2 s mean nothing.
        """
        if self._dated is None:
            return None
        date, received_at = self._dated
        try:
            return received_at - parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return None

    def _forget_old_moments(self) -> None:
        oldest = self._clock.monotonic() - _RATE_SECONDS
        while self._api_moments and self._api_moments[0] < oldest:
            self._api_moments.popleft()


class _MeteredPool(HttpPool, ABC):
    """A pool whose requests are counted."""

    def __init__(self, connections: int, authorization: Authorization, traffic: Traffic) -> None:
        super().__init__(connections, authorization)
        self._traffic = traffic

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `HttpPool.request`."""
        kind = self._kind(url, headers)
        meter = self._traffic.requests
        began = meter.now()
        try:
            answer = super().request(method, url, headers, deadline, params=params, form=form)
        except TwfsError as error:
            self._traffic.failed(kind, error)
            raise
        finally:
            meter.ended(kind, began)
        self._traffic.answered(kind, answer)
        return answer

    @abstractmethod
    def _kind(self, url: str, headers: Mapping[str, str]) -> str:
        """What a request is counted as; called once, just before it is sent."""


class MeteredApiPool(_MeteredPool):
    """For Twilio's API."""

    def _kind(self, url: str, _headers: Mapping[str, str]) -> str:
        self._traffic.sent_to_api()
        return _api_kind(url)


class MeteredTransport(Transport):
    """For where the media are stored."""

    def __init__(self, connections: int, traffic: Traffic) -> None:
        """As `Transport`."""
        super().__init__(connections)
        self._traffic = traffic

    async def get(
        self, url: str, headers: Mapping[str, str], judge: Judge, deadline: Deadline, *, attempt: int = 0
    ) -> Head:
        """As `Transport.get`."""
        kind, meter = _media_kind(headers), self._traffic.requests
        began, is_answered = meter.now(), False

        def judged(head: Head) -> Sink:
            nonlocal is_answered
            is_answered = True
            meter.ended(kind, began)
            self._traffic.answered(kind, head)
            return judge(head)

        try:
            return await super().get(url, headers, judged, deadline, attempt=attempt)
        except TwfsError as error:
            if not is_answered:
                meter.ended(kind, began)
                self._traffic.failed(kind, error)
            raise


def _api_kind(url: str) -> str:
    path = url.partition("?")[0].rstrip("/")
    if path.endswith("/Media"):
        return MEDIA_URL
    return LIST if path.endswith(_LISTS) else RESOURCE


def _media_kind(headers: Mapping[str, str]) -> str:
    return PROBE if headers.get("Range", "bytes=-").startswith("bytes=-") else RANGE
