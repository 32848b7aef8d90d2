import io
import logging
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.errors import MediaDamaged, TwfsError
from twfs.log import log
from twfs.redaction import redacted, redacted_tree

SIGNED = "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Signature=abc&X-Amz-Security-Token=def"


@pytest.mark.parametrize(
    "text",
    [
        f"{SIGNED} failed",
        f'{{"url": "{SIGNED}"}}',
        f"({SIGNED})",
        "HTTPSConnectionPool(host='b'): Max retries exceeded with url: /k?X-Amz-Signature=abc&x=def (Caused by ...)",
        "'/k?X-Amz-Signature=abc%2Fdef'",
        "cut at its beginning: mz-Date=1&X-Amz-Signature=abc&X-Amz-Security-Token=def",
        "https://b/k%3FX-Amz-Signature%3Dabc%26X-Amz-Security-Token%3Ddef",
        r"https://b/k\u003fX-Amz-Signature\u003dabc\u0026X-Amz-Security-Token\u003ddef",
        "https://b/k?AWSAccessKeyId=1&Expires=2&Signature=abc)def",
        "ProxyError: http://user:abcdef@proxy:3128 is not there",
        "sent {'Authorization': 'Basic abcdef=='}, answered 400",
        "Authorization: Bearer abc.def-ghi",
        "header value b'Basic QUMwMTIzNDU2Nzg5Omabcdef0='",
        "'TWILIO_API_SECRET=abcdef' is no source",
        "'auth_token=abcdef' is no SID",
    ],
)
def test_what_opens_something_is_cut(text: str) -> None:
    shown = redacted(text)
    assert "abc" not in shown
    assert "def" not in shown
    assert "..." in shown


@pytest.mark.parametrize(
    "text",
    [
        "unknown; did you mean cache_size? or x=1?",
        "Basic authentication of the proxy is refused",
        "https://video.twilio.com/v1/Recordings: HTTP 500 (code 20500)",
        "mail somebody@example.com",
        "options=a,b",
        "api_secret (or auth_token) is missing; write api_secret=... and account_sid=AC...",
        "`account_sid=`, `api_key=` and `api_secret=` (or `auth_token=`) lines",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert redacted(text) == text


@given(st.text(), st.text(alphabet="abc0123", min_size=12), st.text(max_size=5), st.integers(0, 40))
def test_a_signature_never_shows_wherever_the_text_is_cut(before: str, digits: str, after: str, cut: int) -> None:
    secret = f"planted{digits}"
    text = f"{before} https://bucket/key?X-Amz-Date=1&X-Amz-Signature={secret} {after}"
    assert secret not in redacted(text)
    assert secret not in redacted(text[min(len(before), cut) :])
    assert redacted(redacted(text)) == redacted(text)


def test_texts_in_a_tree_are_cut() -> None:
    assert redacted_tree({"a": [SIGNED, 1, None], "b": ("x", True)}) == {
        "a": ["https://b.s3.amazonaws.com/k?...", 1, None],
        "b": ["x", True],
    }


def test_errors_hold_no_signed_query_whoever_shows_them() -> None:
    try:
        raise MediaDamaged(f"{SIGNED}: cut short")
    except TwfsError as error:
        shown = [str(error), repr(error), *traceback.format_exception(error)]
    assert "Signature" not in "".join(shown)


def test_the_log_holds_none_whoever_handles_it() -> None:
    """As in a program that uses twfs as a library, with handlers of its own."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    log.addHandler(handler)
    try:
        log.error("failed: %s %d times", SIGNED, 3, exc_info=OSError(f"no answer from {SIGNED}"))
    finally:
        log.removeHandler(handler)
    shown = stream.getvalue()
    assert shown.startswith("failed: https://b.s3.amazonaws.com/k?... 3 times\nOSError")
    assert "Signature" not in shown
