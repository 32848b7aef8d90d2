"""What goes wrong on demand."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from twfs.simulator.exchange import Answer, Request

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
    alter: Callable[[Answer], Answer] | None = None
    """What else becomes of the answer, after `body` and `headers`."""
    reset_after: int | None = None
    """Bytes of the body after which the connection is reset; with 0 not even the headers are sent."""
    close_after: int | None = None
    """The same, but the connection is closed in order (FIN), as by a proxy."""
    stall_after: int | None = None
    """Bytes of the body after which nothing more comes, while the connection stays open."""
    endless: bool = False
    """The body is sent again and again, its length not told, until the client hangs up."""
    delay: float = 0.0
    """Seconds before the answer begins."""
    rate: float | None = None
    """Bytes of the body per second."""
    times: int | None = 1
    """How many requests it disturbs; None: all."""
    chance: float = 1.0
    """How probable it is that it strikes a request that it fits; a spared one does not count as one of `times`."""
    match: str | Callable[[Request], bool] | None = None
    """A part of `PATH?QUERY`, or what decides; None: any."""

    def __post_init__(self) -> None:
        """Refuse what could never strike."""
        if self.on not in (*KINDS, "api", "s3"):
            raise ValueError(f"{self.on!r} is no kind of request; it must be api, s3 or one of {', '.join(KINDS)}")
        if not 0 < self.chance <= 1:
            raise ValueError(f"a chance of {self.chance} is none; it must be more than 0 and at most 1")

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

    @property
    def last_byte(self) -> int | None:
        """End of what is sent of the body, if it is cut or stalls."""
        return self.stall_after if self.cut_after is None else self.cut_after


@dataclass(slots=True)
class _Waiting:
    """A fault, how many times it has left (None: no end), and how often it struck."""

    fault: Fault
    left: int | None
    struck: int = 0


class FaultBox:
    """The faults that wait for their request; may be used from several threads."""

    def __init__(self, seed: int = 0) -> None:
        """None so far. `seed` decides what `Fault.chance` spares."""
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._waiting: list[_Waiting] = []
        self._over: list[_Waiting] = []

    def inject(self, fault: Fault) -> None:
        """Have `fault` strike from now on."""
        with self._lock:
            self._waiting.append(_Waiting(fault, fault.times))

    def clear(self) -> None:
        """Let everything go well from now on."""
        with self._lock:
            self._over += self._waiting
            self._waiting.clear()

    def remove(self, fault: Fault) -> None:
        """Let this one strike no more, if it still would."""
        with self._lock:
            for entry in [entry for entry in self._waiting if entry.fault is fault]:
                self._waiting.remove(entry)
                self._over.append(entry)

    def strikes(self, fault: Fault | None = None) -> int:
        """How many requests this very fault, or all together, have disturbed so far."""
        with self._lock:
            entries = [*self._waiting, *self._over]
            return sum(entry.struck for entry in entries if fault is None or entry.fault is fault)

    def strike(self, kind: str, request: Request) -> Fault | None:
        """The oldest fault that fits this request and does not spare it, one of its times used up."""
        with self._lock:
            for entry in self._waiting:
                if entry.fault.fits(kind, request) and self._random.random() < entry.fault.chance:
                    self._use(entry)
                    return entry.fault
        return None

    def _use(self, entry: _Waiting) -> None:
        """Must be called with the lock held."""
        entry.struck += 1
        if entry.left is None:
            return
        entry.left -= 1
        if entry.left <= 0:
            self._waiting.remove(entry)
            self._over.append(entry)
