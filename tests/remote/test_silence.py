from hypothesis import given
from hypothesis import strategies as st

from twfs.remote.silence import SUSPICION, Hearing, is_condemned, longest_idle

MOMENTS = st.floats(0, 1000)


def test_one_that_stood_idle_is_given_up_soon_and_a_new_one_has_time() -> None:
    assert Hearing(100, is_reused=True).given_up_at(0) == 100 + SUSPICION
    assert Hearing(100).given_up_at(0) == 110
    assert Hearing(100, is_reused=True, heard_at=101).given_up_at(0) == 110


def test_a_slow_host_has_twice_the_time_that_it_took() -> None:
    assert Hearing(100, is_reused=True).given_up_at(3) == 106
    assert Hearing(100, is_reused=True).given_up_at(300) == 110


def test_one_that_stood_idle_has_twice_the_time_at_each_attempt() -> None:
    waits = [Hearing(100, attempt, is_reused=True).given_up_at(0.1) - 100 for attempt in range(5)]
    assert waits == [2, 4, 8, 10, 10]


def test_headers_have_their_time_as_a_whole_and_a_body_for_each_byte() -> None:
    for heard_at in (101.0, 109.0):
        assert Hearing(100, heard_at=heard_at).given_up_at(0) == 110
        assert Hearing(100, heard_at=heard_at, has_headers=True).given_up_at(0) == heard_at + 2.5


@given(st.integers(0, 50), MOMENTS)
def test_patience_grows_with_attempts_and_ends(attempt: int, moment: float) -> None:
    body = Hearing(0, attempt, heard_at=moment, has_headers=True)
    later = Hearing(0, attempt + 1, heard_at=moment, has_headers=True)
    assert moment + 2.4 < body.given_up_at(0) <= later.given_up_at(0) < moment + 10.1


@given(MOMENTS, MOMENTS, MOMENTS, st.booleans(), st.booleans())
def test_only_what_stood_idle_and_has_brought_nothing_since_is_lost_with_another(
    asked_at: float, alive_at: float, silent_since: float, is_reused: bool, is_heard: bool
) -> None:
    hearing = Hearing(asked_at, is_reused=is_reused, heard_at=asked_at if is_heard else None)
    assert is_condemned(hearing, alive_at, silent_since) == (is_reused and not is_heard and alive_at < silent_since)


@given(MOMENTS, st.floats(0, 100), st.integers(2, 100))
def test_what_was_alive_last_before_the_silence_is_never_used_again(
    silent_since: float, passed: float, longest: int
) -> None:
    now = silent_since + SUSPICION + passed
    seconds = longest_idle(now, silent_since, longest)
    assert 1 <= seconds <= longest
    # Even where libcurl rounds the time that a connection was idle down to whole seconds.
    assert now - seconds - 1 >= silent_since - 1e-6
