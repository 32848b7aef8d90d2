"""One medium in a mount where something goes wrong: what a reader does there, and what it sees."""

import errno
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.mount.harness import Mounted
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.server import Simulator

T = TypeVar("T")
PIECE = 64 * 1024
ABSENT = "an empty file"

_COMPLAINT = re.compile(r"\S+ (?:warning|error|critical): ")
_EACH_TIME = re.compile(r"^\S+ |request RQ\w+")
_INDISCREET = re.compile(r"Traceback|X-Amz-|Signature|https?://\S*\?")


@dataclass(frozen=True)
class Scene:
    """Where a fault strikes: one medium of an account."""

    sid: str
    simulator: Simulator

    @property
    def account(self) -> SimulatedAccount:
        """The medium's account."""
        return self.simulator.account


@dataclass
class Seen:
    """What a reader saw of one file."""

    data: bytes = b""
    error: str | None = None
    """Name of the errno that ended it."""
    call: str = "read"
    """The system call that failed."""
    is_absent: bool = False
    """Whether the file says of itself that there are no media."""
    slowest: float = 0.0
    """Seconds of the system call that took longest."""

    def timed(self, call: str, work: Callable[[], T]) -> T:
        """What `work` returns, its time and failure noted."""
        began = time.monotonic()
        try:
            return work()
        except OSError as failure:
            self.error, self.call = errno.errorcode[failure.errno or 0], call
            raise
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)


def read_file(path: Path, *, after_first: Callable[[], object] = lambda: None) -> Seen:
    """Stat, open and read a file to its end, piece by piece; `after_first` is called when it has its first piece.

    Nothing is read ahead, so that what comes after the first piece is asked for after `after_first`.
    """
    seen = Seen()
    pieces: list[bytes] = []
    descriptor = -1
    try:
        seen.timed("stat", path.stat)
        descriptor = seen.timed("open", lambda: os.open(path, os.O_RDONLY))
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        while piece := seen.timed("read", lambda: os.pread(descriptor, PIECE, len(pieces) * PIECE)):
            pieces.append(piece)
            if len(pieces) == 1:
                after_first()
    except OSError:
        pass
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    seen.data = b"".join(pieces)
    seen.is_absent = _attribute(path, "user.twilio.media") == b"absent"
    return seen


def _attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError:
        return None


def complaints(log: str, about: str) -> list[str]:
    """Warnings and errors of the log that speak of `about`."""
    return [line for line in log.splitlines() if _COMPLAINT.match(line) and about in line]


def spells(log: str, about: str) -> list[list[str]]:
    """The same, begun anew wherever the log says that `about` can be read again: then it may complain once more."""
    found: list[list[str]] = [[]]
    for line in log.splitlines():
        if about in line and line.endswith("can be read again"):
            found.append([])
        found[-1] += complaints(line, about)
    return found


def gist(complaint: str) -> str:
    """A complaint without what differs each time."""
    return _EACH_TIME.sub("", complaint)


def assert_discreet(log: str, account: SimulatedAccount) -> None:
    """Nothing in the log that only a programmer, or nobody at all, should read."""
    assert not _INDISCREET.search(log), log
    assert account.api_secret not in log
    assert account.auth_token not in log


def status_of(mount: Mounted) -> str:
    """`.twfs/status`, as text."""
    return (mount.path / ".twfs" / "status").read_text()
