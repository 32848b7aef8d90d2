"""What a list of one kind has shown: what is new, and which of what was known it named. A bit for each known medium."""

from collections.abc import Iterable

from twfs.resources import Medium


class Listed:
    """A listing, page by page. One thread at a time; `count` may be read from others."""

    def __init__(self, last_number: int) -> None:
        """`last_number` is the largest that a known medium has: later ones are not looked for."""
        self.last_number = last_number
        self.changed: list[Medium] = []
        self.count = 0
        """Records so far."""
        self.is_understood = True
        """Whether no record had to be skipped."""
        self._seen = bytearray(last_number // 8 + 1)
        self._new: set[str] = set()

    def saw(self, sid: str, number: int | None) -> None:
        """The list names a medium, which has that number if it is known."""
        self.count += 1
        if number is None or number > self.last_number:
            self._new.add(sid)
        else:
            self._seen[number // 8] |= 1 << number % 8

    def has(self, sid: str, number: int) -> bool:
        """Whether the list named it."""
        return sid in self._new or (number <= self.last_number and bool(self._seen[number // 8] >> number % 8 & 1))

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Those of them that the list did not name; of later ones nothing is said."""
        return [each for each in numbers if each <= self.last_number and not self._seen[each // 8] >> each % 8 & 1]

    def take_changed(self) -> list[Medium]:
        """What is new or changed, to be written now: nothing of it is kept here."""
        changed, self.changed = self.changed, []
        self._new.clear()
        return changed
