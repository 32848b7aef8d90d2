"""One call at a time on a thread of its own, so that reading, encrypting and hashing overlap."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self


class Aside:
    """Runs calls in order; the caller goes on meanwhile, and learns of a failure at its next call."""

    def __init__(self) -> None:
        """No thread before the first call."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._running: Future[Any] | None = None

    def run(self, call: Callable[..., object], *arguments: object) -> None:
        """Begin `call(*arguments)` once the call before has ended; what that raised is raised here."""
        self.wait()
        self._running = self._pool.submit(call, *arguments)

    def wait(self) -> None:
        """Until the last call has ended; what it raised is raised here."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, after the call that runs."""
        self._pool.shutdown()
