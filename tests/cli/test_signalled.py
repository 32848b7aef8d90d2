"""Signals that end a command: one or many, fast, at any moment."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from twfs.cli.signalled import until_signalled

BURST = 3000
"""A handler that sets a threading.Event hangs in one of three such bursts."""

WAITING = """
from twfs.cli.signalled import until_signalled
with until_signalled() as ending:
    print("waiting", flush=True)
    while not ending.wait(0.001):
        pass
    for _ in range(200_000):
        ending.has_come()
print("ended", flush=True)
"""


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals are not ignored, as SIGINT is where the tests run in the background, and do the same afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        yield
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_DFL] * 3
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_and_is_remembered(number: signal.Signals) -> None:
    with until_signalled() as ending:
        assert not ending.has_come()
        assert not ending.wait(0.01)
        os.kill(os.getpid(), number)
        assert ending.wait(10)
        assert ending.has_come()
        assert ending.wait()


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_ends_nothing(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with until_signalled() as ending:
        os.kill(os.getpid(), number)
        assert not ending.wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert ending.wait(10)
    assert signal.signal(number, signal.SIG_DFL) is signal.SIG_IGN


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_another_thread_gets_ends_the_wait() -> None:
    """The kernel may give it to any thread, and then interrupts nothing that the main thread does."""
    other = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    with until_signalled() as ending:
        other.start()
        assert ending.wait(10)
    other.join()


def test_many_fast_signals_end_it_once() -> None:
    command = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True)
    try:
        assert command.stdout is not None
        assert command.stdout.readline() == "waiting\n"
        for _ in range(BURST):
            command.send_signal(signal.SIGTERM)
        assert command.communicate(timeout=SECONDS)[0] == "ended\n"
    finally:
        command.kill()
        command.wait()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("pause", [0, 0.001])
def test_the_simulator_ends_and_tidies_up_however_often_it_is_told_to(pause: float) -> None:
    command = subprocess.Popen([sys.executable, "-m", "twfs", "simulator"], stdout=subprocess.PIPE, text=True)
    try:
        assert command.stdout is not None
        said = dict(command.stdout.readline().split() for _ in range(4))
        for _ in range(20):
            command.send_signal(signal.SIGTERM)
            time.sleep(pause)
        command.communicate(timeout=SECONDS)
    finally:
        command.kill()
        command.wait()
    # The last ones may find everything done, and the handlers of old in their places.
    assert command.returncode in (0, -signal.SIGTERM)
    assert not Path(said["config"]).parent.exists()
