"""Folders, pages and sums as the state file tells them are what the media themselves say, whatever came and went."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.catalog.fakes import START, FakeClock, FakeInterpreter, FakeTwilio, facts_of, room_of
from tests.fs.fakes import FakeCatalog
from twfs.catalog import changes, queries
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.store import Store
from twfs.folders import FIRST_COOKIE, FIXED_FOLDERS, ROOT, KnownFolder, homes
from twfs.fs.ports import MediaIndex
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

KINDS = st.sampled_from(list(Kind))
MOMENTS = st.none() | st.integers(-2, 3).map(lambda day: START + day * 86_400) | st.just(-5) | st.just(0)
ROOMS = st.none() | st.integers(1, 3).map(room_of)


class IndexMachine(RuleBasedStateMachine):
    """`model` is what there must be; a listing goes on through all that happens."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(None)
        self.clock = FakeClock()
        twilio = FakeTwilio()
        self.catalog = Catalog(twilio, twilio, FakeInterpreter(), self.store, CatalogSettings(), self.clock)
        self.catalog.first_listing()
        self.index: MediaIndex = self.catalog
        self.model: dict[str, Medium] = {}
        self.sizes: dict[str, int] = {}
        self.count = 0
        self.before: dict[str, KnownFolder | None] = {}
        self.touched: set[str] = set()
        self.restart_listing()

    def teardown(self) -> None:
        self.catalog.stop()

    def restart_listing(self) -> None:
        self.path, self.place = "/recordings", 0
        self.seen: list[str] = []
        self.stayed = {sid for sid, medium in self.model.items() if self.is_in(medium, self.path)}

    @staticmethod
    def is_in(medium: Medium, path: str) -> bool:
        return medium.is_completed and path in homes(medium)

    def put(self, *media: Medium) -> None:
        self.remember()
        for medium in media:
            self.touch(self.model.get(medium.sid), medium)
            self.model[medium.sid] = medium
            if not self.is_in(medium, self.path):
                self.stayed.discard(medium.sid)
        self.store.apply(list(media))

    def remember(self) -> None:
        paths = {ROOT, *FIXED_FOLDERS, *(path for medium in self.model.values() for path in above(medium))}
        self.before, self.touched = {path: self.index.folder(path) for path in paths}, set()

    def touch(self, *media: Medium | None) -> None:
        shown = [medium for medium in media if medium is not None and medium.is_completed]
        if len(shown) == 2 and shown[0] == shown[1]:
            return
        self.touched |= {path for medium in shown for path in above(medium)}

    @rule(kind=KINDS, created=MOMENTS, room=ROOMS, status=st.sampled_from(["completed", "completed", "processing"]))
    def create(self, kind: Kind, created: int | None, room: str | None, status: str) -> None:
        self.count += 1
        sid = f"{kind.sid_prefix}{self.count:032x}"
        self.put(Medium(sid, kind, status=status, created_at=created, room_sid=room, claimed_size=7, duration=1))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), created=MOMENTS, room=ROOMS, status=st.sampled_from(["completed", "failed"]))
    def change(self, data: st.DataObject, created: int | None, room: str | None, status: str) -> None:
        medium = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        self.put(medium._replace(created_at=created, room_sid=room, status=status))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        sids = data.draw(st.sets(st.sampled_from(sorted(self.model)), max_size=3))
        self.remember()
        for sid in sids:
            self.touch(self.model.pop(sid))
            self.sizes.pop(sid, None)
        self.stayed -= sids
        self.store.apply([], sids)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), size=st.integers(0, 9))
    def probe(self, data: st.DataObject, size: int) -> None:
        sid = data.draw(st.sampled_from(sorted(self.model)))
        facts = facts_of(sid, size)
        self.remember()
        self.store.save_probe(sid, MediaInfo(MediaState.READABLE, size, True, facts.etag, "", facts))
        self.sizes[sid] = size

    @rule(limit=st.integers(1, 3))
    def list_on(self, limit: int) -> None:
        page = self.index.page(self.path, self.place, limit)
        self.seen += [placed.medium.sid for placed in page]
        if page:
            self.place = page[-1].cookie
        if len(page) < limit:
            assert len(set(self.seen)) == len(self.seen), "doubled"
            assert self.stayed <= set(self.seen), "missed"
            self.restart_listing()

    @invariant()
    def the_file_is_sound(self) -> None:
        self.store.database.write(changes.check)

    @invariant()
    def sums_are_those_of_the_media(self) -> None:
        shown = [sid for sid, medium in self.model.items() if medium.is_completed]
        total = self.index.totals()
        assert (total.media, total.known_bytes) == (len(shown), sum(self.sizes.get(sid, 0) for sid in shown))
        assert len(self.catalog.media()) == len(shown)
        known = [(self.sizes[sid], True) if sid in self.sizes else None for sid in shown]
        assert self.index.known_sizes(shown) == known == [self.catalog.known_size(sid) for sid in shown]
        assert self.index.known_sizes(["RT", *(sid for sid in self.model if sid not in shown)]).count(None) == (
            1 + len(self.model) - len(shown)
        )

    @invariant()
    def folders_are_those_of_the_media(self) -> None:
        """The fake in memory counts anew each time."""
        fake = FakeCatalog({m: MediaInfo(MediaState.READABLE, 0) for m in self.model.values() if m.is_completed})
        paths = {ROOT, *FIXED_FOLDERS, *(path for medium in self.model.values() for path in above(medium))}
        for path in paths:
            ours, expected = self.index.folder(path), fake.folder(path)
            assert (ours is None) == (expected is None), path
            if ours is None or expected is None:
                continue
            assert ours[2:5] == (max(0, expected.changed_at), *expected[3:5]), path
            inside = [folder.path for folder in self.index.subfolders(path, 0, 99)]
            assert set(inside) == {folder.path for folder in fake.subfolders(path, 0, 99)}
            placed = self.index.page(path, 0, 99)
            assert {each.medium for each in placed} == {each.medium for each in fake.page(path, 0, 99)}
            cookies = [each.cookie for each in placed]
            assert cookies == sorted(set(cookies))
            assert min(cookies, default=FIRST_COOKIE) >= FIRST_COOKIE
            assert all(self.index.find(each.medium.sid) == each for each in placed)

    @invariant()
    def only_folders_that_changed_have_another_version(self) -> None:
        for path, before in self.before.items():
            now = self.index.folder(path)
            if path in self.touched:
                assert now is None or before is None or now.version > before.version, path
            else:
                assert now == before, path


def above(medium: Medium) -> set[str]:
    """The folders it is in, and all above them."""
    return {home[:end] for home in homes(medium) for end in range(len(home) + 1) if home[end : end + 1] in ("", "/")}


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

SOME: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (queries.find, ("RT",)),
    (queries.find_all, (["RT", "CJ"],)),
    (queries.sizes, (["RT", "CJ"],)),
    (queries.folder, ("/by-date",)),
    (queries.subfolders, ("/by-date", 0, 9)),
    (queries.subfolders, ("", 0, 9)),
    (queries.page, ("/recordings", 0, 9)),
    (queries.page, ("/by-date/undated", 0, 9)),
    (queries.page, (f"/by-room/{room_of(1)}", 0, 9)),
    (queries.shown_after, (0, 9)),
    (queries.pending, (Kind.RECORDING, 0, 9)),
    (queries.pending_span, (Kind.RECORDING,)),
    (queries.closed, ("keys", ("", 0), 9)),
    (queries.unsettled, ()),
    (queries.count_unsettled, ()),
    (queries.numbers_of, (Kind.RECORDING, 1, 0, 9)),
    (queries.newest, (Kind.RECORDING, 9)),
    (queries.sid_of, (1,)),
]


@pytest.mark.parametrize(("query", "arguments"), SOME)
def test_no_question_is_a_pass_over_all_media(query: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    store = Store(None)
    media = [Medium(f"RT{n:032x}", Kind.RECORDING, status="completed", room_sid=room_of(1)) for n in range(3)]
    store.apply(media)

    def explained(connection: sqlite3.Connection) -> list[str]:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        query(connection, *arguments)
        connection.set_trace_callback(None)
        return [row[3] for each in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]

    plan = store.known(explained)
    assert plan
    assert not [step for step in plan if step.startswith("SCAN media") and "INDEX" not in step], plan
    assert not [step for step in plan if "SCAN folders" in step or "TEMP B-TREE" in step], plan
    store.close()
