"""Filters and paging of the API's lists. Pure: from a whole list and a query to one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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


def page_of(
    items: Sequence[Item], sid_of: Callable[[Item], str], query: Query, *, url: str, key: str, largest: int
) -> Page[Item]:
    """The page of `items` that the query asks for.

    A token names the record it begins after (`PA`) or ends before (`PB`), so a page neither repeats nor skips
    records when others come or go meanwhile.

    Raises:
        BadParameter: a page size outside 1..`largest`, or an unknown token.
    """
    given = dict(query)
    size = _page_size(given.get("PageSize", "50"), largest)
    number = _whole("Page", given.get("Page", "0"))
    start, end = _bounds([sid_of(item) for item in items], given.get("PageToken", ""), size)
    shown = list(items[start:end])
    filters = [(name, value) for name, value in query if name not in _PAGING]

    def link(page: int, token: str = "") -> str:
        paging = [("PageSize", str(size)), ("Page", str(page))] + ([("PageToken", token)] if token else [])
        return f"{url}?{urlencode(filters + paging, quote_via=quote)}"

    meta = {
        "key": key,
        "page": number,
        "page_size": size,
        "url": link(number, given.get("PageToken", "")),
        "first_page_url": link(0),
        "previous_page_url": link(max(number - 1, 0), f"PB{sid_of(shown[0])}") if shown and start else None,
        "next_page_url": link(number + 1, f"PA{sid_of(shown[-1])}") if shown and end < len(items) else None,
    }
    return Page(shown, meta)


def _bounds(sids: list[str], token: str, size: int) -> tuple[int, int]:
    if not token:
        return 0, size
    try:
        at = sids.index(token[2:])
    except ValueError:
        raise BadParameter("PageToken is not one of this list") from None
    if token.startswith("PA"):
        return at + 1, at + 1 + size
    return max(at - size, 0), at


def _page_size(text: str, largest: int) -> int:
    size = _whole("PageSize", text)
    if not 1 <= size <= largest:
        raise BadParameter(f"PageSize must be between 1 and {largest}")
    return size


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadParameter(f"{name} must be a whole number")
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
