"""What is told of a folder: the same once and again, sizes as they are known when they are told, and at what cost."""

import stat
from collections import Counter
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.clocks import ManualClock
from tests.fs.fakes import FakeCatalog, FakeLibrary, composition, readable, recording, sid_of
from tests.fs.unhurried import unhurried
from tests.fuse.taking import Buffer, Told
from twfs.fs.options import FsSettings
from twfs.fs.tree import PAGE
from twfs.fs.vfs import Vfs
from twfs.fuse.listing import Listing, Listings
from twfs.resources import Medium

FOLDER = "/recordings"


class House:
    """A file system over a catalogue, and listings of its recordings."""

    def __init__(self, count: int) -> None:
        self.media = [recording(number) for number in range(count)]
        self.catalog = FakeCatalog({medium: readable(number) for number, medium in enumerate(self.media)})
        clock = ManualClock()
        self.vfs = Vfs(self.catalog, FakeLibrary(clock), FsSettings(1, 2, 30), clock, {})
        self.listings = Listings(self.vfs.directory)

    def listing(self, path: str = FOLDER) -> Listing:
        return self.listings.of(path)

    @property
    def pages_made(self) -> int:
        return self.catalog.calls["page"]

    def set_size(self, medium: Medium, size: int) -> None:
        """It turns out to be another object."""
        self.catalog.infos[medium.sid] = readable(size)
        self.catalog.version += 1
        self.catalog.size_version += 1

    def open(self, medium: Medium) -> bool:
        """Whether its pages bypass the kernel's cache, for it was told another size."""
        opened = self.vfs.open(f"{FOLDER}/{medium.file_name}", 0)
        self.vfs.release(opened.handle)
        return opened.bypasses_cache

    def expected(self, listed: Told) -> int | None:
        known = self.catalog.known_size(listed.name.removesuffix(".mkv"))
        return known[0] if known else None


def told(listing: Listing, start: int = 0, room: int = 10**9, *, wants_attributes: bool = True) -> list[Told]:
    """What one call of the kernel's gets."""
    buffer = Buffer(room)
    listing.tell(buffer.taker(wants_attributes=wants_attributes), start)
    assert buffer.refused <= 1, "the first refusal is the end"
    return buffer.told


def size_of(listed: Told) -> int | None:
    return listed.attributes["st_size"] if listed.attributes else None


@pytest.mark.parametrize("count", [0, 1, 5, PAGE - 2, PAGE - 1, 2 * PAGE])
def test_again_is_the_same_as_the_first_time(count: int) -> None:
    house = House(count)
    first = told(house.listing())
    assert [listed.name for listed in first] == [".", "..", *(medium.file_name for medium in house.media)]
    assert [size_of(listed) for listed in first] == [None, None, *range(count)]
    cookies = [listed.cookie for listed in first]
    assert cookies == sorted(set(cookies))
    assert min(cookies) > 0, "that is the beginning"
    made = house.pages_made
    assert told(house.listing()) == first
    assert house.pages_made == made == (count + 2) // PAGE + 1 - (count == 0)


def test_only_sizes_that_are_not_proven_are_asked_for_again() -> None:
    house = House(3 * PAGE)
    unknown, on_trust = house.media[5], house.media[PAGE]
    house.catalog.unprobed.add(unknown.sid)
    house.catalog.claims[on_trust.sid] = PAGE
    first = told(house.listing())
    house.catalog.calls.clear()
    assert told(house.listing()) == first
    assert house.catalog.calls == Counter(known_size=2)
    told(house.listing(), wants_attributes=False)
    assert house.catalog.calls == Counter(known_size=2), "names alone cost none"
    house.catalog.unprobed.clear()
    house.catalog.claims.clear()
    assert [size_of(listed) for listed in told(house.listing())[2:]] == list(range(3 * PAGE))
    house.catalog.calls.clear()
    told(house.listing())
    assert house.catalog.calls == Counter()


def test_links_and_folders_are_told_again_without_a_question() -> None:
    house = House(3)
    for path in ("/", f"/by-room/{house.media[0].room_sid}"):
        listing = house.listing(path)
        first = told(listing)
        assert {listed.attributes is None for listed in first[2:]} == {False}
        assert told(listing) == first
    assert house.catalog.calls["known_size"] == 0


def test_what_there_is_no_room_for_is_hardly_looked_at() -> None:
    house = House(3 * PAGE)
    told(house.listing(), room=10)
    assert house.catalog.calls["known_size"] <= PAGE


def test_a_folder_that_has_changed_is_another_listing() -> None:
    house = House(3)
    before = house.listing()
    (first,) = told(before, room=1)
    house.catalog.replace({recording(9): readable(90)})
    (listed,) = told(house.listing())[2:]
    assert (listed.name, size_of(listed)) == (recording(9).file_name, 90)
    rest = [listed.name for listed in told(before, first.cookie)]
    assert rest == ["..", *(medium.file_name for medium in house.media)], "who is reading a page reads it to its end"


def test_names_alone_have_type_and_inode() -> None:
    house = House(3)
    names = told(house.listing(), wants_attributes=False)
    assert {listed.attributes is None for listed in names} == {True}
    assert [(listed.name, stat.S_IFMT(listed.st_mode), listed.st_ino) for listed in names] == [
        (entry.name, entry.st_mode, entry.st_ino) for entry in house.vfs.readdir(FOLDER)
    ]


def test_what_was_told_is_what_an_open_file_is_held_to() -> None:
    house = House(3)
    medium = house.media[1]
    told(house.listing())
    assert not house.open(medium)
    house.set_size(medium, 50)
    assert house.open(medium), "the kernel still takes it to be smaller"
    told(house.listing())
    assert not house.open(medium)


def test_a_size_found_to_be_another_one_is_told_though_the_catalogue_did_not_say_so() -> None:
    house = House(3)
    medium = house.media[1]
    told(house.listing())
    house.catalog.infos[medium.sid] = readable(50)
    assert house.open(medium)
    assert size_of(told(house.listing())[3]) == 50
    assert not house.open(medium)
    house.catalog.infos[medium.sid] = readable(60)
    house.vfs.getattr(f"{FOLDER}/{medium.file_name}")
    assert size_of(told(house.listing())[3]) == 60


def test_an_open_file_s_former_size_is_not_what_the_next_one_is_held_to() -> None:
    house = House(3)
    medium = house.media[1]
    path = f"{FOLDER}/{medium.file_name}"
    opened = house.vfs.open(path, 0)
    house.set_size(medium, 50)
    told(house.listing())
    assert house.vfs.getattr(path, opened.handle).st_size == 1
    assert size_of(told(house.listing())[3]) == 50
    assert not house.open(medium)
    house.vfs.release(opened.handle)


def test_what_had_no_room_was_not_told() -> None:
    house = House(3)
    told(house.listing())
    house.set_size(house.media[0], 50)
    house.set_size(house.media[1], 60)
    told(house.listing(), room=3)
    assert [house.open(medium) for medium in house.media] == [False, True, False]


def test_a_size_told_on_trust_is_proven_later() -> None:
    house = House(1)
    (medium,) = house.media
    house.catalog.claims[medium.sid] = 7
    assert size_of(told(house.listing())[-1]) == 7
    del house.catalog.claims[medium.sid]
    assert size_of(told(house.listing())[-1]) == 0
    assert house.pages_made == 1


def test_what_changes_elsewhere_renews_no_listing() -> None:
    house = House(3)
    before = told(house.listing())
    media = [*house.media, composition(9, created_at=0)]
    house.catalog.replace({medium: house.catalog.infos.get(medium.sid, readable(1)) for medium in media})
    house.catalog.calls.clear()
    assert told(house.listing()) == before
    assert house.pages_made == 0
    assert house.catalog.calls["known_size"] == 0


def test_a_listing_that_begins_anywhere_uses_the_pages_there_are() -> None:
    house = House(2 * PAGE)
    whole = told(house.listing())
    made = house.pages_made
    for start in (3, PAGE // 2, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE):
        assert told(house.listing(), whole[start].cookie) == whole[start + 1 :]
    assert house.pages_made == made


def test_of_a_very_large_folder_few_pages_are_kept() -> None:
    house = House(10 * PAGE)
    listing = Listings(house.vfs.directory, 9 * PAGE).of(FOLDER)
    names = [medium.file_name for medium in house.media]
    for _ in range(2):
        assert [listed.name for listed in told(listing, wants_attributes=False)[2:]] == names
    assert house.pages_made == 2 * (10 + 1)
    assert len(listing._pages) < 10
    assert listing.weight < 10 * PAGE


def test_no_more_names_are_kept_than_there_is_to_be_memory_for() -> None:
    clock = ManualClock()
    media = {recording(number, room_sid=sid_of(number // 100, "RM")): readable(1) for number in range(500)}
    listings = Listings(Vfs(FakeCatalog(media), FakeLibrary(clock), FsSettings(1, 2, 30), clock, {}).directory, 350)
    rooms = [f"/by-room/{sid_of(number, 'RM')}" for number in range(5)]
    made = [listings.of(room) for room in rooms]
    assert [listings.of(room) is before for room, before in zip(rooms[2:], made[2:], strict=True)] == [True] * 3
    assert [listings.of(room) is before for room, before in zip(rooms[:2], made[:2], strict=True)] == [False] * 2


numbers = st.integers(0, 5)
Event = Callable[[House], None]


def _becomes(number: int, size: int) -> Event:
    return lambda house: house.set_size(recording(number), size)


def _becomes_known(number: int) -> Event:
    return lambda house: house.catalog.unprobed.discard(recording(number).sid)


def _becomes_unknown(number: int) -> Event:
    def change(house: House) -> None:
        house.catalog.unprobed.add(recording(number).sid)
        house.catalog.size_version += 1

    return change


def _is_claimed(number: int, size: int | None) -> Event:
    """On trust, where nothing is proven: a proven size stays."""

    def change(house: House) -> None:
        sid = recording(number).sid
        if size is None:
            house.catalog.claims.pop(sid, None)
        elif sid in house.catalog.unprobed:
            house.catalog.claims[sid] = size

    return change


def _are_there(present: set[int]) -> Event:
    return lambda house: house.catalog.replace({recording(number): readable(number) for number in sorted(present)})


events = st.one_of(
    st.builds(_becomes, numbers, st.integers(0, 9)),
    st.builds(_becomes_known, numbers),
    st.builds(_becomes_unknown, numbers),
    st.builds(_is_claimed, numbers, st.none() | st.integers(0, 9)),
    st.builds(_are_there, st.sets(numbers)),
)


@given(st.lists(st.tuples(st.lists(events, max_size=3), st.integers(1, 5)), min_size=1, max_size=12))
@unhurried
def test_in_any_order_of_events_it_is_one_list_with_sizes_as_known(parts: list[tuple[list[Event], int]]) -> None:
    house = House(6)
    start = cookie = 0
    for changes, room in parts:
        for change in changes:
            change(house)
        if start == 0:
            listing = house.listing()
            names = [entry.name for entry in house.vfs.readdir(FOLDER)]
        part = told(listing, cookie, room)
        assert [listed.name for listed in part] == names[start : start + room]
        for listed in part:
            is_gone = listed.name.removesuffix(".mkv") not in house.catalog.media()
            assert size_of(listed) == house.expected(listed) or is_gone
            cookie = listed.cookie
        start += len(part)
        if not part:
            start = cookie = 0
