"""How long a list is waited for whose next page does not come. Pure: the time is told.

What was had of a list is lost when it is given up, and asked for again from its first page on. So the more pages came,
the longer the next one is worth waiting for: while an API flaps, each page alone may fail, and the list still ends.
"""

SECONDS_PER_PAGE = 5.0
"""Patience that each page earns. A page takes a fraction of a second; whoever begins anew comes no further than before
if the API flaps on."""

LONGEST_PATIENCE = 900.0
"""Without a single page; what is out for longer is asked by the next listing, and said to be out meanwhile."""

_FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Between two requests for the same page, unless the server asks for more."""


class Perseverance:
    """Of one list, while it is read. One thread at a time; moments are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        """No page came so far: there is nothing to lose."""
        self._pages = 0
        self._failing_since: float | None = None
        self._failures = 0

    def came(self) -> None:
        """One more page is there."""
        self._pages += 1
        self._failing_since, self._failures = None, 0

    @property
    def patience(self) -> float:
        """Seconds for which the next page may fail."""
        return min(self._pages * SECONDS_PER_PAGE, LONGEST_PATIENCE)

    def pause(self, now: float, asked: float | None) -> float | None:
        """Seconds after which to ask again for a page that failed; None: the list is given up.

        Doubles up to `LONGEST_PAUSE`. `asked` is how long the server asked to wait (Retry-After), None if it did not.
        """
        since = self._failing_since = now if self._failing_since is None else self._failing_since
        pause = max(min(_FIRST_PAUSE * 2.0**self._failures, LONGEST_PAUSE), asked or 0.0)
        self._failures += 1
        return pause if now + pause - since <= self.patience else None
