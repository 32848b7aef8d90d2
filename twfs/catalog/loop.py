"""Background threads that call one step again and again, and end when told to."""

import threading
from collections.abc import Callable

from twfs.log import log
from twfs.threads import start_thread

AFTER_BUG_PAUSE = 60.0
"""Seconds until a step that failed in a way nobody foresaw is tried again: often enough to recover, rare in the log."""
STOP_PATIENCE = 2.0
"""Seconds that `stop` waits at most; a request under way is left behind in a daemon thread, and ends with the process
or by its own deadline."""


class Loop:
    """`count` threads around `step`, which returns the seconds to pause before it is worth calling again."""

    def __init__(self, name: str, step: Callable[[], float], count: int = 1) -> None:
        """No thread yet: one started before the daemonising fork would not exist after it."""
        self._name = name
        self._step = step
        self._count = count
        self._changed = threading.Condition()
        self._wakes = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []

    @property
    def is_stopping(self) -> bool:
        """Whether long steps should end early."""
        return self._stopping

    def start(self) -> None:
        """Start the threads; once.

        Raises:
            NoMoreThreads: the machine refuses one; `stop` ends the others.
        """
        for number in range(self._count):
            self._threads.append(start_thread(self._run, f"twfs-{self._name}-{number}"))

    def wake(self) -> None:
        """Cut every pause short."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End the threads and wait for them; harmless when none was started."""
        self._stopping = True
        self.wake()
        for thread in self._threads:
            thread.join(STOP_PATIENCE / self._count)
        self._threads.clear()

    def _run(self) -> None:
        while not self._stopping:
            with self._changed:
                seen = self._wakes
            pause = self._guarded_step()
            with self._changed:
                if self._wakes == seen and not self._stopping:
                    self._changed.wait(pause)

    def _guarded_step(self) -> float:
        try:
            return self._step()
        except Exception as error:  # noqa: BLE001 - a bug must not end refreshing for the rest of the mount
            if self._stopping:
                # What it stands on is being closed.
                log.debug("the background work %s ends with %r", self._name, error)
                return 0.0
            log.exception("the background work %s failed unexpectedly", self._name)
            return AFTER_BUG_PAUSE
