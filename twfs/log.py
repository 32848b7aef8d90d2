"""The loggers' root, and how often one complaint is worth a line."""

import logging
import re
import threading
from collections.abc import Hashable

log = logging.getLogger("twfs")

_REQUEST_ID = re.compile(r"request RQ\w+")
"""Differs with every answer of Twilio's, so it is no news."""


class OnceUntilChanged:
    """Says a thing once, not per operation: again only when it differs from what was last said of that subject."""

    def __init__(self) -> None:
        """Nothing said so far."""
        self._said: dict[Hashable, str] = {}
        self._lock = threading.Lock()

    def warn(self, subject: Hashable, message: str) -> None:
        """Log `message` as a warning unless, but for Twilio's request id, it is the last thing said of `subject`."""
        what = _REQUEST_ID.sub("", message)
        with self._lock:
            news = self._said.get(subject) != what
            self._said[subject] = what
        if news:
            log.warning("%s", message)

    def settle(self, subject: Hashable, message: str) -> None:
        """The trouble with `subject` is over: say so if there was any."""
        if subject not in self._said:
            return
        with self._lock:
            was = self._said.pop(subject, None)
        if was is not None:
            log.info("%s", message)
