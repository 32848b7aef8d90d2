import threading

from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.support import HandClock
from twfs.mount.open_files import Access, OpenFiles
from twfs.mount.processes import Process
from twfs.ranges import ByteRange
from twfs.resources import Kind, Medium

MEDIUM = Medium("RT" + "1" * 32, Kind.RECORDING)
MPV = Process(7, "mpv")
SIZE = 1000


class Account:
    """Open files, and what was told of those closed."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.ended: list[Access] = []
        self.files = OpenFiles(lambda: (1000, MPV), self.clock, self.ended.append)


def test_an_opening_from_its_beginning_to_its_end() -> None:
    account = Account()
    began = account.clock.wall()
    reading = account.files.opened(MEDIUM, "/path", SIZE)
    reading.delivered(ByteRange(0, 100))
    reading.delivered(ByteRange(500, 700))
    reading.delivered(ByteRange(600, 650))
    expected = Access(MEDIUM, "/path", SIZE, 1000, MPV, began, 350, 650)
    assert account.files.present() == [expected]
    assert account.ended == []
    reading.closed()
    assert account.ended == [expected]
    assert account.files.present() == []
    assert (account.files.opened_count, account.files.bytes_read()) == (1, 350)


def test_the_end_of_the_mount_closes_what_is_open_and_nothing_twice() -> None:
    account = Account()
    closed, left = (account.files.opened(MEDIUM, path, SIZE) for path in ("/a", "/b"))
    closed.closed()
    account.files.end()
    left.closed()
    assert [access.path for access in account.ended] == ["/a", "/b"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, SIZE - 1), st.booleans()), max_size=30))
def test_bytes_read_are_the_sum_whatever_was_closed_meanwhile(steps: list[tuple[int, int, bool]]) -> None:
    account = Account()
    readings = [account.files.opened(MEDIUM, str(number), SIZE) for number in range(3)]
    expected = 0
    open_now = {0, 1, 2}
    for number, start, closes in steps:
        if number not in open_now:
            continue
        readings[number].delivered(ByteRange(start, SIZE))
        expected += SIZE - start
        if closes:
            readings[number].closed()
            open_now.remove(number)
    assert account.files.bytes_read() == expected
    assert {int(access.path) for access in account.files.present()} == open_now
    account.files.end()
    assert sum(access.bytes_read for access in account.ended) == expected


def test_threads_that_read_by_one_handle_lose_nothing() -> None:
    account = Account()
    reading = account.files.opened(MEDIUM, "/path", SIZE)

    def read() -> None:
        for _ in range(5000):
            reading.delivered(ByteRange(0, 3))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert account.files.bytes_read() == 60_000
