import itertools
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.support import START
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount, SimulatedMedium, new_sid
from twfs.simulator.listing import BadParameter, Listing, Page, media_filter

ROOM, OTHER_ROOM = new_sid("RM"), new_sid("RM")
ALICE = new_sid("PA")
SOURCE = new_sid("MT")


def everything(_item: str) -> bool:
    return True


def page(items: list[str], query: str, wanted: Callable[[str], bool] = everything) -> Page[str]:
    parsed = parse_qsl(query, keep_blank_values=True)
    places = {item: index for index, item in enumerate(items)}
    return Listing("things", "http://h/v1/Things", items, str, places.get, wanted, 100).page(parsed)


def link(found: Page[str], name: str) -> str | None:
    url = found.meta[name]
    return None if url is None else urlsplit(str(url)).query


@given(flags=st.lists(st.booleans(), max_size=60), size=st.integers(1, 25))
def test_pages_hold_every_wanted_item_once_forwards_and_backwards(flags: list[bool], size: int) -> None:
    items = [f"{index:03}" for index in range(len(flags))]

    def wanted(item: str) -> bool:
        return flags[int(item)]

    query: str | None = f"PageSize={size}"
    pages = []
    while query is not None:
        pages.append(page(items, query, wanted))
        query = link(pages[-1], "next_page_url")
    assert [item for found in pages for item in found.items] == list(filter(wanted, items))
    assert all(len(found.items) == size for found in pages[:-1])
    assert [found.meta["page"] for found in pages] == list(range(len(pages)))
    for earlier, later in itertools.pairwise(pages):
        back = link(later, "previous_page_url")
        assert back is not None
        assert page(items, back, wanted).items == earlier.items
        assert (link(page(items, back, wanted), "previous_page_url") is None) == (earlier is pages[0])
    assert link(pages[0], "previous_page_url") is None


def test_an_item_that_comes_meanwhile_shifts_nothing() -> None:
    first = page(["b", "c", "d"], "PageSize=2")
    rest = page(["a", "b", "c", "d"], link(first, "next_page_url") or "")
    assert first.items + rest.items == ["b", "c", "d"]


def test_links_keep_the_filters() -> None:
    found = page(["a", "b"], "Status=completed&GroupingSid=x&GroupingSid=y&PageSize=1")
    assert (link(found, "next_page_url") or "").startswith("Status=completed&GroupingSid=x&GroupingSid=y&PageSize=1&")


def test_the_page_size_is_50_by_default() -> None:
    assert len(page([str(index) for index in range(99)], "").items) == 50


@pytest.mark.parametrize(
    "query",
    [
        "PageSize=0",
        "PageSize=101",
        "PageSize=-1",
        "PageSize=x",
        "PageSize=",
        "Page=x",
        "PageToken=PAnone",
        "PageSize=" + "9" * 5000,
    ],
)
def test_what_pages_are_not(query: str) -> None:
    with pytest.raises(BadParameter):
        page(["a"], query)


def media() -> dict[str, SimulatedMedium]:
    account = SimulatedAccount()
    sids = {
        "video": account.add_recording(None, room_sid=ROOM, participant_sid=ALICE, date_created=START),
        "audio": account.add_recording(
            None,
            container="mka",
            room_sid=ROOM,
            source_sid=SOURCE,
            date_created=START + timedelta(seconds=1),
        ),
        "other": account.add_recording(
            None, room_sid=OTHER_ROOM, status="processing", date_created=START + timedelta(seconds=2)
        ),
        "deleted": account.add_recording(None, status="deleted", date_created=START),
    }
    return {name: account.medium(sid) for name, sid in sids.items()}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ([], "video audio other"),
        ([("Status", "completed")], "video audio"),
        ([("Status", "processing")], "other"),
        ([("Status", "deleted")], "deleted"),
        ([("MediaType", "audio")], "audio"),
        ([("MediaType", "data")], ""),
        ([("SourceSid", SOURCE)], "audio"),
        ([("GroupingSid", ROOM)], "video audio"),
        ([("GroupingSid", ROOM), ("GroupingSid", ALICE)], "video"),
        ([("GroupingSid", OTHER_ROOM), ("GroupingSid", ALICE)], ""),
        ([("DateCreatedAfter", "2017-11-23T16:47:18Z")], "audio other"),
        ([("DateCreatedBefore", "2017-11-23T16:47:18Z")], "video"),
        ([("DateCreatedAfter", "2017-11-23T17:47:18+01:00"), ("DateCreatedBefore", "2017-11-23T16:47:19Z")], "audio"),
    ],
)
def test_filters_of_recordings(query: list[tuple[str, str]], names: str) -> None:
    wanted = media_filter(Kind.RECORDING, query)
    assert " ".join(name for name, medium in media().items() if wanted(medium)) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ([], "done queued"),
        ([("RoomSid", ROOM)], "done"),
        ([("Status", "enqueued")], "queued"),
        ([("DateCreatedAfter", "2017-11-23T16:47:18Z")], "queued"),
    ],
)
def test_filters_of_compositions(query: list[tuple[str, str]], names: str) -> None:
    account = SimulatedAccount()
    sids = {
        "done": account.add_composition(None, room_sid=ROOM, date_created=START),
        "queued": account.add_composition(None, status="enqueued", date_created=START + timedelta(days=1)),
        "deleted": account.add_composition(None, status="deleted", date_created=START),
    }
    wanted = media_filter(Kind.COMPOSITION, query)
    assert " ".join(name for name, sid in sids.items() if wanted(account.medium(sid))) == names


@pytest.mark.parametrize(
    "query",
    [
        {"Status": "enqueued"},
        {"Status": "Completed"},
        {"MediaType": "picture"},
        {"SourceSid": "MT1"},
        {"GroupingSid": "RM"},
        {"DateCreatedAfter": "yesterday"},
        {"DateCreatedBefore": ""},
    ],
)
def test_what_no_filter_means(query: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        media_filter(Kind.RECORDING, list(query.items()))
