import pytest

from twfs.simulator.exchange import Request
from twfs.simulator.faults import Fault, FaultBox

REQUEST = Request("GET", "/v1/Recordings", "PageSize=100&PageToken=PA1", {"range": "bytes=-32"})


def test_a_fault_strikes_so_many_times() -> None:
    box = FaultBox()
    once, twice = Fault("api.list", status=500), Fault("api", status=503, times=2)
    box.inject(once)
    box.inject(twice)
    assert [box.strike("api.list", REQUEST) for _ in range(4)] == [once, twice, twice, None]


def test_a_fault_without_end_strikes_until_it_is_cleared() -> None:
    box = FaultBox()
    fault = Fault("s3.get", delay=1, times=None)
    box.inject(fault)
    assert [box.strike("s3.get", REQUEST) for _ in range(5)] == [fault] * 5
    box.clear()
    assert box.strike("s3.get", REQUEST) is None


@pytest.mark.parametrize(
    ("fault", "fits"),
    [
        (Fault("api.list"), True),
        (Fault("api"), True),
        (Fault("api.fetch"), False),
        (Fault("s3"), False),
        (Fault("api.list", match="PageToken"), True),
        (Fault("api.list", match="/v1/Recordings?PageSize"), True),
        (Fault("api.list", match="/v1/Compositions"), False),
        (Fault("api.list", match=lambda request: request.headers["range"] == "bytes=-32"), True),
        (Fault("api.list", match=lambda request: request.method == "POST"), False),
    ],
)
def test_a_fault_is_meant_for_some_requests(fault: Fault, fits: bool) -> None:
    assert fault.fits("api.list", REQUEST) is fits


def test_a_fault_that_can_never_strike_is_refused() -> None:
    with pytest.raises(ValueError, match=r"s3\.put"):
        Fault("s3.put")


def test_a_chance_is_no_chance() -> None:
    for impossible in (0.0, -1.0, 1.1):
        with pytest.raises(ValueError, match="chance"):
            Fault("s3.get", chance=impossible)


def test_a_fault_by_chance_strikes_so_often_and_the_same_for_the_same_seed() -> None:
    fault = Fault("s3.get", status=503, times=None, chance=0.1)
    series = []
    for seed in (1, 1, 2):
        box = FaultBox(seed)
        box.inject(fault)
        series.append([box.strike("s3.get", REQUEST) is fault for _ in range(2000)])
    assert series[0] == series[1] != series[2]
    assert all(120 < sum(strikes) < 280 for strikes in series)


def test_a_spared_request_uses_no_time_up_and_may_meet_the_next_fault() -> None:
    box = FaultBox()
    seldom, always = Fault("s3.get", times=3, chance=0.1), Fault("s3.get", delay=1, times=None)
    box.inject(seldom)
    box.inject(always)
    struck = [box.strike("s3.get", REQUEST) for _ in range(200)]
    assert (struck.count(seldom), struck.count(always)) == (3, 197)
    assert (box.strikes(seldom), box.strikes(always), box.strikes()) == (3, 197, 200)


def test_one_fault_can_be_taken_away() -> None:
    box = FaultBox()
    one, other = Fault("s3.get", times=None), Fault("s3.get", times=None)
    box.inject(one)
    box.inject(other)
    box.strike("s3.get", REQUEST)
    box.remove(one)
    assert box.strike("s3.get", REQUEST) is other
    box.clear()
    assert (box.strikes(one), box.strikes(other)) == (1, 1)
