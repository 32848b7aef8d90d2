"""SIGHUP and SIGUSR1, served by a thread of their own.

Python's handlers run in the main thread only, which sits in libfuse while a mount stands; and libfuse ends the mount at
SIGHUP, unless it is blocked. Threads inherit the mask: so it must be set before any is started.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from twfs.log import log
from twfs.threads import start_thread

_TERMINAL = Path("/dev/tty")
_PATIENCE_SECONDS = 5.0


def has_terminal() -> bool:
    """Whether the process has a controlling terminal: there SIGHUP means that it is gone, and the mount should end."""
    try:
        with _TERMINAL.open("rb", buffering=0):
            return True
    except OSError:
        return False


class Signals:
    """Calls what each signal asks for."""

    def __init__(self, actions: Mapping[signal.Signals, Callable[[], None]]) -> None:
        """No thread yet; `blocked` is the place to start in."""
        self._actions = actions
        self._ended = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """In the block no other thread gets these signals; what comes before `begin` waits. Ends the thread."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._actions)
        try:
            yield
        finally:
            self._end()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def begin(self) -> None:
        """Serve from now on; after the daemonising fork."""
        self._thread = start_thread(self._serve, "signals")

    def _end(self) -> None:
        thread, self._ended = self._thread, True
        if thread is not None and thread.ident is not None and thread.is_alive():
            signal.pthread_kill(thread.ident, next(iter(self._actions)))
            thread.join(_PATIENCE_SECONDS)

    def _serve(self) -> None:
        while True:
            number = signal.Signals(signal.sigwait(self._actions))
            if self._ended:
                return
            try:
                self._actions[number]()
            except Exception:  # noqa: BLE001 - the next signal must find somebody
                log.exception("%s could not be served", number.name)
