"""The loggers' root, and how often one complaint is worth a line."""

import logging
import re
import threading
from collections import deque
from collections.abc import Hashable

from twfs.redaction import redacted

log = logging.getLogger("twfs")


class Redaction(logging.Filter):
    """Cuts out what must not be shown before any handler sees it, be it ours or that of a program that uses twfs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info and record.exc_info[1] is not None:
            # Where handlers look first, and what they show instead of making it themselves.
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return True


log.addFilter(Redaction())

_REQUEST_ID = re.compile(r"request RQ\w+")
"""Differs with every answer of Twilio's, so it is no news."""

_REMEMBERED = 8
"""Things said of one subject. One server's failures take turns: HTTP 500, then no answer in time, then HTTP 500."""


class OncePerTrouble:
    """Says a thing of a subject once, until the trouble with that subject is over: not per operation, nor by turns."""

    def __init__(self) -> None:
        """Nothing said so far."""
        self._said: dict[Hashable, deque[str]] = {}
        self._lock = threading.Lock()

    def warn(self, subject: Hashable, message: str) -> None:
        """Log `message` as a warning unless, but for Twilio's request id, it was said of `subject` lately."""
        what = _REQUEST_ID.sub("", message)
        with self._lock:
            said = self._said.setdefault(subject, deque(maxlen=_REMEMBERED))
            is_news = what not in said
            if is_news:
                said.append(what)
        if is_news:
            log.warning("%s", message)

    def settle(self, subject: Hashable, message: str) -> None:
        """The trouble with `subject` is over: say so if there was any."""
        if subject not in self._said:
            return
        with self._lock:
            was = self._said.pop(subject, None)
        if was is not None:
            log.info("%s", message)
