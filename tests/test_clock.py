import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.support import HandClock
from twfs.clock import Deadline, SystemClock
from twfs.errors import DeadlineExceeded


@given(st.floats(0.001, 3600), st.lists(st.floats(0, 600), max_size=20))
def test_what_remains_is_above_zero_or_an_error(seconds: float, steps: list[float]) -> None:
    clock = HandClock()
    deadline = Deadline(clock, seconds)
    for step in steps:
        clock.seconds += step
        if clock.seconds < seconds:
            assert deadline.remaining() == pytest.approx(seconds - clock.seconds)
        else:
            with pytest.raises(DeadlineExceeded, match="option timeout"):
                deadline.remaining()


@given(st.floats(0.01, 100), st.floats(0, 200))
def test_a_pause_ends_before_the_deadline_or_does_not_begin(seconds: float, pause: float) -> None:
    clock = HandClock()
    deadline = Deadline(clock, seconds)
    if pause < seconds:
        deadline.sleep(pause)
        assert clock.seconds == pause
    else:
        with pytest.raises(DeadlineExceeded):
            deadline.sleep(pause)
        assert clock.seconds == 0


def test_nothing_remains_of_no_time() -> None:
    for seconds in (0.0, -1.0):
        with pytest.raises(DeadlineExceeded):
            Deadline(HandClock(), seconds).remaining()


def test_a_jump_of_the_wall_clock_moves_no_deadline() -> None:
    class JumpingClock(HandClock):
        def wall(self) -> float:
            return -1e9

    assert Deadline(JumpingClock(), 30).remaining() == 30


def test_the_system_s_time_passes() -> None:
    clock = SystemClock()
    began, wall = clock.monotonic(), clock.wall()
    clock.sleep(0.01)
    assert clock.monotonic() - began >= 0.01
    assert abs(wall - time.time()) < 60
