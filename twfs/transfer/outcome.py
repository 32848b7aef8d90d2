"""How the transfer of one medium ended."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from twfs.crypto.keyring import PrivateKey
from twfs.errors import MediaAbsent, MediaDamaged, NoKey
from twfs.resources import Medium
from twfs.transfer.proof import Md5
from twfs.transfer.whole import Stopped


class Ending(StrEnum):
    """What became of a medium."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    """The file was there, of the same size and time."""
    VERIFIED = "verified"
    ABSENT = "absent"
    """Twilio has no media for it, or has them no more."""
    LOCKED = "locked"
    """No private key at hand fits."""
    DAMAGED = "damaged"
    """It contradicts itself, its envelope, or its ETag."""
    FAILED = "failed"
    STOPPED = "stopped"
    """Called off before its end."""

    @property
    def is_good(self) -> bool:
        """Whether nothing more is to be wished for."""
        return self in (Ending.WRITTEN, Ending.UNCHANGED, Ending.VERIFIED)

    @property
    def is_failure(self) -> bool:
        """Whether something is wrong: not with a medium that Twilio has none for, as of a track that was muted."""
        return not (self.is_good or self is Ending.ABSENT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One medium's row of a report."""

    medium: Medium
    ending: Ending
    reason: str = ""
    """One line, if the ending is not good."""
    path: Path | None = None
    plain_size: int | None = None
    stored_size: int | None = None
    etag: str = ""
    md5: Md5 | None = None
    private_key: PrivateKey | None = None
    """The one that opened it; None if it is not encrypted, or was not opened."""
    fetched: int = 0
    """Bytes read through the network, at most: what was in the cache counts too."""
    resumed_at: int = 0
    """Bytes that were there from before."""
    seconds: float = 0.0

    def record(self) -> dict[str, Any]:
        """JSON-able; null where it is not known."""
        key = self.private_key
        return {
            "sid": self.medium.sid,
            "outcome": self.ending.value,
            "reason": self.reason or None,
            "path": None if self.path is None else str(self.path),
            "size": self.plain_size,
            "stored_size": self.stored_size,
            "etag": self.etag or None,
            "md5": None if self.md5 is None else self.md5.value,
            "key": None if key is None else key.name,
            "key_fingerprint": None if key is None else key.fingerprint,
            "fetched": self.fetched,
            "resumed_at": self.resumed_at,
            "seconds": round(self.seconds, 3),
        }


def failure(medium: Medium, error: Exception) -> Outcome:
    """The row of a medium that was not transferred."""
    endings: dict[type[Exception], Ending] = {
        MediaAbsent: Ending.ABSENT,
        NoKey: Ending.LOCKED,
        MediaDamaged: Ending.DAMAGED,
        Stopped: Ending.STOPPED,
    }
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Outcome(medium, endings.get(type(error), Ending.FAILED), reason.removeprefix(f"{medium.sid}: "))
