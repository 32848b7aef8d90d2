"""What is going wrong right now: said once per subject in the log, and kept for the status."""

import threading
from collections.abc import Hashable

from twfs.log import log


class Troubles:
    """Present failures by subject.

    A line is logged when trouble begins, when its kind changes and when it is over. Messages may differ each
    time (they hold request ids), so it is the error's class that decides whether there is news.
    """

    def __init__(self) -> None:
        """No trouble."""
        self._present: dict[Hashable, Exception] = {}
        self._lock = threading.Lock()

    def arose(self, subject: Hashable, error: Exception, meaning: str) -> None:
        """`subject` failed; `meaning` says what that means to the user."""
        with self._lock:
            before = self._present.get(subject)
            self._present[subject] = error
        if type(before) is not type(error):
            log.warning("%s: %s", meaning, error)

    def ended(self, subject: Hashable, meaning: str) -> None:
        """`subject` is well; `meaning` is logged if it was not."""
        with self._lock:
            before = self._present.pop(subject, None)
        if before is not None:
            log.info("%s", meaning)

    def last_text(self) -> str | None:
        """The message of the trouble that is newest by subject, if there is any."""
        with self._lock:
            errors = list(self._present.values())
        return str(errors[-1]) if errors else None
