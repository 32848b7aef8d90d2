"""Each scene has a process of its own: a signal goes to any thread that does not block it, other tests' too."""

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context

import pytest

from twfs.mount.signals import Signals

SECONDS = 20.0


class Heard:
    """Signals served, in order."""

    def __init__(self) -> None:
        self.queue: queue.Queue[str] = queue.Queue()

    def next(self) -> str:
        return self.queue.get(timeout=SECONDS)


@contextmanager
def signals() -> Iterator[tuple[Signals, Heard]]:
    heard = Heard()

    def fail() -> None:
        heard.queue.put("USR2")
        raise ZeroDivisionError

    made = Signals(
        {
            signal.SIGUSR1: lambda: heard.queue.put("USR1"),
            signal.SIGHUP: lambda: heard.queue.put("HUP"),
            signal.SIGUSR2: fail,
        }
    )
    with made.blocked():
        yield made, heard


def each_does_its_work_in_another_thread_and_the_end_leaves_no_trace() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with signals() as (made, heard):
        made.begin()
        for name, number in (("USR1", signal.SIGUSR1), ("HUP", signal.SIGHUP), ("USR1", signal.SIGUSR1)):
            os.kill(os.getpid(), number)
            assert heard.next() == name
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert "signals" not in {thread.name for thread in threading.enumerate()}
    assert heard.queue.empty()


def what_comes_before_the_beginning_waits() -> None:
    with signals() as (made, heard):
        os.kill(os.getpid(), signal.SIGHUP)
        made.begin()
        assert heard.next() == "HUP"


def a_failure_is_logged_and_the_next_is_served() -> None:
    records: list[logging.LogRecord] = []
    # A logger's filters see each record first.
    logging.getLogger("twfs").addFilter(lambda record: not records.append(record))  # type: ignore[func-returns-value]
    with signals() as (made, heard):
        made.begin()
        os.kill(os.getpid(), signal.SIGUSR2)
        assert heard.next() == "USR2"
        os.kill(os.getpid(), signal.SIGUSR1)
        assert heard.next() == "USR1"
    assert [record.getMessage() for record in records] == ["SIGUSR2 could not be served"]


def without_a_beginning_there_is_nothing_to_end() -> None:
    with signals():
        pass


SCENES = (
    each_does_its_work_in_another_thread_and_the_end_leaves_no_trace,
    what_comes_before_the_beginning_waits,
    a_failure_is_logged_and_the_next_is_served,
    without_a_beginning_there_is_nothing_to_end,
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_signals(scene: Callable[[], None]) -> None:
    process = get_context("spawn").Process(target=scene)
    process.start()
    process.join(3 * SECONDS)
    assert process.exitcode == 0
    process.close()
