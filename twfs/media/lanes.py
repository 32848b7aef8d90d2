"""Ranges under way at once: as many as help, for all that are read together.

Far away each connection adds its own speed. Where the processor is the limit, more of them only make ranges smaller,
and each range costs a request. With a thread for each connection, two cores read a fifth faster over loopback with
few, and spent a fifth less. With one thread for all this has not been measured anew.
"""

from collections.abc import Callable
from math import inf

from twfs.clock import processor_seconds

FEWEST = 2
"""One range arriving while the other is asked for."""

_PERIOD = 0.2
"""Seconds over which the processor's use is measured: what was asked for before a change is read by then."""

_BUSY = 0.9
"""Of one core. Python runs in one thread at a time, so that more than one core is hardly ever used."""

_IDLE = 0.75


class Lanes:
    """How many ranges at once are worth while. To be used by one thread at a time."""

    def __init__(self, connections: int, spent: Callable[[], float] = processor_seconds) -> None:
        """At most `connections`; `spent` tells the processor time (s) this process has had so far."""
        self._connections = connections
        self._spent = spent
        self._most = connections
        self._since = -inf
        self._spent_before = 0.0

    def most(self, now: float) -> int:
        """At `now`, in seconds of a clock that never goes back; at least `FEWEST`, if there are as many connections.

        Falls by half while the processor is busy, and doubles while it is not.
        """
        if now - self._since >= _PERIOD:
            spent = self._spent()
            self._adapt((spent - self._spent_before) / (now - self._since))
            self._since, self._spent_before = now, spent
        return self._most

    def _adapt(self, busy: float) -> None:
        if busy > _BUSY:
            self._most = max(self._most // 2, min(FEWEST, self._connections))
        elif busy < _IDLE:
            self._most = min(self._most * 2, self._connections)
