import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from twfs.errors import RemoteError, Unreachable
from twfs.remote.hosts import check_media_url, check_same_host, is_loopback, joined

API = "https://video.twilio.com"
SUFFIXES = ("amazonaws.com", "twilio.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://com-twilio-us1-video-recording.s3.amazonaws.com/AC1/RT1?X-Amz-Signature=a%2Fb&x=1",
        "https://AMAZONAWS.com./x",
        "https://s3.amazonaws.com:443/a_b/c",
        "HTTPS://old_bucket.s3.amazonaws.com/x",
    ],
)
def test_media_may_come_from_the_hosts_named(url: str) -> None:
    check_media_url(url, SUFFIXES)


@pytest.mark.parametrize(
    "url",
    [
        "http://s3.amazonaws.com/x",
        "ftp://s3.amazonaws.com/x",
        "file:///etc/passwd",
        "//s3.amazonaws.com/x",
        "s3.amazonaws.com/x",
        "",
        "https://",
        "https://evilamazonaws.com/x",
        "https://amazonaws.com.evil.test/x",
        "https://evil.test/amazonaws.com",
        "https://evil.test?.amazonaws.com",
        "https://evil.test#.amazonaws.com",
        "https://evil.test\\@amazonaws.com/x",
        "https://evil.test\\.amazonaws.com/x",
        "https://evil.test%2f.amazonaws.com/x",
        "https://user@amazonaws.com/x",
        "https://amazonaws.com@evil.test/x",
        "https://evil.test\t.amazonaws.com/x",
        "https://amazonaws.com/x\r\nHost: evil.test",
        "https://amazonaws.com:99999/x",
        "https://amazonaws.com:x/x",
        "https://[::1/x",
        "https://\uff41mazonaws.com/x",
        "https://127.0.0.1/x",
        "http://localhost/x",
    ],
)
def test_media_from_elsewhere_are_refused_at_once(url: str) -> None:
    with pytest.raises(RemoteError) as caught:
        check_media_url(url, SUFFIXES)
    assert not isinstance(caught.value, Unreachable)  # which would be tried again


def test_a_refused_media_url_is_named_without_its_query() -> None:
    for url in ("http://s3.amazonaws.com/x?secret", "https://evil.test/x?secret", "https://evil.test\\x?secret"):
        with pytest.raises(RemoteError) as caught:
            check_media_url(url, SUFFIXES)
        assert "secret" not in str(caught.value)


def test_loopback_is_allowed_only_where_it_is_named_and_then_without_tls() -> None:
    for url in ("http://127.0.0.1:8080/x", "http://localhost:1/x", "http://[::1]:1/x", "https://127.0.0.53/x"):
        check_media_url(url, ("localhost",))
        with pytest.raises(RemoteError):
            check_media_url(url, SUFFIXES)


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(
        map(is_loopback, ["", "0.0.0.0", "10.0.0.1", "localhost.evil.test", "127.0.0.1.evil.test", "2130706433"])
    )


PIECES = st.sampled_from(
    [
        *["https://", "http://", "//", "/", "\\", "@", ":", "?", "#", ".", "%2f", "%40", "[", "]", "443"],
        *["\t", "\0", " ", "\u2044", "\u3002", "\u00e9", "amazonaws.com", "evil.test", "video.twilio.com"],
    ]
)


@given(st.lists(PIECES, max_size=9).map("".join))
@example("https://evil.test\\@amazonaws.com/")
def test_where_a_checked_url_leads_is_where_the_http_library_goes(url: str) -> None:
    try:
        check_media_url(url, SUFFIXES)
    except RemoteError:
        return
    parsed = parse_url(url)
    host = (parsed.host or "").rstrip(".")
    assert (parsed.scheme, parsed.auth) == ("https", None)
    assert any(host == suffix or host.endswith(f".{suffix}") for suffix in SUFFIXES)


@given(st.lists(PIECES, max_size=9).map("".join))
@example("https://evil.test\\@video.twilio.com/")
def test_credentials_go_to_their_own_host_only(url: str) -> None:
    try:
        check_same_host(url, API)
    except RemoteError:
        return
    parsed = parse_url(url)
    assert (parsed.scheme, parsed.host, parsed.port or 443, parsed.auth) == ("https", "video.twilio.com", 443, None)


def test_the_same_host_is_the_same_scheme_name_and_port() -> None:
    for same in ("https://video.twilio.com/v1?Page=1", "https://VIDEO.twilio.com:443/"):
        check_same_host(same, API)
    for other in ("http://video.twilio.com/", "https://video.twilio.com:8443/", "https://accounts.twilio.com/"):
        with pytest.raises(RemoteError, match="credentials are not sent there"):
            check_same_host(other, API)


@given(st.text(max_size=30))
@example("http://[::1")
@example("//[")
def test_whatever_a_server_names_is_joined_or_refused(reference: str) -> None:
    try:
        check_media_url(joined(API, reference), SUFFIXES)
    except RemoteError as error:
        assert "\n" not in str(error)  # noqa: PT017  (most are refused, some are not)
