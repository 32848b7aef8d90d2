import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.catalog.fakes import FakeClock, FakeInterpreter, FakeTwilio, facts_of
from twfs.catalog import queries
from twfs.catalog.absences import Absences
from twfs.catalog.all_media import AllMedia
from twfs.catalog.background import BACKGROUND_WORKERS, GRACE, IDLE_SECONDS, WORKERS, BackgroundProbing
from twfs.catalog.known import ABSENT_SECONDS, ProbeBook
from twfs.catalog.looking import Looking
from twfs.catalog.pauses import LONGEST_PAUSE
from twfs.catalog.probe_order import AHEAD, FIRST_DELAY
from twfs.catalog.probes import YOUNG_SECONDS, Prober
from twfs.catalog.store import Pass, Store, noting
from twfs.catalog.trouble import Troubles
from twfs.catalog.trust import WITNESSES, SizeTrust
from twfs.clock import Deadline, SystemClock
from twfs.errors import (
    CredentialsRefused,
    DeadlineExceeded,
    MediaDamaged,
    NoSuchName,
    NotFound,
    RemoteError,
    TwfsError,
    Unreachable,
)
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium, parse_medium

TIMEOUT = 20.0


class Bench:
    """A prober over a fake account, without any thread of its own."""

    def __init__(self, path: Path | None = None, count: int = 0) -> None:
        self.twilio = FakeTwilio()
        self.clock = FakeClock()
        self.interpreter = FakeInterpreter()
        self.doubtful: list[str] = []
        self.path = path
        self.sids = [self.twilio.add(Kind.RECORDING, number) for number in range(count)]
        self.remount()

    def remount(self) -> None:
        self.store = Store(self.path)
        self.trust = SizeTrust(self.medium, self.store)
        self.book = ProbeBook(self.store, self.interpreter, self.trust, self.clock)
        troubles = Troubles()
        self.looking = Looking(self.twilio, self.interpreter, self.store, self.clock, troubles)
        self.prober = Prober(
            self.store,
            self.looking,
            self.book,
            self.trust,
            self.clock,
            troubles,
            absences=Absences(self.store.evidence, self.clock),
            timeout=TIMEOUT,
            on_doubtful=self.doubtful.append,
        )
        self.background = BackgroundProbing(self.prober, self.looking, self.store, self.book, self.trust, self.clock)
        self.last_error = troubles.last_text
        if self.store.load() is None:
            self.make_whole()
        self.book.load()
        self.update()

    def make_whole(self) -> None:
        """As after a first listing that found nothing."""
        for kind in Kind:
            self.store.apply([], then=noting(kind, Pass(self.clock.wall(), None, is_done=True)))
        self.store.finish(self.clock.wall(), list(Kind))

    def medium(self, sid: str) -> Medium | None:
        entry = self.store.entry(sid)
        return None if entry is None else entry.medium

    def update(self) -> None:
        """The account's media are `sids` now."""
        gone = set(AllMedia(self.store)) - set(self.sids)
        self.store.apply([parse_medium(kind_of(sid), self.twilio.records[sid]) for sid in self.sids], gone)
        self.background.changed(gone)

    def states(self) -> dict[str, int]:
        return self.book.states(self.store.ask(queries.sums))

    def info(self, sid: str) -> MediaInfo:
        return self.prober.info(sid, Deadline(self.clock, 30))

    @property
    def probes(self) -> int:
        return self.twilio.requests["probe"]

    def run(self, seconds: float) -> None:
        """Background work as one thread would do it for `seconds`."""
        end = self.clock.now + seconds
        while self.clock.now <= end:
            pause = self.background.step()
            if pause > end - self.clock.now:
                return
            self.clock.advance(max(pause, 0.01))

    def close(self) -> None:
        self.background.stop()
        self.store.close()


def kind_of(sid: str) -> Kind:
    return next(kind for kind in Kind if sid.startswith(kind.sid_prefix))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(count=5)
    yield bench
    bench.close()


def test_readable_is_asked_once_and_known_for_good(bench: Bench) -> None:
    sid = bench.sids[0]
    first = bench.info(sid)
    assert (first.state, first.plain_size, first.facts) == (MediaState.READABLE, 993, facts_of(sid))
    bench.clock.advance(1e9)
    assert bench.info(sid) == bench.book.known(sid) == first
    assert bench.probes == 1
    assert bench.interpreter.calls == 1


def test_the_background_goes_in_listing_order(bench: Bench) -> None:
    bench.run(1)
    assert bench.twilio.inspected == bench.sids
    assert bench.background.step() == IDLE_SECONDS


def test_what_is_asked_for_comes_first_and_only_once(bench: Bench) -> None:
    bench.info(bench.sids[3])
    bench.run(1)
    assert bench.twilio.inspected == [*bench.sids[3:], *bench.sids[:3]]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = Deadline(SystemClock(), TIMEOUT)
    while not holds():
        deadline.remaining()
        threading.Event().wait(0.002)


def test_while_a_reader_waits_only_its_neighbours_are_probed() -> None:
    bench = Bench(count=5 * AHEAD)
    gate = bench.twilio.gate = threading.Event()
    asked = AHEAD - 1
    with ThreadPoolExecutor(2) as pool:
        reader = pool.submit(bench.info, bench.sids[asked])
        wait_until(lambda: bench.probes == 1)
        neighbour = pool.submit(bench.background.step)
        wait_until(lambda: bench.probes == 2)
        bench.prober.ahead.clear()
        assert bench.background.step() == IDLE_SECONDS
        gate.set()
        assert reader.result().state is MediaState.READABLE
        assert neighbour.result() == 0.0
    assert bench.twilio.inspected == bench.sids[asked : asked + 2]
    assert bench.background.step() == pytest.approx(GRACE), "the reader reads now"
    bench.clock.advance(GRACE)
    bench.background.step()
    assert bench.twilio.inspected[2:] == bench.sids[:1]
    bench.close()


def test_the_next_in_the_list_are_probed_ahead_of_a_reader(bench: Bench) -> None:
    bench.info(bench.sids[2])
    bench.background.step()
    bench.background.step()
    assert bench.twilio.inspected == bench.sids[2:]
    bench.info(bench.sids[1])
    bench.background.step()
    assert bench.twilio.inspected[3:] == [bench.sids[1], bench.sids[0]], "backwards, as this reader goes"
    bench.clock.advance(GRACE)
    assert bench.background.step() == IDLE_SECONDS
    assert bench.probes == 5


def test_nothing_is_probed_ahead_of_who_asks_for_one_medium_here_and_one_there() -> None:
    bench = Bench(count=5 * AHEAD)
    bench.info(bench.sids[2 * AHEAD])
    bench.info(bench.sids[4 * AHEAD])
    bench.clock.advance(GRACE)
    bench.background.step()
    assert bench.twilio.inspected[2:] == bench.sids[:1], "the background goes on by itself"
    bench.info(bench.sids[4 * AHEAD + 1])
    bench.background.step()
    assert bench.twilio.inspected[4:] == [bench.sids[4 * AHEAD + 2]]
    bench.close()


def test_what_failed_or_is_absent_is_not_probed_ahead_again(bench: Bench) -> None:
    bench.twilio.fail_probe[bench.sids[1]] = MediaDamaged("nonsense")
    del bench.twilio.objects[bench.sids[2]]
    bench.run(1)
    bench.store._forget_probe(bench.sids[0])
    bench.info(bench.sids[0])
    before = bench.probes
    assert bench.background.step() > 0
    assert bench.probes == before


def test_all_workers_for_readers_and_a_few_for_the_background() -> None:
    bench = Bench(count=5 * AHEAD)
    gate = bench.twilio.gate = threading.Event()
    bench.background.start()
    with ThreadPoolExecutor(1) as pool:
        wait_until(lambda: bench.probes == BACKGROUND_WORKERS)
        reader = pool.submit(bench.info, bench.sids[AHEAD - 1])
        wait_until(lambda: bench.probes == WORKERS + 1)
        inspected = set(bench.twilio.inspected)
        gate.set()
        reader.result()
    bench.clock.advance(GRACE)
    neighbours = bench.sids[AHEAD - 1 : AHEAD + WORKERS - BACKGROUND_WORKERS]
    assert inspected == {*sample_of(bench, BACKGROUND_WORKERS), *neighbours}
    wait_until(lambda: bench.states()["readable"] == len(bench.sids))
    assert bench.probes == len(bench.sids)
    bench.close()


def sample_of(bench: Bench, count: int) -> list[str]:
    """What the background begins with: some from all over the list."""
    return bench.sids[:: len(bench.sids) // WITNESSES][:count]


def test_ten_threads_one_probe(bench: Bench) -> None:
    bench.twilio.gate = threading.Event()
    barrier = threading.Barrier(11)

    def ask() -> MediaInfo:
        barrier.wait()
        return bench.info(bench.sids[0])

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask) for _ in range(10)]
        barrier.wait()
        bench.twilio.gate.set()
        assert {answer.result().plain_size for answer in answers} == {993}
    assert bench.probes == 1


def test_a_failure_goes_to_all_who_wait_and_is_not_remembered(bench: Bench) -> None:
    sid = bench.sids[0]
    bench.twilio.gate = threading.Event()
    bench.twilio.fail_probe[sid] = Unreachable("down")
    entered = threading.Semaphore(0)

    def ask() -> TwfsError | MediaInfo:
        entered.release()
        try:
            return bench.info(sid)
        except TwfsError as error:
            return error

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask) for _ in range(10)]
        for _ in answers:
            entered.acquire()
        bench.twilio.gate.set()
        assert {str(answer.result()) for answer in answers} == {"down"}
    del bench.twilio.fail_probe[sid]
    assert bench.info(sid).state is MediaState.READABLE


def test_who_waits_gives_up_at_its_own_deadline(bench: Bench) -> None:
    sid = bench.sids[0]
    bench.twilio.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(bench.info, sid)
        while bench.probes == 0:
            threading.Event().wait(0.001)
        with pytest.raises(DeadlineExceeded):
            bench.prober.info(sid, Deadline(SystemClock(), 0.02))
        bench.twilio.gate.set()
        assert leader.result().state is MediaState.READABLE
    assert bench.probes == 1


def test_who_waits_tries_itself_when_only_the_others_time_was_up(bench: Bench) -> None:
    sid = bench.sids[0]
    bench.twilio.gate = threading.Event()
    bench.twilio.fail_probe[sid] = DeadlineExceeded("the first one's time is up")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(bench.info, sid)
        while bench.probes == 0:
            threading.Event().wait(0.001)
        second = pool.submit(bench.info, sid)
        while bench.prober.flights._flights[sid]._condition._waiters == 0:  # type: ignore[attr-defined]
            threading.Event().wait(0.001)
        bench.twilio.gate.set()
        with pytest.raises(DeadlineExceeded):
            first.result()
        # The second one flew its own probe, which meets the same fake failure.
        with pytest.raises(DeadlineExceeded):
            second.result()
    assert bench.probes == 2


def test_an_unforeseen_error_reaches_all_and_blocks_nobody(bench: Bench) -> None:
    sid = bench.sids[0]
    bench.twilio.fail_probe[sid] = ZeroDivisionError("bug")  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        bench.info(sid)
    del bench.twilio.fail_probe[sid]
    assert bench.info(sid).state is MediaState.READABLE


def test_what_a_reader_could_not_learn_is_probed_even_if_the_list_changed_meanwhile(bench: Bench) -> None:
    bench.run(1)
    bench.sids.append(bench.twilio.add(Kind.RECORDING, 5))
    bench.update()
    gate = bench.twilio.gate = threading.Event()
    bench.twilio.fail_probe[bench.sids[5]] = Unreachable("down")
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(bench.info, bench.sids[5])
        wait_until(lambda: bench.probes == 6)
        bench.update()
        gate.set()
        assert isinstance(reader.exception(), Unreachable)
    bench.twilio.fail_probe.clear()
    bench.run(60)
    assert bench.book.is_believed(bench.sids[5])


def test_what_failed_waits_once_however_it_came_to_be_probed(bench: Bench) -> None:
    """Ahead of a reader and by the background, while the list changes."""
    bench.twilio.fail_probe = {sid: MediaDamaged("nonsense") for sid in bench.sids[1:]}
    bench.info(bench.sids[0])
    for _ in range(10):
        bench.run(60)
        bench.update()
    assert sorted(sid for _, sid in bench.prober.order._later) == bench.sids[1:]


def test_absent_is_believed_for_a_minute_only(bench: Bench) -> None:
    sid = bench.sids[0]
    kept = bench.twilio.objects.pop(sid)
    assert bench.info(sid) == MediaInfo(MediaState.ABSENT, 0)
    bench.clock.advance(ABSENT_SECONDS - 1)
    assert bench.info(sid).state is MediaState.ABSENT
    assert bench.probes == 1
    assert bench.doubtful == [sid]
    bench.clock.advance(1)
    assert bench.book.known(sid) is None
    assert bench.info(sid).state is MediaState.ABSENT
    assert bench.probes == 2
    assert bench.doubtful == [sid]
    bench.twilio.objects[sid] = kept
    bench.clock.advance(ABSENT_SECONDS)
    assert bench.info(sid).state is MediaState.READABLE


def test_a_track_that_was_muted_long_ago_is_asked_for_again_in_the_background_only(bench: Bench) -> None:
    sid = bench.sids[0]
    kept = bench.twilio.objects.pop(sid)
    bench.clock.advance(YOUNG_SECONDS)
    bench.run(1)
    assert bench.info(sid).state is MediaState.ABSENT
    before = bench.probes
    bench.clock.advance(ABSENT_SECONDS)
    medium = bench.medium(sid)
    assert medium is not None
    assert bench.prober.known(medium) == bench.info(sid) == MediaInfo(MediaState.ABSENT, 0)
    assert bench.probes == before
    bench.twilio.objects[sid] = kept
    bench.run(4 * FIRST_DELAY)
    assert bench.info(sid).state is MediaState.READABLE


def test_media_that_follow_their_resource_are_found_in_the_background(bench: Bench) -> None:
    sid = bench.sids[2]
    kept = bench.twilio.objects.pop(sid)
    bench.run(1)
    bench.twilio.objects[sid] = kept
    bench.run(4 * FIRST_DELAY)
    known = bench.book.known(sid)
    assert known is not None
    assert known.state is MediaState.READABLE
    assert bench.probes == 6


def test_a_muted_track_costs_a_few_probes_a_day(bench: Bench) -> None:
    del bench.twilio.objects[bench.sids[0]]
    for _ in range(24):
        bench.run(3600)
        bench.update()
    assert bench.probes <= 5 + 24 + 8


@pytest.mark.parametrize("trouble", [MediaDamaged("nonsense"), NotFound("404 of S3")])
def test_one_mediums_trouble_does_not_disturb_the_others(bench: Bench, trouble: TwfsError) -> None:
    bad = bench.sids[1]
    bench.twilio.fail_probe[bad] = trouble
    bench.run(1)
    assert bench.twilio.inspected == bench.sids
    assert [sid for sid in bench.sids if bench.book.known(sid) is None] == [bad]
    bench.run(24 * 3600)
    assert 20 <= bench.probes <= 5 + 24 + 8
    with pytest.raises(type(trouble)):
        bench.info(bad)
    del bench.twilio.fail_probe[bad]
    bench.run(3700)
    assert bench.book.known(bad) is not None


@pytest.mark.parametrize("trouble", [Unreachable("down"), CredentialsRefused("401"), DeadlineExceeded("slow")])
def test_an_outage_costs_a_few_requests_and_ends_by_itself(trouble: TwfsError) -> None:
    bench = Bench(count=1000)
    bench.twilio.probe_down = trouble
    bench.run(3600)
    assert bench.probes <= 3600 / LONGEST_PAUSE + 10
    assert bench.last_error() == str(trouble)
    bench.twilio.probe_down = None
    bench.run(2 * 3600)
    assert bench.states()["readable"] == 1000
    assert bench.last_error() is None
    bench.close()


def test_a_pause_ends_when_it_is_said_that_the_trouble_may_be_over() -> None:
    bench = Bench(count=1000)
    bench.twilio.probe_down = CredentialsRefused("401")
    bench.run(3600)
    bench.twilio.probe_down = None
    bench.run(1)
    assert bench.states()["readable"] == 0
    bench.background.go_on()
    bench.run(1)
    assert bench.states()["readable"] > 50
    bench.close()


@pytest.mark.parametrize("changes", [False, True])
def test_many_media_that_cannot_be_had_do_not_keep_the_others_from_being_examined(*, changes: bool) -> None:
    bench = Bench(count=60)
    bad, good = bench.sids[:20], bench.sids[20:]
    bench.twilio.fail_probe = dict.fromkeys(bad, Unreachable("S3 refuses a fresh pre-signed URL"))
    for _ in range(40):
        bench.run(300)
        bench.clock.advance(300)
        if changes:
            bench.background.changed()
    assert all(map(bench.book.is_believed, good))
    bench.close()


def test_many_doubts_that_cannot_be_settled_do_not_keep_the_others_from_being_examined() -> None:
    bench = Bench(count=60)
    bad, good = bench.sids[:20], bench.sids[20:]
    for sid in bad:
        bench.info(sid)
        bench.prober.doubt(sid)
    bench.twilio.fail_probe = dict.fromkeys(bad, Unreachable("S3 refuses a fresh pre-signed URL"))
    for _ in range(40):
        bench.run(300)
        bench.clock.advance(300)
    assert all(map(bench.book.is_believed, good))
    bench.twilio.fail_probe = {}
    bench.run(2 * 3600)
    bench.clock.advance(3600)
    bench.run(1)
    assert bench.last_error() is None
    bench.close()


def test_workers_that_fail_together_lengthen_the_pause_once(bench: Bench) -> None:
    bench.twilio.probe_down = Unreachable("down")
    began = bench.clock.monotonic()
    bench.clock.advance(1)
    for _ in range(WORKERS):
        bench.looking.pause(None, began + 0.5, Unreachable("down"))
    assert bench.looking.paused() == 2.0


NOT_ALLOWED = RemoteError("media at host 'media.example.com' is not allowed")


def with_compositions_elsewhere(count: int) -> tuple[Bench, list[str], list[str]]:
    """As many recordings as compositions, whose host is not allowed."""
    bench = Bench()
    compositions = [bench.twilio.add(Kind.COMPOSITION, number) for number in range(count)]
    recordings = [bench.twilio.add(Kind.RECORDING, number) for number in range(count)]
    bench.twilio.fail_probe = dict.fromkeys(compositions, NOT_ALLOWED)
    bench.sids = [sid for pair in zip(compositions, recordings, strict=True) for sid in pair]
    bench.update()
    return bench, compositions, recordings


def test_a_host_that_is_not_allowed_delays_that_kind_of_media_only(caplog: pytest.LogCaptureFixture) -> None:
    bench, compositions, recordings = with_compositions_elsewhere(300)
    bench.run(10)
    assert all(bench.book.is_believed(sid) for sid in recordings)
    assert bench.last_error() == str(NOT_ALLOWED)
    bench.run(3600)
    # Not one request per medium, and one line.
    assert bench.probes - len(recordings) <= 3600 / LONGEST_PAUSE + 12
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"examining compositions in the background is paused: {NOT_ALLOWED}"
    ]
    bench.twilio.fail_probe.clear()
    bench.run(2 * 3600)
    assert all(bench.book.is_believed(sid) for sid in compositions)
    assert bench.last_error() is None
    bench.close()


def test_an_outage_is_over_when_a_host_is_reached_that_is_not_allowed() -> None:
    bench, compositions, recordings = with_compositions_elsewhere(3)
    bench.twilio.probe_down = Unreachable("down")
    assert bench.background.step() == 0
    assert bench.background.step() > 0
    bench.twilio.probe_down = None
    with pytest.raises(RemoteError):
        bench.info(compositions[2])
    bench.run(1)
    assert all(bench.book.is_believed(sid) for sid in recordings)
    bench.close()


def test_a_medium_of_a_kind_that_is_paused_is_not_looked_at_ahead_of_a_reader() -> None:
    bench, compositions, _recordings = with_compositions_elsewhere(AHEAD)
    for sid in compositions[:2]:
        with pytest.raises(RemoteError):
            bench.info(sid)
    bench.run(1)
    assert sum(sid in compositions for sid in bench.twilio.inspected) == 2
    bench.close()


def test_a_look_in_the_background_ends_with_the_timeout(bench: Bench) -> None:
    lasting: list[float] = []

    class Slow(FakeTwilio):
        def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
            lasting.append(deadline.remaining())
            return super().inspect(medium, deadline)

    slow = Slow()
    slow.records, slow.objects = bench.twilio.records, bench.twilio.objects
    bench.twilio = slow
    bench.remount()
    bench.run(1)
    bench.prober.doubt(bench.sids[0])
    bench.run(1)
    assert lasting == [TIMEOUT] * 6


def test_a_success_on_demand_ends_the_pause(bench: Bench) -> None:
    bench.twilio.probe_down = Unreachable("down")
    bench.background.step()
    assert bench.background.step() > 0
    bench.twilio.probe_down = None
    bench.info(bench.sids[4])
    bench.clock.advance(GRACE)
    assert bench.background.step() == 0
    assert bench.probes == 3


def test_an_impossible_size_is_refused(bench: Bench) -> None:
    sid = bench.sids[0]
    bench.twilio.objects[sid] = replace(facts_of(sid), stored_size=2**63)
    with pytest.raises(MediaDamaged, match="claims a size"):
        bench.info(sid)


def test_what_is_gone_is_no_name(bench: Bench) -> None:
    gone = bench.sids.pop(0)
    bench.update()
    with pytest.raises(NoSuchName):
        bench.info(gone)
    bench.run(1)
    assert gone not in bench.twilio.inspected


def test_locked_media_are_interpreted_again_at_each_start_without_a_request(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a.sqlite3", count=3)
    bench.interpreter.fits_all = False
    bench.interpreter.fitting = {facts_of(bench.sids[0]).etag}
    bench.run(1)
    assert bench.states()["locked"] == 2
    bench.close()

    bench.interpreter.calls = 0
    bench.interpreter.fitting.add(facts_of(bench.sids[1]).etag)
    bench.remount()
    assert bench.states() == {"readable": 1, "absent": 0, "locked": 0, "damaged": 0, "unknown": 2}
    bench.run(1)
    assert bench.states() == {"readable": 2, "absent": 0, "locked": 1, "damaged": 0, "unknown": 0}
    assert bench.interpreter.calls == 2
    assert bench.probes == 3
    bench.run(1e6)
    assert bench.interpreter.calls == 2
    bench.close()

    bench.remount()
    assert bench.states()["readable"] == 2
    bench.close()


def test_known_proves_a_locked_medium_before_it_is_believed(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a.sqlite3", count=1)
    bench.interpreter.fits_all = False
    bench.background.keys_added()
    assert bench.info(bench.sids[0]).state is MediaState.LOCKED
    bench.close()
    bench.interpreter.fits_all = True
    bench.remount()
    known = bench.book.known(bench.sids[0])
    assert known is not None
    assert known.state is MediaState.READABLE
    assert bench.probes == 1
    bench.close()


def test_two_mounts_with_different_keys_do_not_prove_one_another_wrong_without_end(tmp_path: Path) -> None:
    benches = [Bench(tmp_path / "a.sqlite3", count=3) for _ in range(2)]
    for bench, fitting in zip(benches, ("one", "other"), strict=True):
        bench.interpreter.fits_all = False
        bench.interpreter.fitting = {fitting}
        bench.book.load()
    for sid in benches[0].sids:
        benches[0].info(sid)
    for _ in range(20):
        for bench in benches:
            bench.background.step()
    calls = [bench.interpreter.calls for bench in benches]
    assert calls == [3, 3]
    for bench in benches:
        for sid in benches[0].sids:
            known = bench.book.known(sid)
            assert known is not None
            assert known.state is MediaState.LOCKED
        bench.close()


def test_locked_media_are_proven_while_the_network_is_down(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a.sqlite3", count=4)
    bench.interpreter.fits_all = False
    bench.background.keys_added()
    bench.info(bench.sids[2])
    bench.close()
    bench.interpreter.fits_all = True
    bench.remount()
    bench.twilio.probe_down = Unreachable("down")
    bench.run(1)
    assert bench.states()["readable"] == 1
    bench.close()


def test_a_damaged_row_is_probed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a.sqlite3", count=2)
    before = bench.info(bench.sids[0])
    bench.close()
    with closing(sqlite3.connect(tmp_path / "a.sqlite3", isolation_level=None)) as connection:
        connection.execute("UPDATE media SET plain_size = 1")
    bench.remount()
    assert bench.book.known(bench.sids[0]) is None
    assert bench.states()["unknown"] == 2
    assert bench.info(bench.sids[0]) == before
    assert bench.probes == 2
    bench.close()


def test_doubt_replaces_what_is_known_only_by_another_answer(bench: Bench) -> None:
    sid = bench.sids[0]
    before = bench.info(sid)
    bench.run(1)

    bench.prober.doubt(sid)
    bench.run(1)
    assert (bench.info(sid), bench.prober.contradictions, bench.probes) == (before, 0, 6)

    bench.twilio.fail_probe[sid] = Unreachable("down")
    bench.prober.doubt(sid)
    bench.run(1)
    assert bench.info(sid) == before
    del bench.twilio.fail_probe[sid]

    kept = bench.twilio.objects.pop(sid)
    bench.clock.advance(LONGEST_PAUSE)
    bench.prober.doubt(sid)
    bench.run(1)
    assert bench.info(sid) == before, "a file never becomes empty because its media is not there for a moment"

    bench.twilio.objects[sid] = replace(kept, stored_size=5000, etag='"other"')
    bench.prober.doubt(sid)
    bench.run(1)
    assert (bench.info(sid).plain_size, bench.prober.contradictions) == (4993, 1)


@pytest.mark.parametrize("trouble", [Unreachable("down"), MediaDamaged("nonsense"), NotFound("404 of S3")])
def test_a_doubt_that_could_not_be_cleared_up_is_looked_into_until_it_is(bench: Bench, trouble: TwfsError) -> None:
    sid = bench.sids[0]
    bench.run(1)
    bench.twilio.fail_probe[sid] = trouble
    bench.prober.doubt(sid)
    bench.run(3600)
    assert 5 <= bench.probes - 5 <= 8
    assert bench.last_error() == str(trouble)
    del bench.twilio.fail_probe[sid]
    bench.twilio.objects[sid] = replace(facts_of(sid), stored_size=5000, etag='"other"')
    bench.run(3600)
    assert bench.last_error() is None
    assert (bench.info(sid).plain_size, bench.prober.contradictions) == (4993, 1)


def test_an_outage_is_no_trouble_of_the_medium_that_was_being_looked_at_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.run(1)
    bench.twilio.probe_down = Unreachable("down")
    bench.prober.doubt(bench.sids[0])
    bench.run(1)
    assert caplog.messages == ["examining media in the background is paused: down"]


@pytest.mark.parametrize("is_known", [True, False])
def test_the_trouble_of_a_medium_goes_with_it(bench: Bench, *, is_known: bool) -> None:
    gone = bench.sids[0]
    bench.run(1 if is_known else 0)
    bench.twilio.fail_probe[gone] = MediaDamaged("nonsense")
    bench.prober.doubt(gone)
    bench.run(1)
    assert bench.last_error() == "nonsense"
    bench.sids.remove(gone)
    bench.update()
    assert bench.last_error() is None
    bench.run(24 * 3600)
    assert bench.background.step() == IDLE_SECONDS


def test_what_goes_while_it_is_being_examined_is_no_trouble(bench: Bench) -> None:
    gate = bench.twilio.gate = threading.Event()
    gone = bench.sids.pop(0)
    bench.twilio.fail_probe[gone] = MediaDamaged("nonsense")
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(bench.background.step)
        wait_until(lambda: bench.probes == 1)
        bench.update()
        gate.set()
        looking.result()
    assert bench.last_error() is None


def test_what_went_before_it_was_looked_at_again_is_no_trouble(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.run(1)
    bench.prober.doubt(bench.sids[0])
    bench.store.apply([], [bench.sids[0]])
    assert bench.background.step() == 0
    assert bench.background.step() == IDLE_SECONDS
    assert caplog.messages == []


def test_damage_is_over_when_twilio_has_no_media_any_more(bench: Bench) -> None:
    sid = bench.sids[0]
    bench.twilio.fail_probe[sid] = MediaDamaged("nonsense")
    bench.run(1)
    assert bench.last_error() == "nonsense"
    del bench.twilio.fail_probe[sid], bench.twilio.objects[sid]
    bench.run(2 * FIRST_DELAY)
    assert bench.last_error() is None


def test_doubt_of_what_was_never_probed_is_nothing(bench: Bench) -> None:
    bench.prober.doubt(bench.sids[0])
    bench.run(1)
    assert bench.probes == 5


def test_workers_probe_all_and_end(bench: Bench) -> None:
    bench.background.start()
    assert any(thread.name.startswith("twfs-probe-") for thread in threading.enumerate())
    deadline = Deadline(SystemClock(), TIMEOUT)
    while bench.states()["readable"] < 5:
        deadline.remaining()
        threading.Event().wait(0.002)
    bench.background.stop()
    assert not any(thread.name.startswith("twfs-probe-") for thread in threading.enumerate())
    assert bench.probes == 5
