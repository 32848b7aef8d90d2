"""What was looked up lately, bounded in number, and never older than the last change."""

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class Recent(Generic[T]):
    """What a question about a key was answered. Thread-safe.

    Who asks takes the `generation` first and gives it back with the answer: if anything changed in between, the answer
    may be of before, and is not kept.
    """

    def __init__(self, most: int) -> None:
        """At most so many, of which those go first that nobody asked for the longest."""
        self._known: LRUCache[str, T] = LRUCache(most)
        self._lock = threading.Lock()
        self.generation = 0
        """Grows with each change."""

    def get(self, key: str) -> T | None:
        """The answer, if it is kept."""
        with self._lock:
            found: T | None = self._known.get(key)
            return found

    def put(self, key: str, answer: T, generation: int) -> None:
        """Keep an answer that was asked for when the generation was that."""
        with self._lock:
            if generation == self.generation:
                self._known[key] = answer

    def drop(self, keys: Iterable[str]) -> None:
        """What these were answered was changed just now."""
        with self._lock:
            self.generation += 1
            for key in keys:
                self._known.pop(key, None)

    def clear(self) -> None:
        """Anything may have changed."""
        with self._lock:
            self.generation += 1
            self._known.clear()
