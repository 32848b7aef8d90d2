"""What a destination cannot do, said once a run: no reason to lose a medium that was fetched and proven."""

import errno
import os
import threading
from collections.abc import Callable, Hashable
from enum import Enum

from twfs.log import log
from twfs.transfer.leftovers import Leftovers

TIME_STEP = 2
"""Seconds: the modification times of FAT are even (Microsoft's FAT specification, 1.03), the coarsest in use."""

_UNSUPPORTED = frozenset(
    (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.EACCES)
)


class Lack(Enum):
    """What it cannot do, and what follows from that."""

    TIMES = "keeps no modification times; a file there counts as fetched if its name has the SID and its size is right"
    LOCKS = (
        "has no file locks; interrupted files begin anew there, and the hidden .part file of a run that was killed"
        " stays until you remove it"
    )
    SYNC = "cannot be told to put files on the disk; run sync, or unmount it, before you rely on them"
    PRIVACY = "keeps no owners or permissions; others may read the files there, and interrupted files begin anew"


class Shortcomings:
    """Those of one run's destination. Thread-safe."""

    def __init__(self) -> None:
        """None known so far."""
        self.leftovers = Leftovers()
        self._said: set[Lack] = set()
        self._answers: dict[Hashable, bool] = {}
        self._lock = threading.Lock()
        self._asking = threading.Lock()

    def tell(self, lack: Lack, error: OSError | None = None) -> None:
        """Warn, the first time in this run."""
        with self._lock:
            is_news = lack not in self._said
            self._said.add(lack)
        if is_news:
            log.warning("the destination %s%s", lack.value, f" ({error.strerror})" if error else "")

    def found_out(self, question: Hashable, find_out: Callable[[], bool]) -> bool:
        """The answer that `find_out` gave the first time."""
        with self._asking:
            if question not in self._answers:
                self._answers[question] = find_out()
            return self._answers[question]


def is_unsupported(error: OSError) -> bool:
    """Whether fsync was refused as such; any other failure (EIO, ENOSPC, EDQUOT, …) means that data is lost."""
    return error.errno in _UNSUPPORTED


def shows_time(status: os.stat_result, changed_at: int) -> bool:
    """Whether a file shows the modification time `changed_at` (seconds since 1970 UTC), as coarsely as FAT does."""
    return abs(status.st_mtime - changed_at) < TIME_STEP
