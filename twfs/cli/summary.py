"""An account's media in sum: by month and kind."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twfs.cli.figures import human_size, moment
from twfs.cli.tables import complete
from twfs.probe import MediaInfo
from twfs.resources import Kind, Medium

_UNDATED = "undated"
_BAR_WIDTH = 30
_HEADINGS = ["MONTH", "KIND", "COUNT", "HOURS", "SIZE", ""]
_RIGHT_ALIGNED = frozenset((2, 3, 4))


@dataclass(slots=True)
class Group:
    """The media of one month and kind."""

    month: str
    """`2017-11`, or `undated`."""
    kind: Kind
    count: int = 0
    seconds: int = 0
    size: int = 0
    """Bytes of plaintext; of media that were not looked at yet, as Twilio claims them."""
    claimed: int = 0
    """How many of them were not looked at."""

    def add(self, medium: Medium, info: MediaInfo | None) -> None:
        """One more."""
        self.count += 1
        self.seconds += medium.duration or 0
        self.size += info.plain_size if info else medium.claimed_size or 0
        self.claimed += info is None

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "month": self.month,
            "kind": self.kind.value,
            "count": self.count,
            "hours": round(self.seconds / 3600, 3),
            "bytes": self.size,
            "claimed": self.claimed,
        }


def groups_of(rows: Iterable[tuple[Medium, MediaInfo | None]]) -> list[Group]:
    """By month, then kind; the undated last."""
    groups: dict[tuple[str, Kind], Group] = {}
    for medium, info in rows:
        month = (moment(medium.created_at) or _UNDATED)[:7]
        groups.setdefault((month, medium.kind), Group(month, medium.kind)).add(medium, info)
    return [groups[key] for key in sorted(groups)]


def chart_of(groups: list[Group]) -> str:
    """A table with a bar for each group's bytes, and the sums."""
    largest = max((group.size for group in groups), default=0)
    lines = [[*_cells(group.month, group.kind.value, group), _bar(group.size, largest)] for group in groups]
    sums = [[*_cells("all", kind.value, total), ""] for kind, total in _totals(groups).items()]
    claimed = sum(group.claimed for group in groups)
    note = f"\nThe sizes of {claimed} media that were not looked at yet are Twilio's figures." if claimed else ""
    return complete([_HEADINGS, *lines, *sums], _RIGHT_ALIGNED) + note


def plain_groups(groups: list[Group]) -> str:
    """The values of each group's record under their names, separated by tabs."""
    names = Group("", Kind.RECORDING).record()
    return "\n".join("\t".join(map(str, line)) for line in [names, *(group.record().values() for group in groups)])


def _totals(groups: list[Group]) -> dict[Kind, Group]:
    totals: dict[Kind, Group] = {}
    for group in groups:
        total = totals.setdefault(group.kind, Group("", group.kind))
        total.count += group.count
        total.seconds += group.seconds
        total.size += group.size
    return totals


def _cells(month: str, kind: str, group: Group) -> list[str]:
    return [month, kind, str(group.count), f"{group.seconds / 3600:.1f}", human_size(group.size)]


def _bar(size: int, largest: int) -> str:
    length = -(-_BAR_WIDTH * size // largest) if largest else 0
    return _block() * length


def _block() -> str:
    """A full block where the terminal's encoding has one."""
    try:
        "█".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#"
    return "█"
