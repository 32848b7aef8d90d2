"""The loggers' root, and how often one complaint is worth a line."""

import logging
import threading
from collections.abc import Hashable

log = logging.getLogger("twfs")


class OnceUntilChanged:
    """Says a thing once, not per operation: again only when it differs from what was last said of that subject."""

    def __init__(self) -> None:
        """Nothing said so far."""
        self._said: dict[Hashable, str] = {}
        self._lock = threading.Lock()

    def warn(self, subject: Hashable, message: str) -> None:
        """Log `message` as a warning unless it is the last thing said of `subject`."""
        with self._lock:
            news = self._said.get(subject) != message
            self._said[subject] = message
        if news:
            log.warning("%s", message)

    def settle(self, subject: Hashable, message: str) -> None:
        """The trouble with `subject` is over: say so if there was any."""
        with self._lock:
            was = self._said.pop(subject, None)
        if was is not None:
            log.info("%s", message)
