"""Media on a terminal of 80 columns: two lines each, so that their SIDs are there in full."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twfs.cli.figures import human_duration, human_size, moment
from twfs.cli.output import escaped
from twfs.cli.tables import SID_WIDTH, cut, in_colour, new_table, show
from twfs.probe import MediaInfo
from twfs.resources import Medium

if TYPE_CHECKING:
    from twfs.cli.tables import Text

_UNKNOWN = "-"
_STATE_WIDTH = 8
"""Columns of `readable`; SIDs of medium and room and two gaps of 2 make 80 with it."""
_TRACK_WIDTH = 20
"""Columns that a track's name may have before who speaks."""
_ROWS_AT_ONCE = 500


def show_media(rows: Sequence[tuple[Medium, MediaInfo | None]]) -> None:
    """Print them; names of people and rooms that are not known are their SIDs."""
    for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
        table = new_table(shows_headings=not start)
        table.add_column(_times("WHEN (UTC)", "LENGTH", "SIZE") + "\nSID", no_wrap=True, min_width=SID_WIDTH)
        table.add_column("STATE\nCODEC", no_wrap=True, width=_STATE_WIDTH)
        table.add_column("TRACK, WHO\nROOM")
        for medium, info in rows[start : start + _ROWS_AT_ONCE]:
            table.add_row(cut(_first(medium, info)), _second(medium, info), _third(medium))
        show(table)


def _first(medium: Medium, info: MediaInfo | None) -> str:
    when = (moment(medium.created_at) or _UNKNOWN).replace("T", " ").removesuffix("Z")
    length = _UNKNOWN if medium.duration is None else human_duration(medium.duration)
    return f"{_times(when, length, human_size(info.plain_size) if info else _UNKNOWN)}\n{medium.sid}"


def _times(when: str, length: str, size: str) -> str:
    return f"{when:19} {length:>7} {size:>6}"


def _second(medium: Medium, info: MediaInfo | None) -> "Text":
    state = in_colour(info.state.value if info else _UNKNOWN)
    return state.append_text(cut(f"\n{escaped(medium.codec or medium.container or _UNKNOWN)}"))


def _third(medium: Medium) -> "Text":
    names = cut(escaped(medium.track_name or _UNKNOWN))
    if medium.participant_sid:
        names.truncate(_TRACK_WIDTH, overflow="ellipsis")
        names.append(f"  {medium.participant_sid}")
    return names.append(f"\n{medium.room_sid or _UNKNOWN}")
