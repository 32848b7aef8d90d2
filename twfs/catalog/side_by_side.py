"""Several requests at once, in threads that the end of the process does not wait for.

Those of `concurrent.futures` are joined when the interpreter exits: there a request without an answer keeps a mount's
process for as long as `timeout`.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

from twfs.errors import NoMoreThreads
from twfs.log import log
from twfs.threads import start_thread

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(name: str, work: Callable[[T], R], items: Sequence[T], most: int) -> list[R]:
    """What `work` returns for each of `items`, in their order; at most `most` at once, in threads called by `name`.

    Raises:
        Exception: what `work` raised, if several the first in order; nothing is under way any more then.
    """
    outcomes: list[Future[R]] = [Future() for _ in items]
    todo: SimpleQueue[tuple[T, Future[R]]] = SimpleQueue()
    for pair in zip(items, outcomes, strict=True):
        todo.put(pair)

    def work_off() -> None:
        while True:
            try:
                item, outcome = todo.get_nowait()
            except Empty:
                return
            try:
                outcome.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
                outcome.set_exception(error)

    for thread in _threads(work_off, name, min(most, len(items))):
        thread.join()
    return [outcome.result() for outcome in outcomes]


def _threads(work: Callable[[], None], name: str, count: int) -> list[threading.Thread]:
    """As many as the machine allows; where it allows none, this thread has done the work."""
    started: list[threading.Thread] = []
    try:
        started.extend(start_thread(work, f"twfs-{name}-{number}") for number in range(count))
    except NoMoreThreads as error:
        log.warning("%s: fewer requests at once, for one more thread is refused: %s", name, error)
        work()
    return started
