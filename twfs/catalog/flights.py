"""Work that several ask for at once, and one does: whoever asks first, for all who ask meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """What is under way, by key. Thread-safe."""

    def __init__(self) -> None:
        """Nothing."""
        self._flights: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        """Whether it is under way."""
        return key in self._flights

    def board(self, key: str) -> tuple[Future[T], bool]:
        """The flight that is under way, or a new one, which the caller must `fly`."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Future()
            return flight, True

    def fly(self, key: str, flight: "Future[T]", work: Callable[[], T]) -> T:
        """Do the work and tell all who wait; what it leaves behind is there before the flight ends.

        Raises:
            BaseException: what `work` raised, here and to all who wait.
        """
        try:
            outcome = work()
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
            raise
        self._land(key)
        flight.set_result(outcome)
        return outcome

    def _land(self, key: str) -> None:
        with self._lock:
            del self._flights[key]
