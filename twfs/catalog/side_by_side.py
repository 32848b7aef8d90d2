"""Several requests at once, in threads that the end of the process does not wait for.

Those of `concurrent.futures` are joined when the interpreter exits: there a request without an answer keeps a mount's
process for as long as `timeout`.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

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

    threads = [
        threading.Thread(target=work_off, name=f"twfs-{name}-{number}", daemon=True)
        for number in range(min(most, len(items)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome.result() for outcome in outcomes]
