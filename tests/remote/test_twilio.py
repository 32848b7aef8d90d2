import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.remote.rig import Rig, running_rig
from tests.remote.rude import Manner, RudeServer, answer, saying, saying_and_closing
from tests.simulator.support import START, HandClock
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, DeadlineExceeded, MediaAbsent, NotFound, RemoteError, TwfsError, Unreachable
from twfs.remote.http import Authorization, HttpPool
from twfs.remote.retry import RateLimit
from twfs.remote.twilio import TwilioApi
from twfs.resources import Kind, ListFilter, Page, parse_medium
from twfs.simulator.account import StoredObject, new_sid
from twfs.simulator.faults import Fault
from twfs.simulator.server import Simulator

EVERYTHING = ListFilter()
SID, OTHER_SID = new_sid("RT"), new_sid("RT")


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + seconds, UTC)


def sids(api: TwilioApi, wanted: ListFilter = EVERYTHING, kind: Kind = Kind.RECORDING) -> list[str]:
    return [parse_medium(kind, record).sid for page in api.pages(kind, wanted) for record in page]


def page(url: object, *records: object) -> dict[str, object]:
    return {"recordings": list(records), "meta": {"key": "recordings", "next_page_url": url}}


def said(content: object, status: int = 200, **headers: str) -> Manner:
    return saying(answer(status, json.dumps(content).encode(), headers))


def soon() -> Deadline:
    return Deadline(HandClock(), 30)


class OwnApi:
    """The client of a rude server."""

    def __init__(self, server: RudeServer) -> None:
        self.http = HttpPool(2, Authorization("SK1", "word"))
        self.clock = HandClock()
        self.api = TwilioApi(self.http, server.url, RateLimit(1000, self.clock), self.clock, 30)

    def __enter__(self) -> TwilioApi:
        return self.api

    def __exit__(self, *_: object) -> None:
        self.http.close()


def test_a_list_is_complete_and_costs_a_request_per_hundred(rig: Rig) -> None:
    expected = {rig.account.add_recording(None, date_created=moment(number)) for number in range(250)}
    found = sids(rig.api)
    assert (len(found), set(found)) == (250, expected)
    assert rig.costs == (3, 0)
    assert "PageSize=100" in rig.simulator.requests[0].query_string
    assert rig.simulator.requests[0].headers["authorization"].startswith("Basic ")


def test_a_page_is_asked_for_when_it_is_wanted(rig: Rig) -> None:
    for number in range(250):
        rig.account.add_recording(None, date_created=moment(number))
    pages = rig.api.pages(Kind.RECORDING, EVERYTHING)
    assert rig.costs == (0, 0)
    assert len(next(pages)) == 100
    assert rig.costs == (1, 0)


def test_an_empty_list_costs_one_request(rig: Rig) -> None:
    assert list(rig.api.pages(Kind.COMPOSITION, EVERYTHING)) == [[]]
    assert rig.costs == (1, 0)


@pytest.mark.parametrize("kind", Kind)
def test_every_filter_is_applied_by_the_server(rig: Rig, kind: Kind) -> None:
    room, other = new_sid("RM"), new_sid("RM")
    add = rig.account.add_recording if kind is Kind.RECORDING else rig.account.add_composition
    made = [add(None, date_created=moment(number), room_sid=room if number % 2 else other) for number in range(10)]
    since, until = int(START.timestamp()) + 3, int(START.timestamp()) + 7
    assert set(sids(rig.api, ListFilter(room_sid=room), kind)) == set(made[1::2])
    assert set(made[4:7]) <= set(sids(rig.api, ListFilter(created_after=since, created_before=until), kind))
    assert not {made[2], made[8]} & set(sids(rig.api, ListFilter(created_after=since, created_before=until), kind))
    assert made[5] in sids(rig.api, ListFilter(since, until, room), kind)
    assert made[6] not in sids(rig.api, ListFilter(since, until, room), kind)


def test_one_resource_is_fetched_or_not_there(rig: Rig) -> None:
    medium = rig.add(None)
    assert parse_medium(Kind.RECORDING, rig.api.fetch(Kind.RECORDING, medium.sid)).sid == medium.sid
    with pytest.raises(NotFound, match=r"code 20404.*request RQ") as caught:
        rig.api.fetch(Kind.RECORDING, SID)
    assert not isinstance(caught.value, MediaAbsent)
    assert rig.costs == (2, 0)


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.test/", "http://127.0.0.1:1/", "https://127.0.0.1/", "//evil.test/"]
)
def test_a_next_page_elsewhere_is_refused_before_credentials_are_sent(elsewhere: str) -> None:
    with RudeServer(said(page(f"{elsewhere}v1/Recordings?Page=1"))) as server, OwnApi(server) as api:
        with pytest.raises(RemoteError, match="another host"):
            list(api.pages(Kind.RECORDING, EVERYTHING))
        assert len(server.requests) == 1


def test_a_backslash_does_not_smuggle_credentials_to_another_server() -> None:
    with RudeServer(said(page(None))) as thief, RudeServer(said({})) as server, OwnApi(server) as api:
        own = server.url.removeprefix("http://")
        smuggler = RudeServer(said(page(f"{thief.url}\\@{own}/v1/Recordings")))
        with smuggler, pytest.raises(RemoteError):
            list(TwilioApi(api._http, smuggler.url, api._limit, HandClock(), 30).pages(Kind.RECORDING, EVERYTHING))
        assert (thief.connections, server.connections) == (0, 0)


def test_a_list_that_leads_back_into_itself_ends() -> None:
    manners = [
        said(page("/v1/Recordings?Page=1")),
        said(page("/v1/Recordings?Page=2")),
        said(page("/v1/Recordings?Page=1")),
    ]
    with RudeServer(*manners) as server, OwnApi(server) as api:
        with pytest.raises(Unreachable, match="never ends"):
            list(api.pages(Kind.RECORDING, EVERYTHING))
        assert len(server.requests) == 3


def test_a_record_whose_sid_is_none_keeps_back_no_other() -> None:
    records = [{"sid": []}, {"sid": {}}, {"sid": None}, {}, 1, {"sid": "RT1"}]
    content = {"meta": {"key": "recordings", "next_page_url": None}, "recordings": records}
    with RudeServer(said(content)) as server, OwnApi(server) as api:
        assert list(api.pages(Kind.RECORDING, EVERYTHING)) == [records]


@pytest.mark.parametrize(
    "content",
    [
        *[None, 1, [], "text", {}, {"meta": None}, {"meta": {"key": "recordings"}}, {"meta": {"key": 1}, "1": []}],
        *[
            {"meta": {"key": "recordings"}, "recordings": None},
            {"meta": {"key": "meta"}},
            {"meta": {"key": "a"}, "a": {}},
        ],
        *[page(1), page(["x"]), page("http://[::1")],
    ],
)
def test_what_is_no_page_is_an_error_never_an_empty_list(content: object) -> None:
    with RudeServer(said(content)) as server, OwnApi(server) as api, pytest.raises(RemoteError):
        list(api.pages(Kind.RECORDING, EVERYTHING))


@pytest.mark.parametrize(
    "manner",
    [
        saying(answer(200, b'{"recordings": [')),
        saying_and_closing(answer(200, b'{"recordings": [', {"Content-Length": "5000"})),
        saying(answer(200, b"<html>Sign in to the Wi-Fi</html>", {"Content-Type": "text/html"})),
        saying(answer(200, b"\xff\xfe\x00")),
        saying(answer(200, b"[" * 100_000)),
        saying(answer(503, b"<html>", {"Content-Type": "text/html"})),
        saying_and_closing(b""),
    ],
)
def test_half_or_foreign_answers_are_asked_for_again(manner: Manner) -> None:
    with RudeServer(manner, manner, said(page(None, {"sid": SID}))) as server, OwnApi(server) as api:
        assert list(api.pages(Kind.RECORDING, EVERYTHING)) == [[{"sid": SID}]]
        assert len(server.requests) == 3
    with RudeServer(manner) as server, OwnApi(server) as api:
        with pytest.raises(Unreachable) as caught:
            list(api.pages(Kind.RECORDING, EVERYTHING))
        assert len(server.requests) == 6
        assert "?" not in str(caught.value).removesuffix("is a proxy in between?")


@pytest.mark.parametrize("status", [400, 500])
def test_an_error_without_end_is_read_no_further_than_64_kib(status: int) -> None:
    with RudeServer(saying(answer(status, b"x" * 30 * 2**20))) as server, OwnApi(server) as api:
        with pytest.raises(RemoteError, match=f"HTTP {status}"):
            api.fetch(Kind.RECORDING, SID)
        assert server.connections == (1 if status == 400 else 6)


@pytest.mark.parametrize("size", [5 * 2**20, 30 * 2**20])
def test_a_page_that_is_too_large_is_read_no_further_than_4_mib_and_not_asked_for_again(size: int) -> None:
    with RudeServer(saying(answer(200, b" " * size))) as server, OwnApi(server) as api:
        with pytest.raises(Unreachable, match="the answer is larger than 4194304 bytes, and is refused"):
            api.fetch(Kind.RECORDING, SID)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "field",
    [
        b'"track_name": "%b"' % (b"n" * 3 * 10**6),
        b'"grouping_sids": {%b}' % b",".join(b'"k%d": "RM"' % number for number in range(5000)),
        b'"links": ' + b"[" * 100_000 + b"]" * 100_000,
        b'"links": ' + b'{"a":' * 1_000 + b'"]["' + b"}" * 1_000,
        b'"size": ' + b"9" * 100_000,
        b'"size": 1e999, "duration": -' + b"9" * 10_000,
    ],
    ids=["name", "groupings", "lists", "objects", "size", "duration"],
)
def test_a_field_beyond_measure_spoils_neither_its_record_nor_the_list(field: bytes) -> None:
    record, other = b'{"sid": "%b", %b, "status": "completed"}' % (SID.encode(), field), OTHER_SID
    body = b'{"recordings": [%b, {"sid": "%b"}], "meta": {"key": "recordings"}}' % (record, other.encode())
    with RudeServer(saying(answer(200, body))) as server, OwnApi(server) as api:
        media = [parse_medium(Kind.RECORDING, raw) for page in api.pages(Kind.RECORDING, EVERYTHING) for raw in page]
        assert len(server.requests) == 1
    assert [(medium.sid, medium.status) for medium in media] == [(SID, "completed"), (other, None)]
    assert (media[0].claimed_size, media[0].duration) == (None, None)
    assert len(media[0].track_name or "") <= 1024


def test_a_place_of_media_beyond_measure_is_none() -> None:
    place = "https://bucket.s3.amazonaws.com/RT?" + "x" * 20_000
    none = pytest.raises(Unreachable, match="names no place of the media")
    with RudeServer(said({"redirect_to": place})) as server, OwnApi(server) as api, none:
        api.media_url(Kind.RECORDING, SID, Deadline(HandClock(), 5))


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_named_and_not_tried_again(rig: Rig, status: int) -> None:
    rig.simulator.inject(Fault("api", status=status, times=None))
    with pytest.raises(CredentialsRefused, match=rf"HTTP {status}.*check account_sid"):
        rig.api.fetch(Kind.RECORDING, SID)
    assert rig.costs == (1, 0)


def test_other_refusals_are_not_tried_again(rig: Rig) -> None:
    rig.simulator.inject(Fault("api", status=400, times=None))
    with pytest.raises(RemoteError, match="HTTP 400") as caught:
        rig.api.fetch(Kind.RECORDING, SID)
    assert not isinstance(caught.value, Unreachable)
    assert rig.costs == (1, 0)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_s_trouble_is_waited_out(rig: Rig, status: int) -> None:
    medium = rig.add(None)
    rig.simulator.inject(Fault("api", status=status, times=3))
    assert rig.api.fetch(Kind.RECORDING, medium.sid)
    assert rig.costs == (4, 0)
    assert 0.3 < rig.clock.seconds < 1.1


def test_too_many_requests_silence_everybody_for_a_second(rig: Rig) -> None:
    rig.add(None)
    rig.simulator.inject(Fault("api", status=429))
    assert len(sids(rig.api)) == 1
    assert rig.costs == (2, 0)
    assert 1.0 <= rig.clock.seconds < 1.2


@pytest.mark.parametrize("header", ["7", "0", "nonsense", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_retry_after_is_honoured_where_it_can_be_understood(rig: Rig, header: str) -> None:
    rig.add(None)
    rig.simulator.inject(Fault("api", status=429, headers={"Retry-After": header}))
    assert len(sids(rig.api)) == 1
    low, high = {"7": (7.0, 7.1), "0": (0.0, 0.2)}.get(header, (1.0, 1.2))
    assert low <= rig.clock.seconds <= high


def test_a_huge_retry_after_fails_now_and_silences_the_account_for_a_minute_only(rig: Rig) -> None:
    rig.add(None)
    rig.simulator.inject(Fault("api", status=429, headers={"Retry-After": "9" * 30}))
    with pytest.raises(Unreachable, match="HTTP 429, code 20429"):
        sids(rig.api)
    with pytest.raises(DeadlineExceeded):
        sids(rig.api)
    assert (rig.costs, rig.clock.seconds) == ((1, 0), 0)
    rig.clock.seconds = 45
    assert len(sids(rig.api)) == 1
    assert 60 <= rig.clock.seconds < 61


def test_the_rate_is_kept_over_all_calls() -> None:
    with running_rig(rate=5) as rig:
        medium = rig.add(None)
        for _ in range(20):
            rig.api.fetch(Kind.RECORDING, medium.sid)
        assert rig.clock.seconds == pytest.approx(3.0, abs=0.01)


def test_ten_threads_share_the_client(rig: Rig) -> None:
    media = [rig.add(None) for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        records = list(pool.map(lambda medium: rig.api.fetch(Kind.RECORDING, medium.sid), media * 5))
    assert [parse_medium(Kind.RECORDING, record).sid for record in records] == [medium.sid for medium in media * 5]
    assert rig.costs == (50, 0)


TARGET = "https://s3.amazonaws.com/RT?X-Amz-Signature=5ec2e7"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("by", ["both", "Location", "redirect_to"])
def test_the_media_s_place_is_taken_from_every_form_of_redirect(status: int, by: str) -> None:
    headers = {} if by == "redirect_to" else {"Location": TARGET}
    content = b"<html>" if by == "Location" else json.dumps({"redirect_to": TARGET}).encode()
    with RudeServer(saying(answer(status, content, headers))) as server, OwnApi(server) as api:
        for _ in range(3):
            assert api.media_url(Kind.RECORDING, SID, soon()) == TARGET
        assert f"GET /v1/Recordings/{SID}/Media?Ttl=3600 ".encode() in server.requests[0]
        assert server.connections == 1


def test_a_place_in_an_answer_of_200_and_a_relative_one_are_taken_too() -> None:
    with (
        RudeServer(said({"redirect_to": TARGET}), said({}, 302, Location="/bucket/RT")) as server,
        OwnApi(server) as api,
    ):
        assert api.media_url(Kind.RECORDING, SID, soon()) == TARGET
        assert api.media_url(Kind.RECORDING, SID, soon()) == f"{server.url}/bucket/RT"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"redirect_to": 1}', b'{"redirect_to": ""}', b"[" * 60_000]
)
def test_a_redirect_to_nowhere_is_an_error_that_another_attempt_may_mend(content: bytes) -> None:
    with RudeServer(saying(answer(302, content))) as server, OwnApi(server) as api:
        with pytest.raises(Unreachable, match="no place of the media"):
            api.media_url(Kind.RECORDING, SID, soon())
        assert len(server.requests) == 1


def test_a_redirect_to_nonsense_is_an_error() -> None:
    with RudeServer(said({}, 302, Location="http://[::1")) as server, OwnApi(server) as api, pytest.raises(RemoteError):
        api.media_url(Kind.RECORDING, SID, soon())


def test_no_media_is_no_missing_resource(rig: Rig) -> None:
    medium = rig.add(None)
    with pytest.raises(MediaAbsent, match=medium.sid):
        rig.api.media_url(Kind.RECORDING, medium.sid, rig.deadline())
    assert rig.costs == (1, 0)


def test_media_of_a_composition_are_asked_for_in_their_own_collection(rig: Rig) -> None:
    sid = rig.account.add_composition(StoredObject(b"x"))
    assert rig.api.media_url(Kind.COMPOSITION, sid, rig.deadline()).startswith(rig.simulator.bucket_url)


@pytest.mark.parametrize("kind", Kind)
def test_a_deleted_medium_is_gone_and_deleting_it_once_more_is_no_failure(rig: Rig, kind: Kind) -> None:
    add = rig.account.add_recording if kind is Kind.RECORDING else rig.account.add_composition
    gone, kept = add(StoredObject(b"x")), add(StoredObject(b"x"))
    rig.api.delete(kind, gone, rig.deadline())
    assert sids(rig.api, kind=kind) == [kept]
    rig.api.delete(kind, gone, rig.deadline())
    rig.api.delete(kind, new_sid(kind.sid_prefix), rig.deadline())
    assert rig.simulator.count("api.delete") == 3


@pytest.mark.parametrize("fault", [Fault("api.delete", status=503), Fault("api.delete", reset_after=0)])
def test_a_deletion_whose_answer_is_lost_is_asked_for_again(rig: Rig, fault: Fault) -> None:
    medium = rig.add(StoredObject(b"x"))
    rig.simulator.inject(fault)
    rig.api.delete(medium.kind, medium.sid, rig.deadline())
    assert sids(rig.api) == []
    assert rig.simulator.count("api.delete") == 2


@pytest.mark.parametrize("status", [200, 202, 302, 400, 409, 500])
def test_any_other_answer_to_a_deletion_is_a_failure(status: int) -> None:
    with RudeServer(said({}, status)) as server, OwnApi(server) as api:
        with pytest.raises(RemoteError, match=f"HTTP {status}"):
            api.delete(Kind.RECORDING, SID, soon())
        assert server.requests[0].startswith(f"DELETE /v1/Recordings/{SID} ".encode())


FOREIGN = [b"", b"<html>default backend</html>", b"null", b"[404]", b"{}", b'{"message": "no Route matched"}']
"""What gateways say with a 404."""


@pytest.mark.parametrize("body", FOREIGN)
def test_a_404_that_is_not_twilio_s_says_nothing_of_a_medium(rig: Rig, body: bytes) -> None:
    medium = rig.add(StoredObject(b"x"))
    calls: list[Callable[[], object]] = [
        lambda: rig.api.fetch(medium.kind, medium.sid),
        lambda: rig.api.media_url(medium.kind, medium.sid, rig.deadline()),
        lambda: rig.api.delete(medium.kind, medium.sid, rig.deadline()),
    ]
    for call in calls:
        rig.simulator.inject(Fault("api", status=404, body=body, times=6))
        with pytest.raises(Unreachable, match=r"HTTP 404.*is a proxy in between"):
            call()
    assert sids(rig.api) == [medium.sid]


@pytest.mark.parametrize("body", [{"code": 20404}, {"status": 404, "message": "not found"}])
def test_a_404_of_twilio_s_is_believed(body: object) -> None:
    with RudeServer(said(body, 404)) as server, OwnApi(server) as api:
        with pytest.raises(NotFound):
            api.fetch(Kind.RECORDING, SID)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_deletion_without_the_right_to_it(rig: Rig, status: int) -> None:
    medium = rig.add(StoredObject(b"x"))
    rig.simulator.inject(Fault("api.delete", status=status))
    with pytest.raises(CredentialsRefused):
        rig.api.delete(medium.kind, medium.sid, rig.deadline())
    assert sids(rig.api) == [medium.sid]


@pytest.fixture(scope="module")
def failing() -> Iterator[Simulator]:
    with running_rig() as rig:
        yield rig.simulator


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "message", "x"]), inner),
        max_leaves=5,
    )
)
def test_every_error_body_becomes_one_bounded_line(failing: Simulator, body: object) -> None:
    rig = Rig(failing, HandClock())
    failing.inject(Fault("api", status=400, body=json.dumps(body)))
    with pytest.raises(TwfsError) as caught:
        rig.api.fetch(Kind.RECORDING, SID)
    rig.close()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 500
    assert rig.account.api_secret not in message


class FlappingWeb:
    """A list of pages; from the eleventh on each fails so many times before it comes."""

    def __init__(self, pages: int, failures: int, answer: Manner) -> None:
        self.manners: list[Manner] = []
        for number in range(pages):
            following = f"/v1/Recordings?Page={number + 1}" if number + 1 < pages else None
            came = said(page(following, {"sid": f"RT{number:032x}"}))
            self.manners += [*([answer] * failures if number >= 10 else []), came]


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        (said({}, 500), 13),
        (said({"code": 20429}, 429), 13),
        (saying_and_closing(b""), 13),
        (said({}, 503, **{"Retry-After": "20"}), 3),
    ],
    ids=["500", "429", "nothing", "Retry-After"],
)
def test_a_long_list_comes_whole_though_each_page_fails_longer_than_its_attempts(failure: Manner, times: int) -> None:
    web = FlappingWeb(30, times, failure)
    with RudeServer(*web.manners) as server:
        own = OwnApi(server)
        with own as api:
            pages = list(api.pages(Kind.RECORDING, EVERYTHING))
    assert sum(map(len, pages)) == 30
    # Six attempts, a pause, and so on: what is empty tells whoever reads that there is one.
    assert pages.count(Page()) >= 20


def test_the_more_pages_came_the_longer_the_next_is_waited_for_and_a_long_wait_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    waited = []
    for count in (1, 4, 40):
        web = FlappingWeb(count + 1, 0, said({}, 500))
        with RudeServer(*web.manners[:-1], said({}, 500)) as server:
            own = OwnApi(server)
            with own as api, pytest.raises(Unreachable, match="HTTP 500"):
                list(api.pages(Kind.RECORDING, EVERYTHING))
        waited.append(own.clock.seconds)
    assert waited == sorted(waited)
    assert waited[0] < 15
    assert 100 < waited[2] < 250
    assert [record.levelname for record in caplog.records if "is waited for" in record.getMessage()] == ["WARNING"]


def test_how_long_the_server_asks_to_wait_is_waited_for() -> None:
    failure = said({}, 503, **{"Retry-After": "40"})
    web = FlappingWeb(20, 0, failure)
    with RudeServer(*web.manners[:-1], failure, web.manners[-1]) as server:
        own = OwnApi(server)
        with own as api:
            assert sum(map(len, api.pages(Kind.RECORDING, EVERYTHING))) == 20
        assert len(server.requests) == 21
    assert 40 <= own.clock.seconds < 45


@pytest.mark.parametrize("failure", [said({}, 401), said({}, 400), saying(answer(200, b" " * 5 * 2**20))])
def test_what_no_patience_mends_ends_a_list_at_once(failure: Manner) -> None:
    web = FlappingWeb(20, 0, failure)
    with RudeServer(*web.manners[:-1], failure) as server:
        own = OwnApi(server)
        with own as api, pytest.raises((RemoteError, CredentialsRefused)):
            list(api.pages(Kind.RECORDING, EVERYTHING))
        assert len(server.requests) == 20
    assert own.clock.seconds < 1
