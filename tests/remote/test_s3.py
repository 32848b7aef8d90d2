import asyncio
import gzip
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.remote.rig import HOSTS, Rig, running_rig
from tests.remote.rude import Manner, Meeting, RudeServer, answer, falling_silent_after, saying, trickling
from tests.simulator.support import HandClock
from twfs.clock import Clock, Deadline, SystemClock
from twfs.errors import (
    DeadlineExceeded,
    MediaAbsent,
    MediaDamaged,
    NotFound,
    ObjectChanged,
    RemoteError,
    TwfsError,
    Unreachable,
)
from twfs.event_loop import LoopThread
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.lease import UrlLease
from twfs.remote.s3 import Network, S3Object
from twfs.remote.transport import Transport
from twfs.resources import Kind, Medium
from twfs.simulator.account import StoredObject
from twfs.simulator.faults import Fault

DATA = random.Random(0).randbytes(300_000)
SEALED = StoredObject(DATA, {"X-Amz-Key": "a2V5", "x-amz-iv": "aXY="})
WHOLE = ByteRange(0, len(DATA))
PART = ByteRange(100_000, 200_000)
FACTS = ObjectFacts(len(DATA), '"e"', {}, DATA[-32:])
OURS = {"Content-Range": "bytes 100000-199999/300000", "ETag": '"e"'}
GZIP = {"Content-Encoding": "gzip"}
TAILS = {"Content-Range": "bytes 299968-299999/300000", "ETag": '"e"'}


@contextmanager
def own_object(server: RudeServer, clock: Clock | None = None) -> Iterator[S3Object]:
    """The object that a rude server has."""
    lease = UrlLease(lambda _: f"{server.url}/RT?X-Amz-Signature=5ec2e7", clock or HandClock())
    network = Network(Transport(2), LoopThread(2))
    yield S3Object("RT1", network, lease, HOSTS)
    network.close()


def stored_deadline() -> Deadline:
    return Deadline(HandClock(), 30)


def read(rig: Rig, sid: str, facts: ObjectFacts, seconds: float = 30) -> bytes:
    """`PART` of the object that `facts` describe."""
    return rig.read_of(Medium(sid, Kind.RECORDING), PART, facts, seconds)


# Looking


@pytest.mark.parametrize(("size", "s3_requests"), [(0, 2), (1, 1), (16, 1), (31, 1), (32, 1), (33, 1), (300_000, 1)])
def test_a_look_costs_one_request_and_two_if_the_object_is_empty(rig: Rig, size: int, s3_requests: int) -> None:
    stored = StoredObject(DATA[:size], SEALED.metadata)
    medium = rig.add(stored)
    facts = rig.store.inspect(medium, rig.deadline())
    expected = {"x-amz-key": "a2V5", "x-amz-iv": "aXY="}
    assert facts == ObjectFacts(size, f'"{stored.etag}"', expected, DATA[:size][-32:])
    assert rig.costs == (1, s3_requests)
    assert rig.simulator.bytes_sent("s3") < 1000
    rig.store.inspect(medium, rig.deadline())
    assert rig.costs == (1, 2 * s3_requests)


def test_absent_media_are_told_from_an_object_that_is_gone(rig: Rig) -> None:
    with pytest.raises(MediaAbsent):
        rig.store.inspect(rig.add(None), rig.deadline())
    assert rig.costs == (1, 0)
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", status=404, times=None))
    with pytest.raises(NotFound, match="S3 has no such object") as caught:
        rig.store.inspect(medium, rig.deadline())
    assert not isinstance(caught.value, MediaAbsent)
    assert rig.costs == (2, 1)


def test_a_gateways_404_says_nothing_of_the_object(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", status=404, body="<html>default backend</html>", times=2))
    facts = rig.store.inspect(medium, rig.deadline())
    assert facts.stored_size == len(DATA)
    assert rig.costs == (1, 3)
    rig.simulator.inject(Fault("s3", status=404, body="<html>default backend</html>"))
    assert read(rig, medium.sid, facts) == DATA[PART.start : PART.end]
    assert rig.costs == (1, 5)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": None},
        {"Content-Range": "bytes 0-31/300000"},
        {"Content-Range": "bytes 299968-299999/*"},
        {"Content-Range": "bytes 299968-299999/" + "9" * 5000},
        {"Content-Range": "bytes 299968-300000/300001"},
        {"Content-Range": "bytes 31-0/32"},
        {"Content-Range": "octets 299968-299999/300000"},
    ],
)
def test_a_look_that_is_answered_with_another_range_fails(rig: Rig, headers: dict[str, str | None]) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", headers=headers))
    assert rig.store.inspect(medium, rig.deadline()).stored_size == len(DATA)
    assert rig.costs == (1, 2)
    rig.simulator.inject(Fault("s3", headers=headers, times=None))
    with pytest.raises(Unreachable):
        rig.store.inspect(medium, rig.deadline())
    assert rig.costs == (1, 8)


def test_an_object_that_is_empty_at_one_time_only_is_not_believed(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", status=416))
    assert rig.store.inspect(medium, rig.deadline()).stored_size == len(DATA)
    rig.simulator.inject(Fault("s3", status=416, times=None, match=lambda request: "range" in request.headers))
    with pytest.raises(Unreachable, match="contradicts itself"):
        rig.store.inspect(medium, rig.deadline())
    assert rig.simulator.bytes_sent("s3") < 20 * len(DATA)


def test_metadata_beyond_all_measure_are_damage(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", headers={f"x-amz-meta-{number}": "x" * 7000 for number in range(3)}))
    with pytest.raises(MediaDamaged, match="larger than S3 allows"):
        rig.store.inspect(medium, rig.deadline())


# Reading


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    with running_rig() as rig:
        yield rig


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_range_whatever_breaks_is_what_is_stored(shared: Rig, data: st.DataObject) -> None:
    """Resets and early ends at any byte: the reader notices nothing."""
    start = data.draw(st.integers(0, len(DATA) - 1))
    wanted = ByteRange(start, data.draw(st.integers(start + 1, len(DATA))))
    cuts = data.draw(st.lists(st.tuples(st.booleans(), st.integers(0, wanted.size)), max_size=4))
    medium = shared.add(SEALED)
    facts = shared.store.inspect(medium, shared.deadline())
    for reset, at in cuts:
        shared.simulator.inject(Fault("s3", reset_after=at) if reset else Fault("s3", close_after=at))
    got = shared.read_of(medium, wanted, facts, 1000)
    shared.simulator.clear_faults()
    assert got == DATA[wanted.start : wanted.end]


def test_a_range_costs_one_request(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    assert rig.costs == (1, 1)
    assert read(rig, medium.sid, facts) == DATA[PART.start : PART.end]
    assert rig.costs == (1, 2)
    request = rig.simulator.requests[-1]
    assert (request.range, request.headers["if-match"]) == ("bytes=100000-199999", facts.etag)
    assert request.bytes_sent == PART.size


class Interrupting:
    """Takes bytes, and lets something happen, or raises something, once so many have come."""

    def __init__(self, enough: int, event: Callable[[], object]) -> None:
        self.body = bytearray()
        self._enough: int | None = enough
        self._event = event

    def take(self, piece: bytes) -> None:
        self.body += piece
        if self._enough is not None and len(self.body) >= self._enough:
            self._enough = None
            self._event()


def test_who_wants_no_more_ends_it(rig: Rig) -> None:
    def enough() -> None:
        raise LookupError("enough")

    medium = rig.add(StoredObject(DATA * 30))
    facts, some = rig.store.inspect(medium, rig.deadline()), Interrupting(1000, enough)
    whole = ByteRange(0, facts.stored_size)
    with pytest.raises(LookupError):
        rig.network.loop.call(lambda: rig.store.fetch(medium, whole, facts, some.take, rig.deadline()))
    assert len(some.body) < 2 * 2**20
    assert rig.costs == (1, 2)


def test_connections_are_used_again_after_whole_ranges_and_refusals() -> None:
    def serve(meeting: Meeting) -> None:
        first, end = meeting.range
        headers = {"Content-Range": f"bytes {first}-{end - 1}/{len(DATA)}", "ETag": '"e"'}
        meeting.send(answer(206, DATA[first:end], headers))

    expired = saying(answer(403, b"<Error><Code>AccessDenied</Code></Error>"))
    slow_down = saying(answer(503, b"<Error><Code>SlowDown</Code></Error>"))
    with RudeServer(serve, serve, expired, serve, slow_down, serve) as server, own_object(server) as stored:
        for _ in range(5):
            assert stored.read(PART, FACTS, stored_deadline()) == DATA[PART.start : PART.end]
        assert (len(server.requests), server.connections) == (7, 1)


def test_an_answer_that_is_refused_leaves_no_connection_open() -> None:
    dropped = threading.Event()

    def serve_another_range(meeting: Meeting) -> None:
        headers = {"Content-Range": "bytes 0-99999/300000", "ETag": '"e"', "Content-Length": "100000"}
        meeting.send(answer(206, b"begun", headers))
        if not meeting.plug.recv(1):
            dropped.set()

    with RudeServer(serve_another_range) as server, own_object(server) as stored:
        # While `caught` lives, its traceback keeps all that was not closed.
        with pytest.raises(Unreachable, match="another range") as caught:
            stored.read(PART, FACTS, stored_deadline())
        assert dropped.wait(5)
        assert caught.value


# Worn out URLs


def test_an_expired_url_is_renewed_and_the_reader_notices_nothing(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.simulator.inject(Fault("s3", reset_after=150_000))
    some = Interrupting(1000, rig.simulator.expire_urls)
    rig.network.loop.call(lambda: rig.store.fetch(medium, WHOLE, facts, some.take, rig.deadline()))
    assert some.body == DATA
    assert rig.costs == (2, 4)


def test_a_url_is_renewed_before_it_expires(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.read(medium, PART)
    for hours in range(1, 4):
        rig.clock.seconds = 3599.0 * hours
        rig.read(medium, PART)
        assert rig.costs == (1 + hours, 2 * (1 + hours))
    assert {request.status for request in rig.simulator.requests} == {302, 206}


def test_a_dead_token_is_a_worn_out_url(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", status=400))
    assert rig.read(medium, PART) == DATA[PART.start : PART.end]
    assert rig.costs == (2, 3)


@pytest.mark.parametrize("status", [403, 400])
def test_a_url_that_is_refused_for_ever_is_an_error_and_no_loop(rig: Rig, status: int) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", status=status, times=None))
    with pytest.raises(Unreachable, match=f"refuses a fresh pre-signed URL .HTTP {status}"):
        rig.store.inspect(medium, rig.deadline())
    assert rig.costs == (7, 12)


def test_ten_readers_with_an_expired_url_cause_one_renewal(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.read(medium, PART)
    rig.simulator.expire_urls()
    with ThreadPoolExecutor(10) as pool:
        parts = list(pool.map(lambda _: rig.read(medium, PART), range(10)))
    assert set(parts) == {DATA[PART.start : PART.end]}
    assert rig.simulator.count("api") == 2


def test_who_joined_a_renewal_that_ran_out_of_time_has_its_own_time() -> None:
    both_wait, asked = threading.Event(), 0
    body = DATA[PART.start : PART.end]

    def obtain(_deadline: Deadline) -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            both_wait.wait()
            raise DeadlineExceeded("no answer within 1 s")
        return f"{server.url}/RT?X-Amz-Signature=5ec2e7"

    async def together() -> list[BaseException | None]:
        tasks = [asyncio.create_task(lost.fetch(PART, FACTS, sink.extend, stored_deadline())) for sink in sinks]
        await asyncio.sleep(0)
        both_wait.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    sinks = [bytearray(), bytearray()]
    with RudeServer(saying(answer(206, body, OURS))) as server:
        network = Network(Transport(2), LoopThread(2))
        lost = S3Object("RT1", network, UrlLease(obtain, HandClock()), HOSTS)
        first, second = network.loop.call(together)
        network.close()
    assert isinstance(first, DeadlineExceeded)
    assert second is None
    assert sinks == [b"", body]


# URLs that cannot be had


@pytest.mark.parametrize("fault", [Fault("api.media", status=503), Fault("api.media", reset_after=0)])
def test_a_url_that_cannot_be_had_is_asked_for_six_times_by_a_look(rig: Rig, fault: Fault) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(replace(fault, times=None))
    with pytest.raises(Unreachable):
        rig.store.inspect(medium, rig.deadline())
    assert rig.costs == (6, 0)
    assert 1.5 < rig.clock.seconds < 5
    rig.simulator.clear_faults()
    rig.simulator.inject(replace(fault, times=5))
    assert rig.store.inspect(medium, rig.deadline()).stored_size == len(DATA)
    assert rig.costs == (12, 1)


def test_a_url_that_cannot_be_had_is_asked_for_six_times_by_a_read(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.simulator.expire_urls()
    rig.simulator.inject(Fault("api.media", status=503, times=None))
    with pytest.raises(Unreachable, match="HTTP 503"):
        read(rig, medium.sid, facts)
    assert rig.costs == (7, 7)
    assert 1.5 < rig.clock.seconds < 5


def test_a_pause_that_is_asked_for_with_the_url_is_kept(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("api.media", status=503, headers={"Retry-After": "5"}))
    assert rig.store.inspect(medium, rig.deadline()).stored_size == len(DATA)
    assert rig.costs == (2, 1)
    assert rig.clock.seconds == 5


# Another object


def test_an_object_that_was_replaced_is_noticed_by_if_match(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.account.replace(medium.sid, StoredObject(DATA[::-1]))
    with pytest.raises(ObjectChanged):
        read(rig, medium.sid, facts)
    assert rig.simulator.requests[-1].status == 412
    assert rig.costs == (1, 2)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("s3", headers={"ETag": '"other"'}),
        Fault("s3", headers={"ETag": None}),
        Fault("s3", headers={"Content-Range": "bytes 100000-199999/300016"}),
        Fault("s3", status=416),
        Fault("s3", status=404),
        Fault("s3", status=200, headers={"Content-Range": None}),
    ],
)
def test_an_answer_about_another_object_is_no_data(rig: Rig, fault: Fault) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.simulator.inject(fault)
    with pytest.raises(ObjectChanged):
        read(rig, medium.sid, facts)
    assert rig.costs == (1, 2)


def test_media_deleted_while_open_have_changed(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.account.delete(medium.sid)
    rig.simulator.expire_urls()
    with pytest.raises(ObjectChanged, match="deleted while open"):
        read(rig, medium.sid, facts)


def test_an_object_without_etag_is_read_without_if_match(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", headers={"ETag": None}, times=2))
    assert rig.read(medium, PART) == DATA[PART.start : PART.end]
    assert "if-match" not in rig.simulator.requests[-1].headers


# Wrong answers


def test_200_with_the_whole_object_is_taken_where_the_whole_was_wanted(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    with RudeServer(saying(answer(200, DATA, {"ETag": facts.etag}))) as server, own_object(server) as stored:
        assert stored.read(WHOLE, facts, stored_deadline()) == DATA
        with pytest.raises(Unreachable, match="another range"):
            stored.read(PART, facts, stored_deadline())
        assert len(server.requests) == 7


@pytest.mark.parametrize(
    "wrong", [None, "bytes 0-99999/300000", "bytes 100000-199998/300000", "bytes 100000-299999/300000", "x", ""]
)
def test_a_wrong_content_range_is_asked_again_and_then_an_error(rig: Rig, wrong: str | None) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.simulator.inject(Fault("s3", headers={"Content-Range": wrong}))
    assert read(rig, medium.sid, facts) == DATA[PART.start : PART.end]
    assert rig.costs == (1, 3)
    rig.simulator.inject(Fault("s3", headers={"Content-Range": wrong}, times=None))
    with pytest.raises(Unreachable):
        read(rig, medium.sid, facts)
    assert rig.costs == (1, 9)


@pytest.mark.parametrize("page", [b"sign in", b"<html>sign in first</html>" * 10])
def test_a_page_under_the_headers_of_the_object_is_not_its_bytes(rig: Rig, page: bytes) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", body=page))
    facts = rig.store.inspect(medium, rig.deadline())
    assert facts.tail == DATA[-32:]
    rig.simulator.inject(Fault("s3", body=page))
    assert read(rig, medium.sid, facts) == DATA[PART.start : PART.end]
    assert rig.costs == (1, 4)


def chunked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """A 206 whose length is not told, as by a proxy that compresses while it passes on."""
    lines = ["HTTP/1.1 206 Said", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_what_a_proxy_has_compressed_is_not_the_object_s_bytes() -> None:
    tail = saying(chunked(gzip.compress(DATA[-32:]), TAILS | GZIP))
    part = saying(chunked(gzip.compress(DATA[PART.start : PART.end]), OURS | GZIP))
    with RudeServer(tail, saying(answer(206, DATA[-32:], TAILS)), part) as server, own_object(server) as stored:
        facts = stored.inspect(stored_deadline())
        assert facts == FACTS
        with pytest.raises(Unreachable, match="compressed on its way"):
            stored.read(PART, facts, stored_deadline())
        assert len(server.requests) == 8


@pytest.mark.parametrize("encoding", [{}, {"Content-Encoding": "identity"}])
def test_an_answer_in_chunks_is_taken_where_nothing_has_compressed_it(encoding: dict[str, str]) -> None:
    with RudeServer(saying(chunked(DATA[-32:], TAILS | encoding))) as server, own_object(server) as stored:
        assert stored.inspect(stored_deadline()).tail == DATA[-32:]


def test_an_object_that_is_stored_compressed_is_read_as_it_is_stored() -> None:
    with RudeServer(saying(answer(206, DATA[-32:], TAILS | GZIP))) as server, own_object(server) as stored:
        assert stored.inspect(stored_deadline()).tail == DATA[-32:]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_the_bucket_s_trouble_is_waited_out(rig: Rig, status: int) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("s3", status=status, times=2))
    rig.simulator.inject(Fault("s3", status=status, headers={"Retry-After": "5"}))
    assert rig.read(medium, PART) == DATA[PART.start : PART.end]
    assert rig.costs == (1, 5)
    assert 5.1 < rig.clock.seconds < 5.6


def test_a_request_that_came_too_slowly_for_the_bucket_is_sent_again(rig: Rig) -> None:
    medium = rig.add(SEALED)
    body = "<Error><Code>RequestTimeout</Code></Error>"
    rig.simulator.inject(Fault("s3", status=400, body=body, times=2))
    assert rig.read(medium, PART) == DATA[PART.start : PART.end]
    assert rig.costs == (1, 4)


def test_other_refusals_are_not_tried_again(rig: Rig) -> None:
    medium = rig.add(SEALED)
    body = "<Error><Code>InvalidArgument</Code></Error>"
    rig.simulator.inject(Fault("s3", status=400, body=body, times=None))
    with pytest.raises(RemoteError, match="HTTP 400, InvalidArgument"):
        rig.store.inspect(medium, rig.deadline())
    assert rig.costs == (1, 1)


def test_connections_that_always_break_are_an_error_after_six(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.simulator.inject(Fault("s3", reset_after=0, times=None))
    with pytest.raises(Unreachable):
        read(rig, medium.sid, facts)
    # One look and six attempts; and the first of them went out on the look's connection: where one that stood idle
    # ends before a byte has come, the server may have closed it long ago, and libcurl asks on a new one at once.
    assert rig.costs == (1, 8)


def test_connections_that_break_after_every_byte_end_with_the_deadline(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    rig.simulator.inject(Fault("s3", close_after=1, times=None))
    with pytest.raises((Unreachable, DeadlineExceeded)):
        read(rig, medium.sid, facts, seconds=5)
    assert 4 < rig.clock.seconds <= 5


# Where URLs lead


def test_a_bucket_that_cannot_be_reached_is_looked_for_where_twilio_says_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nowhere = f"http://127.0.0.1:{gone.getsockname()[1]}/RT"
    with RudeServer(saying(answer(206, DATA[-32:], TAILS))) as server:
        places, clock = iter([nowhere, f"{server.url}/RT"]), HandClock()
        network = Network(Transport(2), LoopThread(2))
        lease = UrlLease(lambda _: next(places), clock)
        assert lease.get(Deadline(clock, 30)).url == nowhere
        clock.seconds = 2
        assert S3Object("RT1", network, lease, HOSTS).inspect(Deadline(clock, 30)).tail == DATA[-32:]
        network.close()


def test_a_failure_that_names_another_place_is_still_a_failure() -> None:
    failure = saying(answer(500, b"", {"Location": "/error.html"}))
    with RudeServer(failure, saying(answer(206, DATA[-32:], TAILS))) as server, own_object(server) as stored:
        assert stored.inspect(stored_deadline()).tail == DATA[-32:]
        assert server.requests[1].startswith(b"GET /RT?")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_bucket_may_send_elsewhere_within_the_allowed_hosts(status: int) -> None:
    redirect = saying(answer(status, b"", {"Location": "/other?X-Amz-Signature=5ec2e7"}))
    last = saying(answer(206, DATA[-32:], {"Content-Range": "bytes 299968-299999/300000"}))
    with RudeServer(redirect, last) as server, own_object(server) as stored:
        assert stored.inspect(stored_deadline()).tail == DATA[-32:]
        assert server.requests[1].startswith(b"GET /other?X-Amz-Signature=5ec2e7 ")
        assert b"range: bytes=-32" in server.requests[1].lower()


@pytest.mark.parametrize(
    ("place", "requests"),
    [("https://evil.test/?5ec2e7", 1), ("/?5ec2e7", 3), ("http://[::1", 1), ("\\\\evil.test\\5ec2e7", 1)],
)
def test_the_bucket_may_not_send_elsewhere_or_in_circles(place: str, requests: int) -> None:
    with RudeServer(saying(answer(307, b"", {"Location": place}))) as server, own_object(server) as stored:
        with pytest.raises(RemoteError) as caught:
            stored.inspect(stored_deadline())
        assert "5ec2e7" not in str(caught.value)
        assert len(server.requests) == requests


# Time


@pytest.mark.parametrize(
    "manner",
    [
        falling_silent_after(b""),
        falling_silent_after(answer(206, b"ab", OURS)),
        falling_silent_after(answer(206, b"", OURS | {"Content-Length": "100000"})),
        trickling(
            answer(206, b"", OURS | {"Content-Length": "100000"}),
            0.02,
        ),
        trickling(answer(403, b"", {"Content-Length": "10000"}), 0.02),
        saying(answer(503)),
    ],
)
def test_no_read_lasts_longer_than_its_deadline(manner: Manner) -> None:
    with RudeServer(manner) as server, own_object(server, SystemClock()) as stored:
        began = time.monotonic()
        with pytest.raises((DeadlineExceeded, Unreachable)):
            stored.read(PART, FACTS, Deadline(SystemClock(), 0.4))
        # A machine that does much else may be late; what ends by itself does so after 10 s of silence, or never.
        assert time.monotonic() - began < 5


def test_no_error_holds_a_query(rig: Rig) -> None:
    medium = rig.add(SEALED)
    facts = rig.store.inspect(medium, rig.deadline())
    faults = [Fault("s3", status=status, times=None) for status in (400, 403, 404, 412, 416, 418, 429, 500, 503)]
    faults += [Fault("s3", reset_after=0, times=None), Fault("s3", close_after=0, times=None)]
    faults += [
        Fault("s3", status=301, headers={"Location": f"https://evil.test/{os.urandom(4).hex()}?X-Amz-Signature"})
    ]
    for fault in faults:
        rig.simulator.inject(fault)
        with pytest.raises(TwfsError) as caught:
            read(rig, medium.sid, facts)
        rig.simulator.clear_faults()
        message = str(caught.value)
        assert message.isprintable()
        assert "?" not in message
        assert "X-Amz" not in message
        assert caught.value.__cause__ is None
