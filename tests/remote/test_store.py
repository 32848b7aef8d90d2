import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.remote.rig import Rig
from twfs.errors import RemoteError
from twfs.ranges import ByteRange
from twfs.remote import store
from twfs.simulator.account import StoredObject
from twfs.simulator.faults import Fault

DATA = random.Random(1).randbytes(100_000)
SEALED = StoredObject(DATA, {"x-amz-key": "a2V5"})
PART = ByteRange(10_000, 20_000)


def test_a_medium_costs_one_url_for_all_that_is_done_with_it(rig: Rig) -> None:
    media = [rig.add(SEALED) for _ in range(3)]
    for _ in range(3):
        for medium in media:
            assert rig.read(medium, PART) == DATA[PART.start : PART.end]
    assert rig.costs == (3, 18)


def test_a_url_that_was_forgotten_for_too_many_others_is_asked_for_again(rig: Rig) -> None:
    medium = rig.add(SEALED)
    for _ in range(2):
        rig.store.inspect(medium, rig.deadline())
    for number in range(store._LEASES):
        rig.store._object(medium.kind, f"RT{number:032x}")
    assert rig.read(medium, PART) == DATA[PART.start : PART.end]
    assert rig.costs == (2, 4)


def test_credentials_never_reach_s3(rig: Rig) -> None:
    medium = rig.add(SEALED)
    rig.read(medium, PART)
    rig.simulator.expire_urls()
    rig.read(medium, PART)
    requests = rig.simulator.requests
    assert all(("authorization" in request.headers) == request.kind.startswith("api") for request in requests)
    assert rig.account.api_secret not in "".join(str(dict(request.headers)) for request in requests)
    assert {request.headers["accept-encoding"] for request in requests if request.kind == "s3.get"} == {"identity"}


def test_ten_first_readers_ask_for_one_url(rig: Rig) -> None:
    media = [rig.add(SEALED) for _ in range(5)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda medium: rig.store.inspect(medium, rig.deadline()), media * 4))
    assert rig.costs == (5, 20)


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.test/RT?X-Amz-Signature=5ec2e7",
        "http://s3.amazonaws.com/RT?X-Amz-Signature=5ec2e7",
        "https://evil.test\\@s3.amazonaws.com/RT?X-Amz-Signature=5ec2e7",
        "ftp://127.0.0.1/RT?X-Amz-Signature=5ec2e7",
    ],
)
def test_media_elsewhere_are_refused_at_once_and_without_query(rig: Rig, place: str) -> None:
    medium = rig.add(SEALED)
    rig.simulator.inject(Fault("api.media", headers={"Location": place}, times=None))
    with pytest.raises(RemoteError) as caught:
        rig.store.inspect(medium, rig.deadline())
    assert "5ec2e7" not in str(caught.value)
    assert (rig.costs, rig.clock.seconds) == ((1, 0), 0)
