from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.support import Client, HandClock, error_code
from tests.simulator.test_account import Generated
from twfs.simulator.account import SimulatedAccount, StoredObject

DATA = bytes(range(256)) * 4


@pytest.fixture
def sid(account: SimulatedAccount) -> str:
    return account.add_recording(StoredObject(DATA, {"x-amz-iv": "aXY=", "x-amz-matdesc": "{}"}))


@pytest.fixture
def url(client: Client, sid: str) -> str:
    return client.media_url(sid)


def test_the_whole_object_comes_with_its_headers(client: Client, url: str) -> None:
    answer = client.read(url)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["ETag"] == f'"{StoredObject(DATA).etag}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Last-Modified"] == "Thu, 23 Nov 2017 16:47:17 GMT"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["x-amz-meta-x-amz-iv"] == "aXY="
    assert answer.headers["x-amz-meta-x-amz-matdesc"] == "{}"
    assert "Content-Range" not in answer.headers


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, len(DATA) - 1), length=st.integers(1, 2000))
def test_a_range_is_that_part_with_all_headers(client: Client, url: str, start: int, length: int) -> None:
    answer = client.read(url, f"bytes={start}-{start + length - 1}")
    part = DATA[start : start + length]
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{len(DATA)}"
    assert answer.headers["x-amz-meta-x-amz-iv"] == "aXY="


def test_the_last_bytes(client: Client, url: str) -> None:
    answer = client.read(url, "bytes=-32")
    assert (answer.status_code, answer.content) == (206, DATA[-32:])
    assert answer.headers["Content-Range"] == "bytes 992-1023/1024"


def test_a_range_past_the_end_is_refused(client: Client, url: str) -> None:
    answer = client.read(url, "bytes=1024-")
    assert (answer.status_code, error_code(answer)) == (416, "InvalidRange")
    assert "<ActualObjectSize>1024</ActualObjectSize>" in answer.text


def test_an_empty_object_has_no_range(client: Client, account: SimulatedAccount) -> None:
    url = client.media_url(account.add_recording(StoredObject(b"")))
    assert client.read(url, "bytes=-32").status_code == 416
    whole = client.read(url)
    assert (whole.status_code, whole.content, whole.headers["Content-Length"]) == (200, b"", "0")


def test_a_replaced_object_fails_the_precondition(
    client: Client, account: SimulatedAccount, sid: str, url: str
) -> None:
    etag = client.read(url, "bytes=0-0").headers["ETag"]
    assert client.read(url, "bytes=0-9", **{"If-Match": etag}).status_code == 206
    account.replace(sid, StoredObject(DATA[::-1]))
    answer = client.read(url, "bytes=0-9", **{"If-Match": etag})
    assert (answer.status_code, error_code(answer)) == (412, "PreconditionFailed")
    assert client.read(url, "bytes=0-0").content == DATA[-1:]


def test_a_deleted_object_is_no_key(client: Client, account: SimulatedAccount, sid: str, url: str) -> None:
    account.delete(sid)
    answer = client.read(url)
    assert (answer.status_code, error_code(answer)) == (404, "NoSuchKey")


def test_the_url_dies_with_its_time(client: Client, clock: HandClock, sid: str) -> None:
    url = client.media_url(sid, Ttl=60)
    clock.seconds = 59.9
    assert client.read(url).status_code == 200
    clock.seconds = 60
    answer = client.read(url)
    assert (answer.status_code, error_code(answer)) == (403, "AccessDenied")
    assert "<Message>Request has expired</Message>" in answer.text


def test_the_url_dies_with_its_credentials(client: Client, sid: str, url: str) -> None:
    client.simulator.expire_urls()
    answer = client.read(url)
    assert answer.status_code == 403
    assert "<Message>Request has expired</Message>" in answer.text
    assert client.read(client.media_url(sid)).status_code == 200


@pytest.mark.parametrize("name", ["X-Amz-Expires", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Signature"])
def test_a_changed_parameter_breaks_the_signature(client: Client, url: str, name: str) -> None:
    value = parse_qs(urlsplit(url).query)[name][0]
    answer = client.read(url.replace(f"{name}={value}", f"{name}={value[:-1]}{'0' if value[-1] != '0' else '1'}"))
    assert (answer.status_code, error_code(answer)) == (403, "SignatureDoesNotMatch")


def test_an_added_parameter_breaks_the_signature(client: Client, url: str) -> None:
    assert error_code(client.read(f"{url}&response-content-disposition=inline")) == "SignatureDoesNotMatch"


def test_a_url_opens_its_own_object_only(client: Client, account: SimulatedAccount, sid: str, url: str) -> None:
    other = account.add_recording(StoredObject(b"other"))
    assert error_code(client.read(url.replace(sid, other))) == "SignatureDoesNotMatch"


def test_without_a_signature_there_is_no_access(client: Client, url: str) -> None:
    answer = client.read(url.partition("?")[0])
    assert (answer.status_code, error_code(answer)) == (403, "AccessDenied")
    stranger = client.read(url.replace("X-Amz-Credential=ASIA", "X-Amz-Credential=AKIA"))
    assert (stranger.status_code, error_code(stranger)) == (403, "InvalidAccessKeyId")


def test_the_url_is_for_get_only(client: Client, url: str) -> None:
    assert client.bucket.head(url, timeout=10).status_code == 403
    assert client.bucket.put(url, data=b"x", timeout=10).status_code == 403


def test_an_authorization_header_is_refused(client: Client, url: str) -> None:
    answer = client.read(url, Authorization="Basic U0s6c2VjcmV0")
    assert (answer.status_code, error_code(answer)) == (400, "InvalidArgument")


def test_the_disposition_asked_for_is_answered(client: Client, sid: str) -> None:
    assert "Content-Disposition" not in client.read(client.media_url(sid)).headers
    answer = client.read(client.media_url(sid, ContentDisposition="attachment"))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{sid}.mkv"'


def test_one_connection_serves_many_ranges(client: Client, url: str) -> None:
    address, target = urlsplit(url), url.removeprefix(client.simulator.bucket_url)
    with closing(HTTPConnection(address.netloc, timeout=10)) as connection:
        connection.connect()
        # From here on a lost connection is an error, not a new connection.
        connection.auto_open = 0
        for start in (0, 100, 2000, 200):
            connection.request("GET", target, headers={"Range": f"bytes={start}-{start + 9}"})
            answer = connection.getresponse()
            assert (answer.status, answer.version) == (206 if start < len(DATA) else 416, 11)
            assert start >= len(DATA) or answer.read() == DATA[start : start + 10]
            answer.read()


def test_an_object_beyond_memory_is_served_by_ranges(client: Client, account: SimulatedAccount) -> None:
    size = 6 * 2**40 + 7
    url = client.media_url(account.add_recording(Generated(size)))
    answer = client.read(url, f"bytes={5 * 2**40}-{5 * 2**40 + 999_999}")
    assert answer.headers["Content-Range"] == f"bytes {5 * 2**40}-{5 * 2**40 + 999_999}/{size}"
    assert answer.content == Generated(size).read(5 * 2**40, 5 * 2**40 + 1_000_000)
