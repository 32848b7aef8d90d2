from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from twfs.simulator.signing import Refused, Signer, _canonical, _signature

NOW = datetime(2017, 11, 23, tzinfo=UTC)


def test_the_signature_is_that_of_the_published_example() -> None:
    """AWS S3 API reference, "Authenticating Requests: Using Query Parameters", example of test.txt."""
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    )
    request = _canonical("GET", "examplebucket.s3.amazonaws.com", "/test.txt", query)
    found = _signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", request, "20130524T000000Z")
    assert found == "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"


def test_what_botocore_signs_passes() -> None:
    auth, awsrequest = pytest.importorskip("botocore.auth"), pytest.importorskip("botocore.awsrequest")
    signer = Signer()
    session = signer._current
    credentials = pytest.importorskip("botocore.credentials").Credentials(session.key_id, session.secret, session.token)
    url = "http://127.0.0.1:8000/bucket/AC1/RT1?response-content-disposition=a%3B%20b"
    request = awsrequest.AWSRequest("GET", url)
    auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=60).add_auth(request)
    signed = urlsplit(request.url)
    signer.check("GET", signed.netloc, signed.path, parse_qsl(signed.query), datetime.now(UTC))


def check(signer: Signer, query: str, **changed: object) -> None:
    facts = {"method": "GET", "host": "h", "path": "/p", "now": NOW} | changed
    signer.check(query=parse_qsl(query), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", [{"method": "HEAD"}, {"host": "other"}, {"path": "/q"}])
def test_method_host_and_path_are_signed(changed: dict[str, object]) -> None:
    signer = Signer()
    query = signer.sign("h", "/p", now=NOW, ttl=60)
    check(signer, query)
    with pytest.raises(Refused, match="signature"):
        check(signer, query, **changed)


def test_an_ended_session_takes_only_its_own_urls_along() -> None:
    signer = Signer()
    before = signer.sign("h", "/p", now=NOW, ttl=60)
    signer.end_session()
    after = signer.sign("h", "/p", now=NOW, ttl=60)
    check(signer, after)
    with pytest.raises(Refused, match="expired"):
        check(signer, before)


def test_a_url_of_no_time_is_expired_at_once() -> None:
    signer = Signer()
    with pytest.raises(Refused, match="expired"):
        check(signer, signer.sign("h", "/p", now=NOW, ttl=0))


def test_no_url_outlives_a_week() -> None:
    signer = Signer()
    query = signer.sign("h", "/p", now=NOW, ttl=10**7)
    check(signer, query, now=NOW + timedelta(days=6))
    with pytest.raises(Refused, match="expired"):
        check(signer, query, now=NOW + timedelta(days=7))
