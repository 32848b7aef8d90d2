"""Who gets the next connection, so that a medium that stalls takes none from the others. Pure: no thread, no clock.

First in, first out gave all connections to a silent medium with as many readers, and each read of a healthy one waited
for its time limit.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import Protocol, TypeVar

SILENT_SECONDS = 1.0
"""Without anything coming, after which a connection counts as silent: on a good line something comes all the time."""

_MOST_TIMES = 4
"""All together are never more than so many times the connections, however many media stall. Of k media that stall one
after the other each holds a k-th part, so this is enough for thirty."""


class Claim(Protocol):
    """What waits for a connection, or has one."""

    @property
    def subject(self) -> Hashable:
        """The medium that it is for."""

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for it."""

    @property
    def heard_at(self) -> float:
        """When something last came for it, or else it got its connection."""


C = TypeVar("C", bound=Claim)


def next_in_turn(waiting: Sequence[C], running: Collection[Claim], connections: int, now: float) -> C | None:
    """Which of those that wait, in order of arrival, gets a connection now; None: none does.

    What is urgent goes first, then the medium that has the fewest, then what came first. Each medium's share is an
    equal part of the connections. Silent ones beyond its share do not count: others get as many more, up to
    `most_at_once`. A medium that has silent ones gets no more than its share.
    """
    held = Counter(claim.subject for claim in running)
    silent = Counter(claim.subject for claim in running if now - claim.heard_at >= SILENT_SECONDS)
    subjects = {claim.subject for claim in waiting} | held.keys()
    share = max(1, connections // max(1, len(subjects)))
    excused = sum(min(count, max(0, held[subject] - share)) for subject, count in silent.items())
    if len(running) - excused >= connections or len(running) >= most_at_once(connections):
        return None
    able = [claim for claim in waiting if not silent[claim.subject] or held[claim.subject] < share]
    # min() takes the first of equals.
    return min(able, key=lambda claim: (not claim.urgent, held[claim.subject]), default=None)


def most_at_once(connections: int) -> int:
    """How many may run at once at most, silent ones included."""
    return connections * _MOST_TIMES
