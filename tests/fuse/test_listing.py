"""What is told of a folder: the same once and again, sizes as they are known when they are told, and at what cost."""

from collections import Counter
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.clocks import ManualClock
from tests.fs.fakes import FakeCatalog, FakeLibrary, readable, recording
from tests.fs.unhurried import unhurried
from tests.fuse.taking import Buffer, Record, Told
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Entry, Vfs
from twfs.fuse.listing import _BLOCK, Listing
from twfs.resources import Medium

FOLDER = "/recordings"


class House:
    """A file system over a catalogue, and listings of its recordings."""

    def __init__(self, count: int) -> None:
        self.media = [recording(number) for number in range(count)]
        self.catalog = FakeCatalog({medium: readable(number) for number, medium in enumerate(self.media)})
        clock = ManualClock()
        self.vfs = Vfs(self.catalog, FakeLibrary(clock), FsSettings(1, 2, 30), clock, {})
        self.made = 0

    def listing(self) -> Listing:
        return self.vfs.remembered(FOLDER, self._make)

    def _make(self, entries: list[Entry]) -> Listing:
        self.made += 1
        return Listing(self.vfs, entries, Record)

    def set_size(self, medium: Medium, size: int) -> None:
        """It turns out to be another object."""
        self.catalog.infos[medium.sid] = readable(size)
        self.catalog.version += 1

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


@pytest.mark.parametrize("count", [0, 1, 5, _BLOCK - 2, _BLOCK - 1, 2 * _BLOCK])
def test_again_is_the_same_as_the_first_time(count: int) -> None:
    house = House(count)
    first = told(house.listing())
    assert [listed.name for listed in first] == [".", "..", *(medium.file_name for medium in house.media)]
    assert [size_of(listed) for listed in first] == [None, None, *range(count)]
    cookies = [listed.cookie for listed in first]
    assert cookies == sorted(set(cookies))
    assert min(cookies) > 0, "that is the beginning"
    assert told(house.listing()) == first
    assert house.made == 1


def test_only_sizes_that_are_not_proven_are_asked_for_again() -> None:
    house = House(3 * _BLOCK)
    unknown, on_trust = house.media[5], house.media[_BLOCK]
    house.catalog.unprobed.add(unknown.sid)
    house.catalog.claims[on_trust.sid] = _BLOCK
    first = told(house.listing())
    house.catalog.calls.clear()
    assert told(house.listing()) == first
    assert house.catalog.calls == Counter(known_size=2)
    told(house.listing(), wants_attributes=False)
    assert house.catalog.calls == Counter(known_size=2), "names alone cost none"
    house.catalog.unprobed.clear()
    house.catalog.claims.clear()
    assert [size_of(listed) for listed in told(house.listing())[2:]] == list(range(3 * _BLOCK))
    house.catalog.calls.clear()
    told(house.listing())
    assert house.catalog.calls == Counter()


def test_links_and_folders_are_told_again_without_a_question() -> None:
    house = House(3)
    for path in ("/", f"/by-room/{house.media[0].room_sid}"):
        listing = house.vfs.remembered(path, lambda entries: Listing(house.vfs, entries, Record))
        first = told(listing)
        assert {listed.attributes is None for listed in first[2:]} == {False}
        assert told(listing) == first
    assert house.catalog.calls["known_size"] == 0


def test_what_there_is_no_room_for_is_hardly_looked_at() -> None:
    house = House(3 * _BLOCK)
    told(house.listing(), room=10)
    assert house.catalog.calls["known_size"] <= _BLOCK


def test_another_tree_is_another_listing() -> None:
    house = House(3)
    before = house.listing()
    house.catalog.replace({recording(9): readable(90)})
    (listed,) = told(house.listing())[2:]
    assert (listed.name, size_of(listed)) == (recording(9).file_name, 90)
    assert len(before) == 5, "who still reads the former one reads that to its end"
    assert [listed.name for listed in told(before)[2:]] == [medium.file_name for medium in house.media]


def test_names_alone_have_type_and_inode() -> None:
    house = House(3)
    names = told(house.listing(), wants_attributes=False)
    assert {listed.attributes is None for listed in names} == {True}
    assert [(listed.name, listed.st_mode, listed.st_ino) for listed in names] == [
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
    assert house.made == 1


numbers = st.integers(0, 5)
Event = Callable[[House], None]


def _becomes(number: int, size: int) -> Event:
    return lambda house: house.set_size(recording(number), size)


def _becomes_known(number: int) -> Event:
    return lambda house: house.catalog.unprobed.discard(recording(number).sid)


def _becomes_unknown(number: int) -> Event:
    def change(house: House) -> None:
        house.catalog.unprobed.add(recording(number).sid)
        house.catalog.version += 1

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
    listing = house.listing()
    names = [entry.name for entry in house.vfs.readdir(FOLDER)]
    start = cookie = 0
    for changes, room in parts:
        for change in changes:
            change(house)
        part = told(listing, cookie, room)
        assert [listed.name for listed in part] == names[start : start + room]
        for listed in part:
            assert size_of(listed) == house.expected(listed)
            cookie = listed.cookie
        start += len(part)
        if not part:
            listing, start, cookie = house.listing(), 0, 0
            names = [entry.name for entry in house.vfs.readdir(FOLDER)]
