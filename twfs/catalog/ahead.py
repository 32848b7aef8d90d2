"""Which media a reader will likely ask for next: the neighbours of the one it asked for, in its direction."""

from collections import deque
from collections.abc import Callable

from twfs.catalog import queries
from twfs.catalog.probe_order import AHEAD
from twfs.catalog.rows import Entry
from twfs.catalog.store import Store
from twfs.resources import Kind


class Ahead:
    """Follows readers along the list. One thread at a time."""

    def __init__(self, store: Store) -> None:
        """Nobody reads yet."""
        self._store = store
        self._expected: deque[str] = deque()
        self._last: tuple[Kind | None, int] = (None, 0)

    def asked(self, entry: Entry) -> None:
        """A reader asks for this one, and would have to wait for it.

        One that asks for any other medium than a neighbour of the last is a player, say: it would only be held up by
        what it never asks for.
        """
        kind, number = entry.medium.kind, entry.number
        last_kind, last = self._last
        self._last = (kind, number)
        backwards = number < last
        if last_kind not in (None, kind) or not self._is_near(kind, last, number):
            self._expected = deque()
            return
        rows = self._store.ask(lambda it: queries.neighbours(it, kind, number, AHEAD, backwards=backwards))
        self._expected = deque(sid for _, sid in rows)

    def next(self, is_wanted: Callable[[Entry], bool]) -> str | None:
        """A medium that a reader is expected to ask for."""
        while self._expected:
            entry = self._store.shown(self._expected.popleft())
            if entry is not None and is_wanted(entry):
                return entry.medium.sid
        return None

    def clear(self) -> None:
        """Nobody is expected to ask for anything."""
        self._expected.clear()

    def _is_near(self, kind: Kind, last: int, number: int) -> bool:
        low, high = sorted((last, number))
        between = self._store.ask(lambda it: queries.neighbours(it, kind, low, AHEAD + 1, backwards=False))
        return sum(each <= high for each, _ in between) <= AHEAD
