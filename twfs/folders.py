"""The folders of media: which of them a medium is in, and what the catalogue tells of each. Pure.

Paths begin with a slash and have none at the end; the root's is empty. The root and `FIXED_FOLDERS` always exist;
every other folder is shown as long as there are media in it or below it.

A cookie is the place of a name in its folder: names are listed in the order of their cookies, and whoever has come to
one of them goes on behind it, whatever has come or gone since. A cookie is never given twice, and stays the same
across remounts.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from twfs.resources import Kind, Medium

FIRST_COOKIE = 3
"""0 is the beginning, `.` and `..` have the next two: NFSv4 knows neither, and keeps these numbers to itself."""

ROOT = ""
BY_DATE = "/by-date"
BY_ROOM = "/by-room"
FOLDER_OF = {kind: f"/{kind}" for kind in Kind}
KIND_FOLDERS = tuple(FOLDER_OF.values())
FIXED_FOLDERS = (*KIND_FOLDERS, BY_DATE, BY_ROOM)
"""Folders that are there without media, too, in the order in which the root lists them."""

UNDATED = "undated"
_SECONDS_A_DAY = 86_400


class PlacedMedium(NamedTuple):
    """A medium and where it stands in each of its folders."""

    cookie: int
    medium: Medium


class KnownFolder(NamedTuple):
    """What is known of a folder of media at one moment."""

    path: str
    cookie: int
    """Its place in the folder it is in; never that of a medium in the same folder."""
    changed_at: int
    """`changed_at` of the newest medium in it or below it, at least 0; seconds since 1970 UTC."""
    folders: int
    """Folders in it that are shown."""
    media: int
    """Media in it itself."""
    version: int
    """Grows whenever a name, a time or a count in it or below it changes; sizes are no part of that."""


class Totals(NamedTuple):
    """All media of the mount."""

    media: int
    known_bytes: int
    """Sum of the plain sizes known."""


def homes(medium: Medium) -> tuple[str, ...]:
    """Paths of the folders a medium is in: that of its kind, where its regular file is, first."""
    dated = f"{BY_DATE}/{date_path(medium.created_at)}"
    if medium.room_sid is None:
        return (FOLDER_OF[medium.kind], dated)
    return (FOLDER_OF[medium.kind], dated, f"{BY_ROOM}/{medium.room_sid}")


def date_path(created_at: int | None) -> str:
    """`2017/11/23`, or `undated`."""
    return UNDATED if created_at is None else _day_path(created_at // _SECONDS_A_DAY)


def calendar_moment(seconds: int) -> datetime | None:
    """In UTC; None outside the years that the calendar has, 1 to 9999."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=4096)
def _day_path(day: int) -> str:
    moment = calendar_moment(day * _SECONDS_A_DAY)
    return UNDATED if moment is None else f"{moment.year:04}/{moment:%m/%d}"
