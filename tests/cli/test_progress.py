import io
import threading

from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import ManualClock
from twfs.cli.figures import human_size
from twfs.cli.progress import Line, Progress, shown_meanwhile


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


def test_media_are_counted_and_failed_ones_are_not_done() -> None:
    clock = ManualClock()
    progress = Progress(40 * MIB, clock, Terminal(), media=4)
    good, bad, small = (progress.share(10 * MIB) for _ in range(3))
    good.advanced(10 * MIB)
    good.ended(is_good=True)
    bad.advanced(5 * MIB)
    assert progress.line() == "1 of 4 media  15.0M of 40.0M  37%"
    bad.ended(is_good=False)
    # What came of it is not done, and its rest is not awaited.
    assert progress.line() == "1 of 4 media, 1 failed  10.0M of 30.0M  33%"
    small.spared(9 * MIB)
    small.advanced(MIB // 2)
    small.ended(is_good=True)
    assert progress.line() == "2 of 4 media, 1 failed  10.5M of 20.5M  51%"
    clock.sleep(31)
    assert progress.line().endswith("512.0K/s  0:20 left")
    assert progress.summary == "15.5M in 0:31 (512.0K/s)"


@given(st.lists(st.tuples(st.integers(0, 10**6), st.lists(st.integers(-1000, 10**6)), st.booleans()), max_size=5))
def test_what_has_ended_is_whole(media: list[tuple[int, list[int], bool]]) -> None:
    """However wrong the sizes were that were expected: in the end all that is not lost is there."""
    progress = Progress(sum(expected for expected, _, _ in media), ManualClock(), Terminal(), media=len(media))
    for expected, events, is_good in media:
        share = progress.share(expected)
        for count in events:
            share.advanced(count) if count >= 0 else share.spared(-count)
        share.ended(is_good=is_good)
    useful = human_size(sum(sum(filter(lambda count: count > 0, events)) for _, events, is_good in media if is_good))
    assert f"{useful} of {useful}  " in progress.line()


def test_a_line_never_wraps() -> None:
    terminal = Terminal()
    Line(terminal).draw("x" * 200)
    assert terminal.getvalue() == "\r\x1b[K" + "x" * 79


def test_other_lines_have_the_terminal_for_themselves() -> None:
    terminal = Terminal()
    line = Line(terminal)
    line.draw("far")
    began = threading.Event()

    def draw() -> None:
        began.set()
        line.draw("farther")

    drawing = threading.Thread(target=draw)
    with line.aside():
        drawing.start()
        assert began.wait(10)
        terminal.write("a file\n")
    drawing.join()
    assert terminal.getvalue().endswith("\r\x1b[Ka file\nfar\r\x1b[Kfarther")
    line.erase()
    line.draw("too late")
    assert terminal.getvalue().endswith("farther\r\x1b[K")


def test_what_goes_on_is_shown_meanwhile_and_erased() -> None:
    terminal, drawn = Terminal(), threading.Event()

    def text_now() -> str:
        drawn.set()
        return "3 media so far"

    with shown_meanwhile(text_now, terminal):
        assert drawn.wait(10)
    assert "3 media so far" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert all(thread.name != "progress" for thread in threading.enumerate())
    file = io.StringIO()
    with shown_meanwhile(text_now, file):
        assert all(thread.name != "progress" for thread in threading.enumerate())
    assert file.getvalue() == ""


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
