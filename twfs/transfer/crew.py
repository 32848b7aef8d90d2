"""Several media at once: a bounded number of threads work through a list."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from twfs.clock import Clock
from twfs.config.config import Config
from twfs.media.options import SMALLEST_CACHE
from twfs.threads import start_thread

T = TypeVar("T")
R = TypeVar("R")

_FAREWELL = 3.0
"""Seconds that all threads together have to end after the work was called off: a piece in the network ends with its
own deadline, for which nobody who pressed Ctrl-C should wait."""


def crew_size(config: Config) -> int:
    """How many media to transfer at once: one per connection, as long as each has its share of the cache.

    Small media need many at once, for each spends most of its time on three round trips.
    """
    return max(1, min(config.connections, config.cache_size // SMALLEST_CACHE))


@dataclass(frozen=True, slots=True)
class _Done(Generic[R]):
    result: R


class _Left:
    """A thread has ended."""


def work_through(
    items: Iterable[T], work: Callable[[T], R], size: int, stop: threading.Event, clock: Clock
) -> Generator[R, None, None]:
    """What `work` returns for each of `items`, as they come; at most `size` at once.

    Once `stop` is set nothing more is begun. When the caller leaves early, by an exception too, `stop` is set, and
    threads that do not end soon are left behind (they are daemons).

    Raises:
        NoMoreThreads: the machine refuses so many threads.
        Exception: what `work` raised; nothing more is begun then.
    """
    todo = iter(items)
    turn = threading.Lock()
    news: queue.SimpleQueue[_Done[R] | BaseException | _Left] = queue.SimpleQueue()

    def take() -> Iterator[T]:
        while not stop.is_set():
            with turn:
                try:
                    item = next(todo)
                except StopIteration:
                    return
            yield item

    def worker() -> None:
        try:
            for item in take():
                news.put(_Done(work(item)))
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            news.put(error)
        finally:
            news.put(_Left())

    threads: list[threading.Thread] = []
    try:
        threads.extend(start_thread(worker, f"transfer-{number}") for number in range(size))
        yield from _results(news, len(threads))
    finally:
        stop.set()
        _see_off(threads, clock)


def _results(news: "queue.SimpleQueue[_Done[R] | BaseException | _Left]", at_work: int) -> Iterator[R]:
    while at_work:
        match news.get():
            case _Done(result):
                yield result
            case BaseException() as error:
                raise error
            case _Left():
                at_work -= 1


def _see_off(threads: Iterable[threading.Thread], clock: Clock) -> None:
    end = clock.monotonic() + _FAREWELL
    for thread in threads:
        thread.join(max(0.0, end - clock.monotonic()))
