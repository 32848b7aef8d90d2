from hypothesis import given
from hypothesis import strategies as st

from twfs.media.lanes import FEWEST, Lanes


class Machine:
    """A clock, and a process that uses so much of the processor."""

    def __init__(self, connections: int = 16) -> None:
        self.now = 1000.0
        self.spent = 50.0
        self.lanes = Lanes(connections, lambda: self.spent)

    def most(self, busy: float, seconds: float = 0.1) -> int:
        """After so long of being so busy."""
        self.now += seconds
        self.spent += busy * seconds
        return self.lanes.most(self.now)


def test_at_first_all_connections_are_used() -> None:
    assert Machine().most(0) == 16


def test_a_busy_processor_has_fewer_and_a_free_one_more() -> None:
    machine = Machine()
    machine.most(0)
    counts = [machine.most(1.1) for _ in range(10)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == FEWEST
    counts = [machine.most(0.5) for _ in range(10)]
    assert counts == sorted(counts)
    assert counts[-1] == 16


def test_in_between_nothing_changes() -> None:
    machine = Machine()
    machine.most(0)
    fewer = [machine.most(1.1, 0.3) for _ in range(2)][-1]
    assert [machine.most(0.8, 0.3) for _ in range(10)] == [fewer] * 10


def test_a_moment_of_work_means_nothing() -> None:
    machine = Machine()
    machine.most(0)
    assert [machine.most(20, 0.001), machine.most(0)] == [16, 16]


@given(st.integers(1, 64), st.lists(st.tuples(st.floats(0, 4), st.floats(0, 100))))
def test_there_are_never_too_few_or_too_many(connections: int, uses: list[tuple[float, float]]) -> None:
    machine = Machine(connections)
    for busy, seconds in uses:
        assert min(FEWEST, connections) <= machine.most(busy, seconds) <= connections
