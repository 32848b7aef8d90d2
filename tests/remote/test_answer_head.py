from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.remote.answer_head import Head, HeadReader, Nonsense


def heads(lines: Iterable[bytes]) -> list[Head]:
    reader = HeadReader()
    return [head for head in map(reader.take, lines) if head is not None]


def lines_of(text: bytes) -> list[bytes]:
    return text.replace(b"\n", b"\r\n").splitlines(keepends=True)


def test_status_and_headers_by_name_in_whatever_case() -> None:
    (head,) = heads(lines_of(b'HTTP/1.1 206 Partial\nContent-Range: bytes 0-1/2\nETag:  "e" \n\n'))
    assert head.status == 206
    assert (head.headers["content-range"], head.headers.get("etag"), head.headers.get("ETAG")) == (
        "bytes 0-1/2",
        '"e"',
        '"e"',
    )
    assert "Etag" in head.headers
    assert head.headers.get("x") is None


def test_what_comes_twice_is_both() -> None:
    (head,) = heads(lines_of(b'HTTP/1.1 206 x\nETag: "a"\nEtag: "b"\n\n'))
    assert head.headers["etag"] == '"a", "b"'


def test_interim_answers_and_trailers_are_none() -> None:
    text = b"HTTP/1.1 103 x\nLink: a\n\nHTTP/1.1 200\nX: y\n\nTrailer: z\n\n"
    (head,) = heads(lines_of(text))
    assert head.headers == {"x": "y"}


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/2 200 x\n",
        b"HTTP/1.1 0200 x\n",
        b"HTTP/1.1 2000 x\n",
        b"SSH-2.0\n",
        b"HTTP/1.1 200 x\nno header\n",
        b"\n",
        b"HTTP/1.1 103 x\n\n" * 17,
        b"HTTP/1.1 200 x\n" + b"X: y\n" * 20_000,
        b"HTTP/1.1 200 x\n\n" + b"X: y\n" * 20_000,
    ],
)
def test_nonsense_is_refused(text: bytes) -> None:
    with pytest.raises(Nonsense):
        heads(lines_of(text))


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 103 x", b"X: y", b""])))
)
def test_whatever_comes_there_is_one_head_of_a_final_answer_at_most(lines: list[bytes]) -> None:
    found: list[Head] = []
    reader = HeadReader()
    with suppress(Nonsense):
        for line in lines:
            found += filter(None, [reader.take(line + b"\r\n")])
    assert len(found) <= 1
    assert all(200 <= head.status <= 999 for head in found)
