import io

from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import ManualClock
from twfs.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


MIB = 2**20


def test_line() -> None:
    clock = ManualClock()
    progress = Progress(40 * MIB, clock, Terminal())
    assert progress.line() == "0 of 40.0M  0%"
    progress.advanced(12 * MIB)
    clock.sleep(4)
    assert progress.line() == "12.0M of 40.0M  30%  3.0M/s  0:09 left"
    assert progress.summary == "12.0M in 0:04 (3.0M/s)"


def test_what_is_spared_is_no_work() -> None:
    clock = ManualClock()
    progress = Progress(40 * MIB, clock, Terminal())
    progress.spared(20 * MIB)
    progress.advanced(10 * MIB)
    clock.sleep(10)
    assert progress.line() == "10.0M of 20.0M  50%  1.0M/s  0:10 left"


def test_drawn_now_and_then_over_itself_and_erased() -> None:
    clock, terminal = ManualClock(), Terminal()
    progress = Progress(1000, clock, terminal)
    for _ in range(100):
        clock.sleep(0.01)
        progress.advanced(1)
    assert 3 <= terminal.getvalue().count("\r") <= 5
    assert "\n" not in terminal.getvalue()
    progress.erase()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_silent_where_nobody_looks() -> None:
    clock, file = ManualClock(), io.StringIO()
    progress = Progress(1000, clock, file)
    clock.sleep(10)
    progress.advanced(500)
    progress.erase()
    assert file.getvalue() == ""


@given(st.integers(0, 2**40), st.lists(st.tuples(st.booleans(), st.integers(0, 2**40)), max_size=6), st.floats(0, 1e6))
def test_no_numbers_break_it(total: int, events: list[tuple[bool, int]], seconds: float) -> None:
    clock = ManualClock()
    progress = Progress(total, clock, Terminal())
    for fetched, count in events:
        (progress.advanced if fetched else progress.spared)(count)
    clock.sleep(seconds)
    percent = int(progress.line().split("%")[0].split()[-1])
    assert 0 <= percent <= 100
    assert progress.summary
