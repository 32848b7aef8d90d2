from hypothesis import given
from hypothesis import strategies as st

from twfs.remote.perseverance import LONGEST_PATIENCE, SECONDS_PER_PAGE, Perseverance

ASKED = st.none() | st.floats(0, 2000)


def after(pages: int) -> Perseverance:
    perseverance = Perseverance()
    for _ in range(pages):
        perseverance.came()
    return perseverance


@given(st.integers(0, 2000), st.lists(ASKED, min_size=1, max_size=200), st.floats(0, 1e6))
def test_a_page_is_waited_for_as_long_as_those_before_it_are_worth(
    pages: int, answers: list[float | None], start: float
) -> None:
    perseverance, now = after(pages), start
    patience = min(pages * SECONDS_PER_PAGE, LONGEST_PATIENCE)
    for asked in answers:
        pause = perseverance.pause(now, asked)
        if pause is None:
            assert now + max(30, asked or 0) - start > patience
            break
        assert pause >= max(1, asked or 0)
        now += pause
        assert now - start <= patience + 1e-6


def test_pauses_double_until_they_are_half_a_minute_and_begin_anew_with_each_page() -> None:
    perseverance = after(1000)
    assert [perseverance.pause(0, None) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    perseverance.came()
    assert perseverance.pause(10_000, None) == 1


def test_without_a_page_there_is_nothing_to_wait_for() -> None:
    assert Perseverance().pause(0, None) is None
