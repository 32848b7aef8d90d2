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
