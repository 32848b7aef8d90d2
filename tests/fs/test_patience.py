"""Whatever one system call asks for takes `timeout` in all; and nobody waits for less than that who asks for the first
time."""

import gc
import weakref
from collections.abc import Callable
from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.clocks import ManualClock
from tests.fs.unhurried import unhurried
from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, MediaDamaged, ObjectChanged, TwfsError, Unreachable
from twfs.fs.patience import Patience
from twfs.ranges import ByteRange

TIMEOUT = 30.0
LAST_LOOK = 0.1
AHEAD = ByteRange(0, 2**20)
"""What a read-ahead asks for."""
PAGE = ByteRange(8192, 12288)
"""What is asked for again."""
FILE = 7


class Scene:
    """Reads that take as long as they are told to; those that take no time are of what is in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.patience = Patience(self.clock, TIMEOUT)
        self.given: list[float] = []
        """Seconds that each read had."""

    def read(
        self, wanted: ByteRange = PAGE, *, takes: float = 0.0, failure: TwfsError | None = None, file: int = FILE
    ) -> float:
        """Seconds that it took."""

        def work(deadline: Deadline) -> None:
            self.given.append(seconds_left(deadline))
            if takes and takes >= self.given[-1]:
                self.clock.now += self.given[-1]
                raise DeadlineExceeded(f"no answer within {self.given[-1]:g} s")
            self.clock.now += takes
            if failure is not None:
                raise failure

        began = self.clock.now
        self.patience.read(file, wanted, work)
        return self.clock.now - began

    def fails(self, error: type[TwfsError], wanted: ByteRange = PAGE, **how: object) -> TwfsError:
        """What it fails with."""
        with pytest.raises(error) as caught:
            self.read(wanted, **how)  # type: ignore[arg-type]
        return caught.value


def seconds_left(deadline: Deadline) -> float:
    try:
        return deadline.remaining()
    except DeadlineExceeded:
        return 0.0


def test_what_is_read_comes_back() -> None:
    assert Patience(ManualClock(), TIMEOUT).read(FILE, PAGE, lambda _deadline: 4096) == 4096


def test_what_a_read_ahead_waited_for_in_vain_is_only_looked_for_once_more() -> None:
    scene = Scene()
    scene.fails(DeadlineExceeded, AHEAD, takes=100)
    scene.clock.now += 0.01
    # A page fault asks up to three times.
    for _ in range(3):
        assert "within 30 s" in str(scene.fails(DeadlineExceeded, takes=100))
        scene.clock.now += 0.05
    assert scene.given == pytest.approx([TIMEOUT, LAST_LOOK - 0.01, 0, 0])


def test_many_who_wait_for_one_page_and_ask_one_after_the_other_do_not_wait_for_each_other() -> None:
    scene = Scene()
    began = scene.clock.now
    scene.fails(DeadlineExceeded, AHEAD, takes=100)
    for _ in range(90):
        scene.fails(DeadlineExceeded, takes=100)
        scene.clock.now += 0.004
    assert scene.clock.now - began <= TIMEOUT + 0.5


def test_what_is_in_memory_is_given_though_no_time_is_left() -> None:
    scene = Scene()
    scene.fails(DeadlineExceeded, AHEAD, takes=100)
    scene.clock.now += 0.3
    assert scene.read(takes=0.0) == 0


def test_after_a_failure_there_is_the_rest_of_the_time() -> None:
    scene = Scene()
    scene.fails(Unreachable, AHEAD, takes=10, failure=Unreachable("retries are spent"))
    assert scene.read(takes=19.9) == pytest.approx(19.9)
    assert scene.given == pytest.approx([30, 20])


def test_who_runs_out_of_the_rest_of_the_time_learns_what_went_wrong_at_first() -> None:
    scene = Scene()
    scene.fails(Unreachable, AHEAD, takes=10, failure=Unreachable("retries are spent"))
    for _ in range(3):
        assert str(scene.fails(Unreachable, takes=25)) == "retries are spent"
    assert scene.given == pytest.approx([30, 20, LAST_LOOK, 0])


@pytest.mark.parametrize("failure", [Unreachable("down"), ObjectChanged("new"), MediaDamaged("bad")])
def test_whatever_it_fails_with(failure: TwfsError) -> None:
    scene = Scene()
    scene.fails(type(failure), AHEAD, takes=10, failure=failure)
    assert scene.fails(type(failure), takes=1, failure=failure) is failure
    scene.read()
    assert scene.given == pytest.approx([30, 20, 19])


def test_several_read_aheads_that_fail_together_are_all_remembered() -> None:
    scene = Scene()
    parts = [ByteRange(start, start + 2**20) for start in range(0, 5 * 2**20, 2**20)]
    began = scene.clock.now
    for part in parts:
        scene.clock.now = began
        scene.fails(DeadlineExceeded, part, takes=100)
    for part in (*parts, *reversed(parts)):
        scene.read(ByteRange(part.start + 4096, part.start + 8192))
    assert scene.given == pytest.approx([TIMEOUT] * 5 + [LAST_LOOK] * 10)


def test_of_several_failures_the_one_that_began_first_counts() -> None:
    scene = Scene()
    scene.fails(Unreachable, AHEAD, takes=10, failure=Unreachable("first"))
    scene.fails(Unreachable, ByteRange(2**20, 2**21), takes=0.1, failure=Unreachable("second"))
    scene.read(ByteRange(2**20 - 4096, 2**20 + 4096))
    assert scene.given[-1] == pytest.approx(19.9)


@pytest.mark.parametrize(
    ("wanted", "file", "later"),
    [
        pytest.param(ByteRange(2**20, 2**20 + 4096), FILE, 0.01, id="the bytes after it"),
        pytest.param(PAGE, FILE + 1, 0.01, id="another file"),
        pytest.param(PAGE, FILE, 0.6, id="later"),
    ],
)
def test_others_have_all_the_time(wanted: ByteRange, file: int, later: float) -> None:
    scene = Scene()
    scene.fails(DeadlineExceeded, AHEAD, takes=100)
    scene.clock.now += later
    scene.read(wanted, file=file)
    assert scene.given[-1] == TIMEOUT


def test_a_slow_success_takes_nothing_from_those_that_follow() -> None:
    scene = Scene()
    for start in range(0, 5 * 4096, 4096):
        scene.read(ByteRange(start, start + 4096), takes=29)
    scene.read(ByteRange(0, 4096), takes=29)
    assert scene.given == [TIMEOUT] * 6


def test_nothing_is_kept_of_a_failure_that_is_over() -> None:
    class Frame:
        """Stands for what the frames of a failed read hold, such as the kernel's buffer."""

    scene = Scene()
    frame: Frame | None = Frame()
    held = weakref.ref(frame)

    def fail(_deadline: Deadline, _buffer: Frame | None = frame) -> None:
        raise Unreachable("down")

    work: Callable[[Deadline], None] | None = fail
    with pytest.raises(Unreachable):
        scene.patience.read(FILE, PAGE, fail)
    del frame, fail, work
    gc.collect()
    assert held() is None
    scene.clock.now += 1
    scene.read()
    assert scene.patience._failures == ()


tries = st.lists(st.tuples(st.floats(0, 40), st.booleans(), st.floats(0, 0.05)), min_size=1, max_size=12)


@unhurried
@given(tries)
def test_what_one_call_asks_for_again_and_again_ends_in_time(attempts: list[tuple[float, bool, float]]) -> None:
    """A call asks until it has got something, four times at most, each time right after it was refused."""
    scene = Scene()
    began = scene.clock.now
    for takes, fails, pause in attempts[:4]:
        try:
            scene.read(takes=takes, failure=Unreachable("down") if fails else None)
            break
        except TwfsError:
            scene.clock.now += pause
    assert scene.clock.now - began <= TIMEOUT + LAST_LOOK + 4 * 0.05


@unhurried
@given(tries)
def test_who_tries_without_end_has_all_the_time_again_and_again(attempts: list[tuple[float, bool, float]]) -> None:
    """However quickly it tries again; of its time at most half a second, and one last look, are lost in between."""
    scene = Scene()
    fresh, last = 0, 0.0
    for takes, _, pause in attempts * 10:
        with suppress(TwfsError):
            scene.read(takes=takes, failure=Unreachable("down"))
        if scene.given[-1] == pytest.approx(TIMEOUT):
            fresh, last = fresh + 1, scene.clock.now
        assert scene.clock.now - last <= TIMEOUT + 0.5 + LAST_LOOK + 0.05
        scene.clock.now += pause
    assert fresh
