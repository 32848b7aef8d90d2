"""Bounds how much the log says of one thing: a medium that flips must fill no disk, and hide nothing else."""

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from twfs.log_lines import sid_of

MOST_LINES = 20
"""Of one subject within `SECONDS`: a failure and its end, some ten times over."""

SECONDS = 60.0

UNLIMITED = {"is_unlimited": True}
"""As `extra` of a line that must be said whatever was said before, such as a record of the access log."""

_LONGEST_SUBJECT = 200
"""Characters; what comes behind is detail, such as a whole status."""

_VARYING = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")
"""Counts, times and request ids, by which lines that say the same differ."""


@dataclass(slots=True)
class _Window:
    """What was said of a subject since a moment."""

    began: float
    passed: int = 0
    left_out: int = 0


class LimitedHandler(logging.Handler):
    """Hands records on to another handler, at most `MOST_LINES` of one subject in any `SECONDS` from its first one.

    A subject is a medium, or, of lines that name none, what they say but for its numbers. How many lines were left out
    is said when their time is over, with the next line of whatever subject, or at the end. Lines of level debug are not
    limited: who wants those wants all.
    """

    def __init__(self, target: logging.Handler, now: Callable[[], float]) -> None:
        """`now`: seconds from an arbitrary start."""
        super().__init__()
        self.target = target
        self._now = now
        self._windows: dict[str, _Window] = {}
        self._windows_lock = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it on, or count it."""
        for subject, count in self._over(self._now()):
            self._say_left_out(subject, count)
        if record.levelno < logging.INFO or hasattr(record, "is_unlimited") or self._passes(_subject_of(record)):
            self.target.handle(record)

    def close(self) -> None:
        """Say what was left out and not said yet."""
        for subject, count in self._over(float("inf")):
            self._say_left_out(subject, count)
        self.target.close()
        super().close()

    def flush(self) -> None:
        """That of the other handler."""
        self.target.flush()

    def _passes(self, subject: str) -> bool:
        with self._windows_lock:
            window = self._windows.setdefault(subject, _Window(self._now()))
            if window.passed < MOST_LINES:
                window.passed += 1
                return True
            window.left_out += 1
            return False

    def _over(self, now: float) -> list[tuple[str, int]]:
        """Subjects whose time is over, which are forgotten, with how many of their lines were left out, if any."""
        with self._windows_lock:
            # Each began when it was put in, so the oldest come first.
            ended = []
            for subject, window in self._windows.items():
                if now - window.began < SECONDS:
                    break
                ended.append((subject, window.left_out))
            for subject, _ in ended:
                del self._windows[subject]
        return [(subject, count) for subject, count in ended if count]

    def _say_left_out(self, subject: str, count: int) -> None:
        lines = "1 more line was" if count == 1 else f"{count} more lines were"
        message = f"{subject}: {lines} left out within {SECONDS:g} s"
        self.target.handle(logging.LogRecord("twfs", logging.WARNING, __file__, 0, message, None, None))


def _subject_of(record: logging.LogRecord) -> str:
    return sid_of(record) or _VARYING.sub("#", record.getMessage())[:_LONGEST_SUBJECT]
