import logging
import threading

import pytest

from twfs.catalog.loop import Loop


def test_no_thread_before_start_and_none_after_stop() -> None:
    stepped = threading.Semaphore(0)

    def step() -> float:
        stepped.release()
        return 3600

    loop = Loop("test", step, 3)
    assert threads_named("twfs-test-") == 0
    loop.start()
    for _ in range(3):
        assert stepped.acquire(timeout=10)
    assert threads_named("twfs-test-") == 3
    loop.stop()
    assert threads_named("twfs-test-") == 0


def threads_named(prefix: str) -> int:
    return sum(thread.name.startswith(prefix) for thread in threading.enumerate())


def test_a_wake_during_the_step_is_not_lost() -> None:
    stepped = threading.Semaphore(0)
    loops: list[Loop] = []

    def step() -> float:
        if not stepped.acquire(blocking=False):
            loops[0].wake()
        stepped.release()
        stepped.release()
        return 3600

    loops.append(Loop("test", step))
    loops[0].start()
    # The first step wakes its own loop, so there is a second one without waiting an hour.
    for _ in range(3):
        assert stepped.acquire(timeout=10)
    loops[0].stop()


def test_a_bug_is_logged_and_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    stepped = threading.Semaphore(0)

    def step() -> float:
        stepped.release()
        raise ZeroDivisionError

    loop = Loop("test", step)
    loop.start()
    assert stepped.acquire(timeout=10)
    loop.wake()
    assert stepped.acquire(timeout=10)
    loop.stop()
    assert "failed unexpectedly" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def test_stop_without_start_is_harmless() -> None:
    Loop("test", lambda: 1.0).stop()
