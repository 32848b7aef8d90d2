"""Filters and paging of the API's lists. Pure: from a whole list and a query to one page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from twfs.resources import Kind, is_sid
from twfs.simulator.account import SimulatedMedium

Query = Sequence[tuple[str, str]]
Predicate = Callable[[SimulatedMedium], bool]
Item = TypeVar("Item")

_STATUSES = {
    Kind.RECORDING: ("processing", "completed", "deleted", "failed"),
    Kind.COMPOSITION: ("enqueued", "processing", "completed", "deleted", "failed"),
}
_MEDIA_TYPES = ("audio", "video", "data")
_DIGITS = re.compile(r"[0-9]{1,18}")
_LAST_PAGE = 10**9
_PAGING = ("PageSize", "Page", "PageToken")


class BadParameter(ValueError):
    """A parameter that the API refuses (400)."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list and the way to its neighbours."""

    items: list[Item]
    meta: dict[str, object]


def media_filter(kind: Kind, query: Query) -> Predicate:
    """Which media the query asks for; deleted ones only if it says so.

    Raises:
        BadParameter: a value is not of its kind.
    """
    given = dict(query)
    groups = {_sid("GroupingSid", value) for name, value in query if name == "GroupingSid"}
    status = _one_of("Status", given.get("Status"), _STATUSES[kind])
    after = _moment("DateCreatedAfter", given.get("DateCreatedAfter"))
    before = _moment("DateCreatedBefore", given.get("DateCreatedBefore"))
    media_type = _one_of("MediaType", given.get("MediaType"), _MEDIA_TYPES) if kind is Kind.RECORDING else None
    source = _sid("SourceSid", given["SourceSid"]) if kind is Kind.RECORDING and "SourceSid" in given else None
    room = _sid("RoomSid", given["RoomSid"]) if kind is Kind.COMPOSITION and "RoomSid" in given else None

    def wanted(medium: SimulatedMedium) -> bool:
        return (
            (medium.status == status if status else medium.status != "deleted")
            and (after is None or medium.date_created >= after)
            and (before is None or medium.date_created < before)
            and (media_type is None or medium.type == media_type)
            and (source is None or medium.source_sid == source)
            and (room is None or medium.room_sid == room)
            and (kind is not Kind.RECORDING or groups <= {medium.room_sid, medium.participant_sid})
        )

    return wanted


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """A list that can be paged through."""

    key: str
    """The name of the list in the answer."""
    url: str
    items: Sequence[Item]
    sid_of: Callable[[Item], str]
    index_of: Callable[[str], int | None]
    """Where in `items` the one of that SID stands."""
    wanted: Callable[[Item], bool]
    largest_page: int

    def page(self, query: Query) -> Page[Item]:
        """The page that the query asks for; only the items of that page are looked at, and those passed over.

        A token names the record it begins after (`PA`) or ends before (`PB`), so a page neither repeats nor skips
        records when others come or go meanwhile.

        Raises:
            BadParameter: a page size outside 1..`largest_page`, or an unknown token.
        """
        given = dict(query)
        size = whole("PageSize", given.get("PageSize", "50"), 1, self.largest_page)
        number = whole("Page", given.get("Page", "0"), 0, _LAST_PAGE)
        token = given.get("PageToken", "")
        shown, has_previous, has_next = self._backward(token, size) if token[:2] == "PB" else self._forward(token, size)
        filters = [(name, value) for name, value in query if name not in _PAGING]

        def link(page: int, token: str = "") -> str:
            paging = [("PageSize", str(size)), ("Page", str(page))] + ([("PageToken", token)] if token else [])
            return f"{self.url}?{urlencode(filters + paging, quote_via=quote)}"

        meta = {
            "key": self.key,
            "page": number,
            "page_size": size,
            "url": link(number, token),
            "first_page_url": link(0),
            "previous_page_url": link(max(number - 1, 0), f"PB{self.sid_of(shown[0])}") if has_previous else None,
            "next_page_url": link(number + 1, f"PA{self.sid_of(shown[-1])}") if has_next else None,
        }
        return Page(shown, meta)

    def _forward(self, token: str, size: int) -> tuple[list[Item], bool, bool]:
        start = self._index(token) + 1 if token else 0
        found = self._first_wanted(range(start, len(self.items)), size + 1)
        return found[:size], bool(token) and bool(found), len(found) > size

    def _backward(self, token: str, size: int) -> tuple[list[Item], bool, bool]:
        found = self._first_wanted(range(self._index(token) - 1, -1, -1), size + 1)
        return found[:size][::-1], len(found) > size, bool(found)

    def _first_wanted(self, indexes: range, count: int) -> list[Item]:
        candidates = (self.items[index] for index in indexes)
        return list(islice(filter(self.wanted, candidates), count))

    def _index(self, token: str) -> int:
        index = self.index_of(token[2:])
        if index is None:
            raise BadParameter("PageToken is not one of this list")
        return index


def whole(name: str, text: str, low: int, high: int) -> int:
    """The whole number in `[low, high]` that a parameter holds.

    Raises:
        BadParameter: it holds none.
    """
    if not (_DIGITS.fullmatch(text) and low <= int(text) <= high):
        raise BadParameter(f"{name} must be between {low} and {high}")
    return int(text)


def _one_of(name: str, value: str | None, allowed: Sequence[str]) -> str | None:
    if value is not None and value not in allowed:
        raise BadParameter(f"{name} must be one of {', '.join(allowed)}")
    return value


def _sid(name: str, value: str) -> str:
    if not is_sid(value[:2].upper() + value[2:], ""):
        raise BadParameter(f"{name} is no SID")
    return value


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"{name} is no ISO 8601 date-time") from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
