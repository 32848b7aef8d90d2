"""How the export of one medium ended, and of all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """What became of a medium."""

    WRITTEN = "written"
    SKIPPED = "skipped"
    """It is there already and equal, or Twilio has no media for it (any more)."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One medium's row of a report."""

    sid: str
    name: str
    """Below the destination."""
    ending: Ending
    reason: str = ""
    """One line; empty only if it was written."""
    plain_size: int | None = None
    has_media: bool = True
    """Whether Twilio has media for it, as far as is known."""
    is_shared: bool = False
    """Whether the reason is the destination's, and so that of all media."""

    def record(self) -> dict[str, Any]:
        """JSON-able; null where it is not known."""
        return {
            "sid": self.sid,
            "name": self.name,
            "outcome": self.ending.value,
            "reason": self.reason or None,
            "size": self.plain_size,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All of an export."""

    destination: str
    outcomes: Sequence[Outcome]

    def count(self, ending: Ending) -> int:
        """How many ended so."""
        return Counter(outcome.ending for outcome in self.outcomes)[ending]

    @property
    def without_media(self) -> int:
        """How many of those skipped have no media at Twilio."""
        return sum(not outcome.has_media for outcome in self.outcomes)

    @property
    def written_bytes(self) -> int:
        """Plaintext written."""
        return sum(outcome.plain_size or 0 for outcome in self.outcomes if outcome.ending is Ending.WRITTEN)

    def record(self) -> dict[str, Any]:
        """JSON-able, in the order of names."""
        in_order = sorted(self.outcomes, key=lambda outcome: outcome.name)
        return {
            "destination": self.destination,
            **{ending.value: self.count(ending) for ending in Ending},
            "written_bytes": self.written_bytes,
            "media": [outcome.record() for outcome in in_order],
        }
