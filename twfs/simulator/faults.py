"""What goes wrong on demand."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from twfs.simulator.exchange import Request

KINDS = (
    "api.list",
    "api.fetch",
    "api.media",
    "api.delete",
    "api.settings",
    "api.keys",
    "api.unknown",
    "s3.get",
    "s3.other",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A disturbance of the next requests that it fits.

    A `status` from 400 up is answered in place of the request's own answer, with `body` or an error of the
    service's own form; everything else alters the request's own answer.
    """

    on: str
    """One of `KINDS`, or `api` or `s3` for all of that service."""
    status: int | None = None
    body: bytes | str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Put into the answer; None takes a header away."""
    reset_after: int | None = None
    """Bytes of the body after which the connection is reset; with 0 not even the headers are sent."""
    close_after: int | None = None
    """The same, but the connection is closed in order (FIN), as by a proxy."""
    delay: float = 0.0
    """Seconds before the answer begins."""
    rate: float | None = None
    """Bytes of the body per second."""
    times: int | None = 1
    """How many requests it disturbs; None: all."""
    match: str | Callable[[Request], bool] | None = None
    """A part of `PATH?QUERY`, or what decides; None: any."""

    def __post_init__(self) -> None:
        """Refuse what could never strike."""
        if self.on not in (*KINDS, "api", "s3"):
            raise ValueError(f"{self.on!r} is no kind of request; it must be api, s3 or one of {', '.join(KINDS)}")

    def fits(self, kind: str, request: Request) -> bool:
        """Whether it is meant for this request."""
        if self.on not in (kind, kind.partition(".")[0]):
            return False
        if callable(self.match):
            return self.match(request)
        return self.match is None or self.match in f"{request.path}?{request.query_string}"

    @property
    def cut_after(self) -> int | None:
        """Bytes of the body after which nothing more comes, if the connection is cut."""
        return self.close_after if self.reset_after is None else self.reset_after


class FaultBox:
    """The faults that wait for their request; may be used from several threads."""

    def __init__(self) -> None:
        """None so far."""
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, int | None]] = []

    def inject(self, fault: Fault) -> None:
        """Have `fault` strike from now on."""
        with self._lock:
            self._waiting.append((fault, fault.times))

    def clear(self) -> None:
        """Let everything go well from now on."""
        with self._lock:
            self._waiting.clear()

    def strike(self, kind: str, request: Request) -> Fault | None:
        """The oldest fault that fits this request, one of its times used up."""
        with self._lock:
            for index, (fault, left) in enumerate(self._waiting):
                if fault.fits(kind, request):
                    self._use(index, fault, left)
                    return fault
        return None

    def _use(self, index: int, fault: Fault, left: int | None) -> None:
        """Must be called with the lock held."""
        if left is None:
            return
        if left <= 1:
            del self._waiting[index]
        else:
            self._waiting[index] = (fault, left - 1)
