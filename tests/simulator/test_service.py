from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.support import HandClock
from twfs.simulator.service import RateLimit


@given(pauses=st.lists(st.floats(0, 2), max_size=60), limit=st.integers(1, 5))
def test_no_second_sees_more_than_its_limit(pauses: list[float], limit: int) -> None:
    clock = HandClock()
    rate = RateLimit(clock, limit)
    admitted: list[float] = []
    for pause in pauses:
        clock.sleep(pause)
        recent = sum(clock.seconds - moment < 1 for moment in admitted)
        assert rate.admits() == (recent < limit)
        if recent < limit:
            admitted.append(clock.seconds)
