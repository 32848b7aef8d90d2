import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.simulator.support import START, HandClock
from twfs.clock import Deadline, SystemClock
from twfs.errors import DeadlineExceeded, Unreachable
from twfs.remote.lease import UrlLease


def signed(number: int, expires: str = "3600", at: datetime = START) -> str:
    return f"https://s3.test/RT1?n={number}&X-Amz-Date={at:%Y%m%dT%H%M%SZ}&X-Amz-Expires={expires}"


class Source:
    """Hands out `url(n)`; may fail, may be slow."""

    def __init__(self, url: Callable[[int], str] = signed) -> None:
        self.asked = 0
        self.failures = 0
        self.gate = threading.Event()
        self.gate.set()
        self._url = url

    def obtain(self, deadline: Deadline) -> str:
        self.asked += 1
        self.gate.wait(10)
        if self.failures:
            self.failures -= 1
            raise Unreachable("no answer")
        return self._url(self.asked)


def deadline(clock: HandClock) -> Deadline:
    return Deadline(clock, 30)


def test_a_url_is_asked_for_once_and_handed_out_until_shortly_before_its_end() -> None:
    clock, source = HandClock(), Source()
    lease = UrlLease(source.obtain, clock)
    first = lease.get(deadline(clock))
    clock.seconds = 3569.0
    assert lease.get(deadline(clock)) is first
    clock.seconds = 3571.0
    assert lease.get(deadline(clock)).url == signed(2)
    assert (source.asked, lease.renewals) == (2, 2)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (signed(1, "10"), 9),
        (signed(1, "3600", START - timedelta(minutes=50)), 570),
        # This machine's clock is a day behind, or two hours ahead: the life counts.
        (signed(1, "3600", START + timedelta(days=1)), 3570),
        (signed(1, "3600", START - timedelta(hours=2)), 3570),
        (f"https://s3.test/x?Expires={int(START.timestamp()) + 900}&Signature=x", 870),
        (f"https://s3.test/x?Expires={int(START.timestamp()) - 900}&Signature=x", 570),
        ("https://s3.test/x", 570),
        (signed(1, "nan"), 570),
        (signed(1, "inf"), 570),
        (signed(1, "-5"), 570),
        (signed(1, "0"), 570),
        (signed(1, "1e300"), 570),
        (signed(1, "soon"), 570),
        ("https://s3.test/x?X-Amz-Expires=3600&X-Amz-Date=yesterday", 570),
        ("https://s3.test/x?X-Amz-Expires=3600", 570),
        ("https://s3.test/x?Expires=nan", 570),
    ],
)
def test_how_long_a_url_is_used(url: str, expected: float) -> None:
    clock = HandClock()
    lease = UrlLease(lambda _: url, clock)
    assert lease.get(deadline(clock)).usable_until == pytest.approx(expected)


@given(st.text(max_size=20), st.text(max_size=20))
@example("9" * 400, "20171123T164717Z")
@example("1e308", "00010101T000000Z")
def test_no_query_makes_a_url_usable_for_ever_or_fail(expires: str, date: str) -> None:
    clock = HandClock()
    lease = UrlLease(lambda _: f"https://s3.test/x?X-Amz-Expires={expires}&X-Amz-Date={date}&Expires={expires}", clock)
    assert 0 < lease.get(deadline(clock)).usable_until <= 7 * 86400


def test_ten_threads_that_are_refused_cause_one_renewal() -> None:
    source = Source()
    clock = SystemClock()
    lease = UrlLease(source.obtain, clock)
    worn = lease.get(Deadline(clock, 10))
    source.gate.clear()
    with ThreadPoolExecutor(10) as pool:
        renewed = [pool.submit(lease.refused, worn, Deadline(clock, 10)) for _ in range(10)]
        source.gate.set()
        urls = {future.result().url for future in renewed}
    assert (urls, source.asked) == ({signed(2)}, 2)


def test_ten_threads_that_come_first_ask_once() -> None:
    source = Source(lambda number: signed(number, at=datetime.now(UTC)))
    lease = UrlLease(source.obtain, SystemClock())
    with ThreadPoolExecutor(10) as pool:
        urls = {
            future.result().url for future in [pool.submit(lease.get, Deadline(SystemClock(), 10)) for _ in range(10)]
        }
    assert (len(urls), source.asked) == (1, 1)


def test_who_is_refused_with_an_older_url_gets_the_present_one_unless_that_is_old_too() -> None:
    clock, source = HandClock(), Source()
    lease = UrlLease(source.obtain, clock)
    first = lease.get(deadline(clock))
    second = lease.refused(first, deadline(clock))
    assert lease.refused(first, deadline(clock)) is second
    assert source.asked == 2
    clock.seconds = 7200
    assert lease.refused(first, deadline(clock)).url == signed(3)


def test_a_failed_renewal_is_no_renewal_and_blocks_nobody() -> None:
    clock, source = HandClock(), Source()
    lease = UrlLease(source.obtain, clock)
    source.failures = 1
    with pytest.raises(Unreachable):
        lease.get(deadline(clock))
    assert lease.get(deadline(clock)).url == signed(2)
    assert lease.renewals == 1


def test_waiting_for_another_s_renewal_ends_with_the_own_deadline() -> None:
    source, clock = Source(), SystemClock()
    lease = UrlLease(source.obtain, clock)
    source.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lease.get, Deadline(clock, 10))
        while not source.asked:
            pass
        with pytest.raises(DeadlineExceeded):
            lease.get(Deadline(clock, 0.05))
        source.gate.set()
        assert slow.result().url == signed(1)


def test_a_url_whose_host_cannot_be_reached_is_replaced_but_not_at_every_attempt() -> None:
    clock, source = HandClock(), Source()
    lease = UrlLease(source.obtain, clock)
    clock.seconds = 100.0
    first = lease.get(deadline(clock))
    clock.seconds = 101.0
    lease.leads_nowhere(first)
    assert lease.get(deadline(clock)) is first
    clock.seconds = 101.5
    lease.leads_nowhere(first)
    second = lease.get(deadline(clock))
    assert second.url == signed(2)
    clock.seconds = 200.0
    lease.leads_nowhere(first)
    assert lease.get(deadline(clock)) is second, "somebody else has replaced it long since"


def test_a_signed_url_shows_nothing_of_itself() -> None:
    clock = HandClock()
    assert repr(UrlLease(Source().obtain, clock).get(deadline(clock))) == "SignedUrl(...)"
