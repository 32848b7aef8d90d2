import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.remote.encoding import BadEncoding, Decoder


def decoded(encoding: str, body: bytes, step: int, limit: int = 10**9) -> bytes:
    decoder, result = Decoder(encoding), b""
    for start in range(0, len(body), step):
        if len(result) < limit:
            result += decoder.decode(body[start : start + step], limit - len(result))
    if len(result) < limit:
        decoder.end()
    return result


@given(st.lists(st.binary(), min_size=1, max_size=4), st.integers(1, 50), st.integers(1, 500))
def test_pieces_of_any_size_make_the_body_up_to_the_limit(members: list[bytes], step: int, limit: int) -> None:
    plain = b"".join(members)
    assert decoded("GZIP", b"".join(map(gzip.compress, members)), step, limit) == plain[:limit]
    assert decoded("", plain, step, limit) == decoded("identity", plain, step, limit) == plain[:limit]
    assert decoded("deflate", zlib.compress(plain), step, limit) == plain[:limit]


@given(st.binary(min_size=1), st.integers(1, 20), st.data())
def test_a_body_cut_off_is_never_taken_for_whole(plain: bytes, step: int, data: st.DataObject) -> None:
    packed = gzip.compress(plain)
    with pytest.raises(BadEncoding):
        decoded("gzip", packed[: data.draw(st.integers(1, len(packed) - 1))], step)


def test_an_empty_body_is_empty_whatever_it_says_of_its_encoding() -> None:
    assert decoded("gzip", b"", 1) == b""


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate,gzip", "none", "\0"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(BadEncoding, match="not asked for"):
        Decoder(encoding)


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b"abc") + b"more", b"\x1f\x8b\x08\x00" + b"\xff" * 50], ids=len
)
def test_what_is_not_encoded_as_it_says_is_refused(body: bytes) -> None:
    with pytest.raises(BadEncoding):
        decoded("gzip", body, 1000)
