"""How long a connection may be silent before it is given up: pure decisions on moments.

A connection may die without a word: the machine slept, a NAT forgot it, a VPN went. Whatever is sent on it then is
never answered. So one that had stood idle is given up soon; a new one, which was alive a moment ago, has time.
"""

from dataclasses import dataclass

SUSPICION = 2.0
"""Seconds without a word after which a connection that stood idle is held to be dead. S3 takes 0.03 to 0.2 s to its
first byte, and a lost packet is sent again within one. Twice as many at each attempt: a host may be slow to answer only
now and then."""

_ANSWER_SECONDS = 10.0
"""For the headers as a whole, however many interim answers come, on a connection that is certainly alive."""

_BODY_SECONDS = 2.5
"""Of silence in the middle of a body, at the first attempt; twice as many at each that follows without a byte."""

_LONGEST = 10.0

_SLOWNESS = 2.0
"""A host may take so many times as long as it took at last on a new connection."""


@dataclass(slots=True)
class Hearing:
    """What has been heard of one request; moments are seconds of one clock."""

    asked_at: float
    attempt: int = 0
    """How many attempts before it brought nothing."""
    is_reused: bool = False
    """Whether it went out on a connection that had stood idle."""
    heard_at: float | None = None
    """When the last byte came, of headers or body; None: nothing has."""
    has_headers: bool = False
    """Whether they are complete."""

    @property
    def silent_since(self) -> float:
        """From when on something is owed."""
        return self.asked_at if self.heard_at is None else self.heard_at

    def given_up_at(self, slowest: float) -> float:
        """The moment to give it up if nothing more comes; the host needed `slowest` seconds to a first byte at last."""
        if self.has_headers:
            return self.silent_since + min(_BODY_SECONDS * 2.0**self.attempt, _LONGEST)
        if self.is_reused and self.heard_at is None:
            return self.asked_at + min(max(SUSPICION * 2.0**self.attempt, _SLOWNESS * slowest), _ANSWER_SECONDS)
        return self.asked_at + _ANSWER_SECONDS


def is_condemned(hearing: Hearing, alive_at: float, silent_since: float) -> bool:
    """Whether a request is lost with another one that has been silent since `silent_since`.

    It is if nothing has come for it, on a connection that stood idle and was last known to be alive, `alive_at`,
    before that moment.
    """
    return hearing.is_reused and hearing.heard_at is None and alive_at < silent_since


def longest_idle(now: float, silent_since: float, longest: int) -> int:
    """Seconds that a connection may have stood idle to be used again, after one fell silent at `silent_since`.

    At most `longest`, at least 1. libcurl counts whole seconds, some versions rounded down: so one less.
    """
    return max(1, min(longest, int(now - silent_since) - 1))
