"""Who may hold how many parts of objects in memory, while several are read whole at once."""

import threading

_FEWEST_PARTS = 2
"""One arriving while the other is used: the least that a reader gets (`crew_size` sees to there being so many)."""


class Shares:
    """Parts of a few MiB, dealt out among readers that come and go; each tells how many it holds. Thread-safe."""

    def __init__(self, most_parts: int, most_of_one: int) -> None:
        """All readers together are to hold `most_parts`; more than `most_of_one` would be of no use to any."""
        self._most_parts = most_parts
        self._most_of_one = most_of_one
        self._readers = 0
        self._parts_held = 0
        self._lock = threading.Lock()

    def join(self) -> None:
        """One reader more; it holds nothing yet."""
        with self._lock:
            self._readers += 1

    def leave(self, held: int) -> None:
        """One fewer, which held so many parts."""
        with self._lock:
            self._readers -= 1
            self._parts_held -= held

    def grant(self, held: int) -> bool:
        """Whether a reader that holds so many parts may hold one more; it does then.

        Beyond `most_parts` are held only the fewest parts of readers that came when the others held everything, until
        those have come down to their new share.
        """
        with self._lock:
            is_room = held < self._share() and self._parts_held < self._most_parts
            granted = is_room or held < _FEWEST_PARTS
            self._parts_held += granted
            return granted

    def take_back(self, held: int) -> bool:
        """Whether a reader that holds so many parts has more than its share, as others came; one fewer then."""
        with self._lock:
            taken = held > self._share()
            self._parts_held -= taken
            return taken

    def _share(self) -> int:
        return max(_FEWEST_PARTS, min(self._most_of_one, self._most_parts // self._readers))
