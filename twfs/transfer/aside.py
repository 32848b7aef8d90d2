"""Calls on a thread beside, in order, so that reading, decrypting and hashing overlap."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from twfs.threads import starting

_MOST_WAITING = 8
"""Calls that may be due: enough that the thread beside never waits for the next one to be handed over."""


class Aside:
    """Runs calls in order; the caller goes on meanwhile, and learns of a failure at a later call."""

    def __init__(self) -> None:
        """No thread before the first call."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._due: deque[Future[Any]] = deque()

    def run(self, call: Callable[..., object], *arguments: object) -> None:
        """Have `call(*arguments)` run after the calls before; what an earlier one raised may be raised here."""
        if len(self._due) == _MOST_WAITING:
            self._due.popleft().result()
        with starting():
            self._due.append(self._pool.submit(call, *arguments))

    def wait(self) -> None:
        """Until the last call has ended; what one of them raised is raised here."""
        while self._due:
            self._due.popleft().result()

    def close(self) -> None:
        """End the thread, after the calls that are due."""
        self._pool.shutdown()
