from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.errors import ConfigError
from twfs.transfer.saved_headers import SavedHeaders, parse_saved_headers, read_saved_headers

ENVELOPE = {"x-amz-key": "a2V5", "x-amz-iv": "aXY=", "x-amz-matdesc": "{}"}

WGET = """\
--2017-11-23 16:47:17--  https://com-twilio-us1-video-recording.s3.amazonaws.com/REDACTED/RT0?X-Amz-Signature=0
Resolving com-twilio-us1-video-recording.s3.amazonaws.com... 52.216.1.1
Connecting to com-twilio-us1-video-recording.s3.amazonaws.com|52.216.1.1|:443... connected.
HTTP request sent, awaiting response...
  HTTP/1.1 200 OK
  x-amz-id-2: abc/def=
  Date: Thu, 23 Nov 2017 16:47:18 GMT
  Last-Modified: Thu, 23 Nov 2017 16:40:00 GMT
  ETag: "0123456789abcdef0123456789abcdef"
  x-amz-meta-x-amz-key: a2V5
  x-amz-meta-x-amz-unencrypted-content-length: 746518
  x-amz-meta-x-amz-matdesc: {}
  x-amz-meta-x-amz-iv: aXY=
  Accept-Ranges: bytes
  Content-Type: application/octet-stream
  Content-Length: 746528
  Server: AmazonS3
Length: 746528 (729K) [application/octet-stream]
Saving to: 'encrypted'

     0K .......... .......... .......... .......... ..........  6%  345K 2s
"""


def test_as_wget_prints_them() -> None:
    metadata = {**ENVELOPE, "x-amz-unencrypted-content-length": "746518"}
    assert parse_saved_headers(WGET) == SavedHeaders(metadata, 746528, '"0123456789abcdef0123456789abcdef"')


def test_as_curl_prints_them_after_a_redirect_and_before_the_body(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_bytes(
        b'HTTP/2 302 \r\nlocation: https://x\r\ncontent-length: 99\r\netag: "wrong"\r\n\r\n'
        b"HTTP/1.1 206 Partial Content\r\nX-Amz-Meta-X-Amz-Key:a2V5\r\nX-AMZ-META-X-AMZ-IV:   aXY=  \r\n"
        b"x-amz-meta-x-amz-matdesc: {}\r\nContent-Range: bytes 0-9/746528\r\nContent-Length: 10\r\n\r\n"
        + bytes(range(256))
        * 100
    )
    assert read_saved_headers(path) == SavedHeaders(ENVELOPE, 746528)


CURL_V = """\
  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed
\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0*   Trying 34.1.2.3:443...
* Connected to video.twilio.com (34.1.2.3) port 443 (#0)
* Server auth using Basic with user 'SK0'
> GET /v1/Recordings/RT0/Media HTTP/2\r
> Host: video.twilio.com\r
> authorization: Basic REDACTED\r
> x-amz-meta-x-amz-key: sent\r
>\x20\r
{ [5 bytes data]
< HTTP/2 302 \r
< content-length: 99\r
< location: https://com-twilio.s3.amazonaws.com/RT0\r
<\x20\r
* Issue another request to this URL: 'https://com-twilio.s3.amazonaws.com/RT0'
\r  0     0    0     0    0     0      0      0 --:--:--  0:00:01 --:--:--     0< HTTP/1.1 200 OK\r
< x-amz-request-id: 0123\r
< ETag: "0123456789abcdef0123456789abcdef"\r
< x-amz-meta-x-amz-key: a2V5\r
\r 31  729k   31  231k    0     0   110k      0  0:00:06  0:00:02  0:00:04  110k< x-amz-meta-x-amz-iv: aXY=\r
< x-amz-meta-x-amz-matdesc: {}\r
< Content-Length: 746528\r
<\x20\r
{ [12345 bytes data]
\r100  729k  100  729k    0     0   110k      0  0:00:06  0:00:06 --:--:--  110k
* Connection #1 to host com-twilio.s3.amazonaws.com left intact
"""


def test_as_curl_v_prints_them() -> None:
    assert parse_saved_headers(CURL_V) == SavedHeaders(ENVELOPE, 746528, '"0123456789abcdef0123456789abcdef"')


def test_what_was_sent_and_curls_own_words_are_no_headers() -> None:
    sent = "".join(f"{mark} x-amz-meta-x-amz-key: a\n" for mark in ">*{}")
    assert parse_saved_headers(sent) is None


OF_S3 = "< HTTP/1.1 {status} Whatever\r\n< x-amz-request-id: 0\r\n< Server: AmazonS3\r\n< ETag: x\r\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OF_S3.format(status=200), "not encrypted"),
        (OF_S3.format(status=206).replace("< ", "  "), "not encrypted"),
        (OF_S3.format(status=200).replace("< ", "").lower().replace("http", "HTTP"), "not encrypted"),
        (f"HTTP/2 302 \r\nlocation: x\r\n\r\n{OF_S3.format(status=200)}", "not encrypted"),
        (OF_S3.format(status=403), "S3 answered 403"),
        (OF_S3.format(status=200) + OF_S3.format(status=400), "S3 answered 400"),
        ("HTTP/2 302 \r\nlocation: x\r\n\r\n", "no header x-amz-meta-x-amz-key"),
    ],
)
def test_what_is_said_where_there_is_no_envelope(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_saved_headers(tmp_path / "headers")


def test_how_the_bucket_encrypts_is_kept() -> None:
    found = parse_saved_headers(WGET.replace("  Accept-Ranges: bytes", "  x-amz-server-side-encryption: aws:kms"))
    assert found is not None
    assert found.metadata["x-amz-server-side-encryption"] == "aws:kms"


def test_the_last_response_with_an_envelope_counts() -> None:
    one = "HTTP/1.1 200 OK\nx-amz-meta-x-amz-key: b25l\n\n"
    two = "HTTP/1.1 200 OK\nx-amz-meta-x-amz-key: dHdv\n\n"
    found = parse_saved_headers(one + two + "HTTP/1.1 403 Forbidden\nContent-Length: 3\n")
    assert found == SavedHeaders({"x-amz-key": "dHdv"})


def test_lines_without_a_status() -> None:
    assert parse_saved_headers("x-amz-meta-x-amz-key: a2V5\nx-amz-meta-x-amz-iv: aXY=") == SavedHeaders(
        {"x-amz-key": "a2V5", "x-amz-iv": "aXY="}
    )


@pytest.mark.parametrize("text", ["", "HTTP/1.1 200 OK\nETag: x\n", "x-amz-meta-other: x", "\0" * 100])
def test_no_envelope(text: str, tmp_path: Path) -> None:
    assert parse_saved_headers(text) is None
    (tmp_path / "headers").write_text(text)
    with pytest.raises(ConfigError, match="wget -S or curl -L -D"):
        read_saved_headers(tmp_path / "headers")


def test_a_byte_order_mark_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "h").write_text("x-amz-meta-x-amz-key: a\nx-amz-meta-x-amz-iv: b\n", encoding="utf-8-sig")
    assert read_saved_headers(tmp_path / "h").metadata == {"x-amz-key": "a", "x-amz-iv": "b"}


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_saved_headers(tmp_path / "missing")


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


@st.composite
def printed(draw: st.DrawFn, fields: dict[str, str], status: int) -> str:
    """A response as one of the tools would print it."""
    indent = draw(st.sampled_from(["", "  ", "\t", "< "]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    lines = [f"HTTP/{draw(st.sampled_from(['1.0', '1.1', '2']))} {status} Whatever"]
    for name, value in fields.items():
        shown = draw(st.sampled_from([name, name.upper(), name.title()]))
        lines.append(f"{shown}:{draw(st.sampled_from(['', ' ', '  ']))}{value}")
    return "".join(indent + line + end for line in lines) + end


@given(st.data(), st.dictionaries(NAMES, VALUES, max_size=6), st.integers(0, 2**63 - 1))
def test_whatever_stands_around_it(data: st.DataObject, others: dict[str, str], size: int) -> None:
    redirect = {f"x-{name}": value for name, value in others.items()} | {"content-length": "7", "etag": "no"}
    metadata = {"x-amz-key": data.draw(VALUES), "x-amz-iv": data.draw(VALUES)}
    fields = {f"x-amz-meta-{name}": value for name, value in metadata.items()} | {"content-length": str(size)}
    before = "".join(data.draw(printed(redirect, 302)) for _ in range(data.draw(st.integers(0, 3))))
    text = before + data.draw(printed(fields, 200)) + data.draw(st.sampled_from(["", "Saving to: x\n", "a: b"]))
    assert parse_saved_headers(text) == SavedHeaders(metadata, size)


@given(st.text(max_size=400))
def test_any_text_is_understood_or_not(text: str) -> None:
    found = parse_saved_headers(f"HTTP/1.1 200\n{text}")
    assert found is None or all(name.startswith("x-amz-") or name for name in found.metadata)
