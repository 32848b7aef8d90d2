"""Unfinished files that earlier runs left at a destination, by the file they were to become.

A folder is listed once in a run: to list it for every file would take time with the square of their number.
"""

import threading
from collections.abc import Callable, Hashable, Iterable

from twfs.transfer.part_names import Stem, part_stem, stem_of

_Names = dict[Stem, set[str]]


class Leftovers:
    """Those of one run's destination. Thread-safe."""

    def __init__(self) -> None:
        """No folder has been listed yet."""
        self._folders: dict[Hashable, _Names] = {}
        self._lock = threading.Lock()

    def take(
        self, folder: Hashable, list_names: Callable[[], Iterable[str]], goal_name: str, *token_sizes: int
    ) -> list[str]:
        """Names of unfinished files of `goal_name` that were in `folder` when it was listed, or were added; each once.

        Raises:
            Exception: what `list_names` raises; the folder is listed the next time.
        """
        with self._lock:
            if folder not in self._folders:
                self._folders[folder] = _by_stem(list_names())
            found = self._folders[folder]
            return [name for size in token_sizes for name in found.pop(part_stem(goal_name, size), ())]

    def add(self, folder: Hashable, name: str) -> None:
        """This run leaves it there."""
        with self._lock:
            if folder in self._folders:
                _put(self._folders[folder], name)


def _by_stem(names: Iterable[str]) -> _Names:
    found: _Names = {}
    for name in names:
        _put(found, name)
    return found


def _put(found: _Names, name: str) -> None:
    stem = stem_of(name)
    if stem is not None:
        found.setdefault(stem, set()).add(name)
