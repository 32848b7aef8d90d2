"""Waiting for the user, or the system, to end a command: `twfs demo`, `simulator`, `top`, `decrypt`."""

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Whether one of the signals has come."""

    def __init__(self, channel: socket.socket) -> None:
        """`channel` can be read from as soon as one has."""
        self._channel = channel

    def fileno(self) -> int:
        """For select(2) beside other things."""
        return self._channel.fileno()

    def has_come(self) -> bool:
        """Whether it has."""
        return self.wait(0)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has, or at most `seconds`; whether it has."""
        return bool(select.select([self._channel], [], [], seconds)[0])


@contextmanager
def until_signalled() -> Iterator[Ending]:
    """What tells of SIGINT, SIGTERM and SIGHUP, which end nothing else while the block runs; main thread only.

    Those that are ignored stay so: nohup(1), and shells for what runs in the background, mean that it goes on.

    Python's C handler writes the byte that is waited for (signal.set_wakeup_fd), and what runs in Python does nothing.
    Locks, as a `threading.Event` has one, cannot be used there: the next signal interrupts the handler of the one
    before, and waits for ever for a lock that is held below it.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.settimeout(0)
        wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, lambda *_: None) for number in heeded}
        try:
            yield Ending(reader)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_before)
