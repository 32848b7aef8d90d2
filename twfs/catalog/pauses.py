"""When background probing pauses: after trouble of network or account, longer each time. Pure but for the clock."""

from collections.abc import Iterable
from dataclasses import dataclass

from twfs.clock import Clock
from twfs.resources import Kind

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds that background probing pauses after trouble of network or account; doubled as long as it lasts."""


@dataclass(slots=True)
class _Pause:
    """On the monotonic clock; begun and over."""

    seconds: float = 0.0
    begin: float = 0.0
    end: float = 0.0


class Pauses:
    """One of all media (None), and one of each kind, for each has its own bucket. One thread at a time."""

    def __init__(self, clock: Clock) -> None:
        """None."""
        now = clock.monotonic()
        self._clock = clock
        self._pauses: dict[Kind | None, _Pause] = {kind: _Pause(0.0, now, now) for kind in (None, *Kind)}

    def begin(self, kind: Kind | None, began: float) -> None:
        """Pause longer than last time, once per wave of failures: those under way when the pause began are no news.

        `began` is when the request that failed did.
        """
        pause = self._pauses[kind]
        if began >= pause.begin:
            pause.seconds = min(max(FIRST_PAUSE, 2 * pause.seconds), LONGEST_PAUSE)
            pause.begin = self._clock.monotonic()
            pause.end = pause.begin + pause.seconds

    def end(self, kinds: Iterable[Kind | None] = (None, *Kind)) -> None:
        """Nothing speaks for them any more."""
        for kind in kinds:
            self._pauses[kind].seconds, self._pauses[kind].end = 0.0, self._clock.monotonic()

    def left(self, kind: Kind | None) -> float:
        """Seconds, 0 if there is none."""
        return max(0.0, self._pauses[kind].end - self._clock.monotonic())
