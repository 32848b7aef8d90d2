"""What is going wrong right now: said once per subject in the log, and kept for the status."""

import threading
from collections.abc import Callable, Hashable

from twfs.log import log


class Troubles:
    """Present failures by subject.

    A line is logged when trouble begins, when its kind changes and when it is over. Messages may differ each
    time (they hold request ids), so it is the error's class that decides whether there is news. Of an error no more is
    kept than that and its text: by its traceback it would hold whatever failed, a reader's buffers even.
    """

    def __init__(self) -> None:
        """No trouble."""
        self._present: dict[Hashable, tuple[type[Exception], str]] = {}
        self._lock = threading.Lock()

    def arose(self, subject: Hashable, error: Exception, meaning: str) -> None:
        """`subject` failed; `meaning` says what that means to the user."""
        kind, text = type(error), str(error)
        with self._lock:
            before = self._present.get(subject)
            self._present[subject] = kind, text
        if before is None or before[0] is not kind:
            log.warning("%s: %s", meaning, text)

    def ended(self, subject: Hashable, meaning: str) -> None:
        """`subject` is well; `meaning` is logged if it was not."""
        with self._lock:
            before = self._present.pop(subject, None)
        if before is not None:
            log.info("%s", meaning)

    def forget(self, is_gone: Callable[[Hashable], bool]) -> None:
        """Subjects that there are no more have no trouble; nothing is logged, for nothing became well."""
        with self._lock:
            self._present = {subject: what for subject, what in self._present.items() if not is_gone(subject)}

    def last_text(self) -> str | None:
        """The message of the trouble that is newest by subject, if there is any."""
        with self._lock:
            texts = [text for _, text in self._present.values()]
        return texts[-1] if texts else None
