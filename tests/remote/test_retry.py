import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.simulator.support import HandClock
from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, RemoteError, Unreachable
from twfs.remote.retry import RateLimit, Transient, retry_after, retrying


class Attempts:
    """Fails with each of `failures`, then succeeds."""

    def __init__(self, clock: HandClock, *failures: Exception) -> None:
        self.moments: list[float] = []
        self._clock = clock
        self._failures = list(failures)

    def __call__(self) -> str:
        self.moments.append(self._clock.seconds)
        if self._failures:
            raise self._failures.pop(0)
        return "done"

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.moments, self.moments[1:], strict=False)]


def test_failures_are_tried_again_after_growing_pauses() -> None:
    clock = HandClock()
    attempts = Attempts(clock, *[Unreachable("no")] * 5)
    assert retrying(attempts, Deadline(clock, 30)) == "done"
    for pause, middle in zip(attempts.pauses, (0.1, 0.2, 0.4, 0.8, 1.6), strict=True):
        assert 0.5 * middle <= pause <= 1.5 * middle


def test_six_failures_are_the_end() -> None:
    clock = HandClock()
    attempts = Attempts(clock, *[Unreachable(f"no {number}") for number in range(10)])
    with pytest.raises(Unreachable, match="no 5"):
        retrying(attempts, Deadline(clock, 30))
    assert len(attempts.moments) == 6


@given(timeout=st.floats(1, 60), seconds=st.floats(0, 0.05))
def test_a_short_timeout_has_as_many_attempts_as_a_long_one(timeout: float, seconds: float) -> None:
    clock = HandClock()
    moments = []

    def attempt() -> str:
        moments.append(clock.seconds)
        clock.seconds += seconds
        raise Unreachable("no")

    with pytest.raises(Unreachable, match="no"):
        retrying(attempt, Deadline(clock, timeout))
    assert len(moments) == 6
    assert clock.seconds < timeout


@pytest.mark.parametrize("failure", [RemoteError("400"), DeadlineExceeded("late"), ValueError("bug")])
def test_what_another_attempt_cannot_mend_is_not_tried_again(failure: Exception) -> None:
    clock = HandClock()
    attempts = Attempts(clock, failure)
    with pytest.raises(type(failure)):
        retrying(attempts, Deadline(clock, 30))
    assert len(attempts.moments) == 1


def test_where_time_runs_out_in_the_end_what_failed_before_is_told() -> None:
    clock = HandClock()
    attempts = Attempts(clock, Unreachable("HTTP 500"), Unreachable("HTTP 503"), DeadlineExceeded("late"))
    with pytest.raises(DeadlineExceeded, match=r"^late; before that: HTTP 503$"):
        retrying(attempts, Deadline(clock, 30))
    with pytest.raises(DeadlineExceeded, match=r"^late$"):
        retrying(Attempts(clock, DeadlineExceeded("late")), Deadline(clock, 30))


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    clock = HandClock()
    attempts = Attempts(clock, Transient("429", 7.0), Transient("429", 0.0))
    retrying(attempts, Deadline(clock, 30))
    assert attempts.pauses[0] == 7.0
    assert 0.1 <= attempts.pauses[1] <= 0.3


def test_no_pause_outlasts_the_deadline_and_the_failure_is_told_instead() -> None:
    clock = HandClock()
    attempts = Attempts(clock, Transient("HTTP 429", 31.0))
    with pytest.raises(Transient, match="HTTP 429"):
        retrying(attempts, Deadline(clock, 30))
    assert clock.seconds == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("0", 0.0), ("1", 1.0), ("120", 120.0), ("9" * 5000, 999_999.0)],
        *[(None, None), ("", None), ("-1", None), ("1.5", None), ("1e9", None), ("inf", None)],
        *[("\u0663", None), ("\u00b2", None), ("Wed, 21 Oct 2015 07:28:00 GMT", None)],
    ],
)
def test_retry_after_is_whole_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


@given(st.text())
def test_no_retry_after_breaks_anything(header: str) -> None:
    seconds = retry_after(header)
    assert seconds is None or 0 <= seconds < 10**6


@given(st.floats(0.1, 80), st.lists(st.floats(0, 3), max_size=150))
@example(40.0, [0.0] * 130)
@example(0.1, [0.0] * 5)
def test_the_rate_is_never_exceeded(rate: float, gaps: list[float]) -> None:
    clock = HandClock()
    limit = RateLimit(rate, clock)
    moments = []
    for gap in gaps:
        clock.seconds += gap
        limit.acquire(Deadline(clock, 10**9))
        moments.append(clock.seconds)
    burst = max(rate, 1.0)
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            assert last - first + 1 <= burst + rate * (moments[last] - start) + 1 + 1e-6


def test_the_rate_is_reached_and_after_a_pause_a_burst_is_possible_again() -> None:
    clock = HandClock()
    limit = RateLimit(10.0, clock)
    for _ in range(40):
        limit.acquire(Deadline(clock, 30))
    assert clock.seconds == pytest.approx(3.0)
    clock.seconds = 100.0
    for _ in range(10):
        limit.acquire(Deadline(clock, 30))
    assert clock.seconds == 100.0
    limit.acquire(Deadline(clock, 30))
    assert clock.seconds == pytest.approx(100.1)


def test_a_turn_after_the_deadline_is_refused_at_once_and_given_back() -> None:
    clock = HandClock()
    limit = RateLimit(1.0, clock)
    limit.acquire(Deadline(clock, 1))
    for _ in range(5):
        with pytest.raises(DeadlineExceeded):
            limit.acquire(Deadline(clock, 0.5))
    limit.acquire(Deadline(clock, 5))
    assert clock.seconds == pytest.approx(1.0)


def test_held_off_nobody_asks_before_its_end() -> None:
    clock = HandClock()
    limit = RateLimit(10.0, clock)
    for _ in range(3):
        limit.hold_off(2.0)
    limit.acquire(Deadline(clock, 30))
    assert 2.0 <= clock.seconds <= 2.2


def test_an_answer_that_was_long_in_coming_holds_off_as_long_as_any_other() -> None:
    clock = HandClock()
    limit = RateLimit(10.0, clock)
    limit.acquire(Deadline(clock, 30))
    clock.seconds = 5.0
    limit.hold_off(2.0)
    limit.acquire(Deadline(clock, 30))
    assert 7.0 <= clock.seconds <= 7.2


def test_ten_threads_get_their_turns_one_by_one() -> None:
    """Each sleeps on a clock of its own thread's making; the turns must add up all the same."""
    waits: list[float] = []
    lock = threading.Lock()

    class StandingClock(HandClock):
        def sleep(self, seconds: float) -> None:
            with lock:
                waits.append(seconds)

    clock = StandingClock()
    limit = RateLimit(2.0, clock)
    with ThreadPoolExecutor(10) as pool:
        for future in [pool.submit(limit.acquire, Deadline(clock, 30)) for _ in range(12)]:
            future.result()
    assert sorted(waits) == pytest.approx([0.5 * turn for turn in range(1, 11)])
