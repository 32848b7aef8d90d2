import logging
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from twfs.log_limit import MOST_LINES, SECONDS, UNLIMITED, LimitedHandler

ONE, OTHER = "RT" + "1" * 32, "CJ" + "2" * 32


class Kept(logging.Handler):
    """Remembers what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class Scene:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.kept = Kept()
        self.handler = LimitedHandler(self.kept, lambda: self.seconds)

    def say(self, message: str, level: int = logging.WARNING, **extra: bool) -> None:
        record = logging.LogRecord("twfs", level, __file__, 1, message, None, None)
        record.__dict__.update(extra)
        self.handler.handle(record)


def test_what_is_said_of_one_medium_is_bounded_and_the_rest_counted() -> None:
    scene = Scene()
    for number in range(4930):
        scene.seconds = 40 * number / 4930
        scene.say(f"{ONE}: it changed while open" if number % 2 else f"{ONE}: well again")
    assert len(scene.kept.messages) == MOST_LINES
    scene.say(f"{OTHER}: something else")
    assert scene.kept.messages[-1] == f"{OTHER}: something else"
    scene.seconds = SECONDS
    scene.say(f"{OTHER}: a line of whatever subject")
    assert scene.kept.messages[-2:] == [
        f"{ONE}: {4930 - MOST_LINES} more lines were left out within 60 s",
        f"{OTHER}: a line of whatever subject",
    ]


def test_what_was_left_out_is_said_at_the_end() -> None:
    scene = Scene()
    for _ in range(MOST_LINES + 1):
        scene.say(f"{ONE}: it changed")
    scene.handler.close()
    assert scene.kept.messages[-1] == f"{ONE}: 1 more line was left out within 60 s"


def test_lines_that_differ_in_numbers_are_of_one_subject() -> None:
    scene = Scene()
    for number in range(2 * MOST_LINES):
        scene.say(f"attempt {number} failed, request RQ{number:032x}")
        scene.say("another one")
    assert Counter(message.split()[0] for message in scene.kept.messages) == {
        "attempt": MOST_LINES,
        "another": MOST_LINES,
    }


def test_what_was_left_out_is_named_in_a_line_of_some_length() -> None:
    scene = Scene()
    for _ in range(MOST_LINES + 2):
        scene.say("status " + "x" * 100_000)
    scene.handler.close()
    assert len(scene.kept.messages[-1]) < 300
    assert scene.kept.messages[-1].endswith("2 more lines were left out within 60 s")


def test_some_are_never_left_out() -> None:
    scene = Scene()
    for _ in range(2 * MOST_LINES):
        scene.say(f"{ONE}: details", logging.DEBUG)
        scene.say(f"{ONE}: somebody read it", logging.ERROR, **UNLIMITED)
    assert len(scene.kept.messages) == 4 * MOST_LINES


@given(st.lists(st.tuples(st.sampled_from([ONE, OTHER, "disk full"]), st.floats(0, 30)), max_size=200))
def test_every_line_is_said_or_counted_and_no_minute_has_more(said: list[tuple[str, float]]) -> None:
    scene = Scene()
    moments: dict[str, list[float]] = {}
    for subject, pause in said:
        scene.seconds += pause
        before = len(scene.kept.messages)
        scene.say(f"{subject}: failed")
        shown = scene.kept.messages[before:]
        if f"{subject}: failed" in shown:
            moments.setdefault(subject, []).append(scene.seconds)
    scene.handler.close()
    counted = sum(
        int(message.rpartition(": ")[2].split()[0]) for message in scene.kept.messages if "left out" in message
    )
    assert sum(map(len, moments.values())) + counted == len(said)
    for times in moments.values():
        for first, later in zip(times, times[MOST_LINES * 2 :], strict=False):
            assert later - first >= SECONDS
