"""Open files by number."""

import itertools
import threading
from typing import Generic, TypeVar

from twfs.errors import BadHandle

T = TypeVar("T")


class HandleTable(Generic[T]):
    """Numbers for open things; safe to use from several threads. A number is never used twice."""

    def __init__(self) -> None:
        """Nothing is open."""
        self._open: dict[int, T] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def add(self, thing: T) -> int:
        """Its number, > 0."""
        with self._lock:
            handle = next(self._numbers)
            self._open[handle] = thing
        return handle

    def get(self, handle: int) -> T:
        """What is open under `handle`.

        Raises:
            BadHandle: nothing.
        """
        try:
            return self._open[handle]
        except KeyError:
            raise BadHandle(f"no file is open under handle {handle}") from None

    def remove(self, handle: int) -> T:
        """What was open under `handle`, which nobody finds there any more.

        Raises:
            BadHandle: nothing.
        """
        with self._lock:
            thing = self._open.pop(handle, None)
        if thing is None:
            raise BadHandle(f"no file is open under handle {handle}")
        return thing
