import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clocks import ManualClock
from twfs.errors import ConfigError
from twfs.mount.notify import (
    ListingTold,
    Notifier,
    Supervision,
    answers,
    listing_line,
    listing_told,
    status_line,
    supervision,
)

SECONDS = 20.0


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SECONDS)
        self._socket.bind(address)

    def heard(self) -> dict[str, str]:
        lines = self._socket.recv(65536).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def has_heard_nothing(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(65536)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def test_life_of_a_mount_as_the_manager_hears_it(tmp_path: Path, manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    supervised = supervision(tmp_path, environ, lambda: "12 media")
    assert manager.has_heard_nothing()
    supervised.begin()
    assert manager.heard() == {"READY": "1", "STATUS": "12 media"}
    supervised.end()
    assert manager.heard() == {"STOPPING": "1", "STATUS": "ending"}


class Coming:
    """A catalogue that is being listed."""

    listed = 0
    listed_before = 0


def test_the_manager_waits_for_a_listing_as_long_as_it_comes_on(tmp_path: Path, manager: Manager) -> None:
    catalog, clock = Coming(), ManualClock()
    told = ListingTold(Notifier(str(tmp_path / "notify")), catalog, clock)
    catalog.listed = 5000
    clock.sleep(5)
    told.tell()
    longer = {"EXTEND_TIMEOUT_USEC": "60000000"}
    assert manager.heard() == {"STATUS": "listing the account: 5,000 media so far, 1,000/s", **longer}
    clock.sleep(5)
    told.tell()
    assert manager.heard() == {"STATUS": "listing the account: 5,000 media so far, 500/s"}


def test_what_an_earlier_attempt_listed_counts_but_took_no_time() -> None:
    catalog = Coming()
    assert listing_line(catalog, 0.5) == "listing the account: 0 media so far"
    catalog.listed, catalog.listed_before = 100, 4_000
    assert listing_line(catalog, 0.5) == "listing the account: 4,100 media so far"
    assert listing_line(catalog, 10.0) == "listing the account: 4,100 media so far, 10/s"


def test_telling_of_a_listing_leaves_no_thread_and_needs_no_manager(tmp_path: Path, manager: Manager) -> None:
    before = threading.active_count()
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "notify")}):
        with listing_told(environ, Coming(), ManualClock()):
            assert threading.active_count() == before + bool(environ)
        assert threading.active_count() == before
    assert manager.has_heard_nothing()


def test_abstract_address() -> None:
    name = f"twfs-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Notifier(f"@{name}").send(STATUS="a line\nand\ranother")
    assert manager.heard() == {"STATUS": "a line and another"}
    manager.close()


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    lines = iter(["of all media"])
    supervised = supervision(tmp_path, {}, lambda: next(lines))
    supervised.begin()
    supervised.end()
    assert list(lines) == ["of all media"]


def test_manager_that_has_gone_ends_no_mount(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier(str(tmp_path / "gone")).send(READY="1")
    assert "cannot be told READY" in caplog.text


@pytest.mark.parametrize(
    "environ", [{"NOTIFY_SOCKET": "notify"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "-1"}]
)
def test_nonsense_is_refused_by_name(tmp_path: Path, environ: dict[str, str]) -> None:
    (name,) = environ
    with pytest.raises(ConfigError, match=name):
        supervision(tmp_path, environ, lambda: "")


def test_signs_of_life_come_as_long_as_the_mount_answers(tmp_path: Path, manager: Manager) -> None:
    """`WATCHDOG=1` goes out only after an answer: the third answer does not come, and nor does a third sign."""
    asked = threading.Semaphore(0)
    answered = iter([True, True, False])
    ended = threading.Event()

    def answer(seconds: float) -> bool:
        assert seconds == 0.01
        asked.release()
        if next(answered, False):
            return True
        ended.wait(SECONDS)
        return False

    supervised = Supervision(Notifier(str(tmp_path / "notify")), 0.01, answer, lambda: "well")
    supervised.begin()
    assert [manager.heard() for _ in range(3)] == [
        {"READY": "1", "STATUS": "well"},
        {"WATCHDOG": "1", "STATUS": "well"},
        {"WATCHDOG": "1", "STATUS": "well"},
    ]
    for _ in range(3):
        assert asked.acquire(timeout=SECONDS)
    assert is_watched()
    assert manager.has_heard_nothing()
    ended.set()
    supervised.end()
    assert not is_watched()


def test_signs_of_life_come_though_the_status_fails(
    tmp_path: Path, manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    lines, answered = iter(["well"]), iter([True] * 3)
    notifier = Notifier(str(tmp_path / "notify"))
    supervised = Supervision(notifier, 0.01, lambda _seconds: next(answered, False), lambda: next(lines))
    supervised.begin()
    heard = [manager.heard() for _ in range(4)]
    supervised.end()
    assert heard == [{"READY": "1", "STATUS": "well"}, *[{"WATCHDOG": "1"}] * 3]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["the service manager is told no status: StopIteration"]


def test_a_mount_begins_though_its_status_fails(tmp_path: Path, manager: Manager) -> None:
    Supervision(Notifier(str(tmp_path / "notify")), None, lambda _seconds: True, lambda: str(1 // 0)).begin()
    assert manager.heard() == {"READY": "1"}


def test_a_mountpoint_that_is_no_text_can_be_told_of(tmp_path: Path, manager: Manager) -> None:
    Notifier(str(tmp_path / "notify")).send(STATUS="12 media at /srv/\udcff")
    assert manager.heard() == {"STATUS": "12 media at /srv/?"}


def test_another_process_is_watched(tmp_path: Path, manager: Manager) -> None:
    """A process that inherits the variables of its parent must not answer for it."""
    environ = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "30000",
        "WATCHDOG_PID": str(os.getpid() + 1),
    }
    supervised = supervision(tmp_path, environ, lambda: "")
    supervised.begin()
    assert not is_watched()
    supervised.end()


def is_watched() -> bool:
    """Whether this process gives signs of life."""
    return any(thread.name == "watchdog" for thread in threading.enumerate())


def test_folder_answers_and_a_missing_one_does_not(tmp_path: Path) -> None:
    assert answers(tmp_path, SECONDS)
    assert not answers(tmp_path / "missing", SECONDS)


def test_one_that_hangs_does_not_answer(tmp_path: Path) -> None:
    """No time at all is too short for any answer."""
    assert not answers(tmp_path, 0.0)


@pytest.mark.parametrize(
    ("refresh_error", "probe_error", "line"),
    [
        (None, None, "12 media at /srv"),
        ("Twilio is down", None, "12 media at /srv; Twilio is down"),
        (None, "S3 is down", "12 media at /srv; S3 is down"),
    ],
)
def test_status_line(refresh_error: str | None, probe_error: str | None, line: str) -> None:
    state = {
        "media": {"recordings": 10, "compositions": 2},
        "refresh_error": refresh_error,
        "probe_error": probe_error,
    }
    assert status_line(Path("/srv"), state) == line
    assert "not mounted at /srv any more" in status_line(Path("/srv"), state, stands=False)
