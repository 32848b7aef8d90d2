import threading
from contextlib import closing

import pytest

from twfs.transfer.aside import Aside

PATIENCE = 30.0


def test_calls_run_in_order_and_beside_the_caller() -> None:
    seen: list[int] = []
    gate = threading.Event()
    with closing(Aside()) as aside:
        aside.run(gate.wait, PATIENCE)
        for number in range(5):
            aside.run(seen.append, number)
        assert seen == []
        gate.set()
        aside.wait()
        assert seen == list(range(5))


def test_no_more_are_due_than_can_be_kept() -> None:
    gates = [threading.Event() for _ in range(20)]
    begun = 0

    def hand_over(aside: Aside) -> None:
        nonlocal begun
        for gate in gates:
            aside.run(gate.wait, PATIENCE)
            begun += 1

    with closing(Aside()) as aside:
        caller = threading.Thread(target=hand_over, args=(aside,))
        caller.start()
        for done, gate in enumerate(gates):
            assert begun <= done + 8
            gate.set()
        caller.join(PATIENCE)
        aside.wait()
    assert begun == len(gates)


def test_failure_comes_to_the_caller() -> None:
    with closing(Aside()) as aside:
        aside.run(int, "no number")
        with pytest.raises(ValueError, match="no number"):
            aside.wait()
        aside.wait()


def test_what_is_due_is_done_before_the_end() -> None:
    seen: list[int] = []
    with closing(Aside()) as aside:
        for number in range(5):
            aside.run(seen.append, number)
    assert seen == list(range(5))
