"""What callers were told, against plain dictionaries that forget nothing."""

import hypothesis.strategies as st
from hypothesis import given

from tests.fs.unhurried import unhurried
from twfs.fs.shown import Shown, object_digest

cookies = st.sampled_from([0, 3, 4095, 4096, 10**9])
sizes = st.sampled_from([0, 1, 2**62 - 1])
identities = st.sampled_from(["", '"e1"', "0f" * 20])
steps = st.one_of(
    st.tuples(st.just("tell"), cookies, sizes, st.booleans()),
    st.tuples(st.just("open"), cookies, sizes, identities),
    st.tuples(st.just("contradict"), cookies, sizes, st.none()),
)


@unhurried
@given(st.lists(steps))
def test_it_remembers_what_was_told_and_opened(story: list[tuple[str, int, int, object]]) -> None:
    shown = Shown()
    told: dict[int, tuple[int, bool]] = {}
    opened: dict[int, str] = {}
    for what, cookie, size, rest in story:
        before = told.get(cookie)
        differs = before is not None and before[0] != size
        surprise = shown.surprise
        if what == "tell":
            shown.tell(cookie, size, is_proven=bool(rest))
            told[cookie] = (size, bool(rest))
            assert (shown.surprise is not surprise) == differs
        elif what == "open":
            identity = str(rest)
            is_same = opened.get(cookie, identity) == identity
            assert shown.open(cookie, size, identity) == (differs, is_same)
            told.setdefault(cookie, (size, True))
            opened[cookie] = identity
            assert (shown.surprise is not surprise) == differs
        elif before is not None and differs and not before[1]:
            assert shown.contradicted(cookie, size) == before[0]
            told[cookie] = (before[0], True)
        else:
            assert shown.contradicted(cookie, size) is None
        _check_opened(shown, cookie, opened.get(cookie))


def _check_opened(shown: Shown, cookie: int, identity: str | None) -> None:
    was_read = shown.was_read(cookie)
    assert (was_read is None) == (identity is None)
    for other in ("", '"e1"', "0f" * 20):
        assert shown.is_last_opened(cookie, object_digest(other)) == (other == identity)
        assert was_read is None or was_read(other) == (other == identity)


def test_a_hundred_thousand_told_media_take_two_megabytes() -> None:
    shown = Shown()
    for cookie in range(100_000):
        shown.tell(cookie, cookie)
        shown.open(cookie, cookie, "")
    chunks = [*shown._sizes._chunks.values(), *shown._objects._chunks.values()]
    assert sum(len(chunk) * chunk.itemsize for chunk in chunks) < 2 * 2**20
