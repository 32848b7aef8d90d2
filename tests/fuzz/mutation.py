"""Inputs that are nearly right: valid ones with some pieces replaced, so that they get past the first check."""

from collections.abc import Sequence

from hypothesis import strategies as st

_CHARACTERS = "\0\t\n\r\x1b\x7f\x85\xa0\ud800\u202e\u2028\u0661\u00b2\U0001f600 ,;:=?&#%/~\\'\"`<>{}[]()|@*+-_"
_WORDS = '\r\n|==|%00|//|..|[[|]]|--|$HOME|${|\\u0000|\\"|\x1b[2J|true|null|None|NaN|Infinity|inf'
_NUMBERS = (
    "0|-0|-1|00|1e9|1e999|0x10|0o777|0b1|1_0|2147483648|9223372036854775807|9223372036854775808|99999999999999999999"
)
_SPICE = (*_CHARACTERS, *_WORDS.split("|"), *_NUMBERS.split("|"))


def nearly(valid: Sequence[str], spice: Sequence[str] = ()) -> st.SearchStrategy[str]:
    """One of `valid` after up to four changes: a part taken out, doubled, or replaced by spice or any text."""
    piece = st.one_of(st.sampled_from((*_SPICE, *spice)), st.text(max_size=8))
    change = st.tuples(st.integers(0, 2000), st.sampled_from((0, 0, 1, 1, 3, 20, 5000)), piece, st.integers(1, 3))
    return st.builds(_changed, st.sampled_from(valid), st.lists(change, max_size=4))


def nearly_bytes(valid: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """The same of bytes."""
    change = st.tuples(
        st.integers(0, 4000), st.sampled_from((0, 1, 1, 3, 20, 5000)), st.binary(max_size=8), st.integers(1, 3)
    )
    return st.builds(_changed_bytes, st.sampled_from(valid), st.lists(change, max_size=4))


def _changed(text: str, changes: Sequence[tuple[int, int, str, int]]) -> str:
    for at, length, piece, times in changes:
        start = at % (len(text) + 1)
        text = text[:start] + piece * times + text[start + length :]
    return text


def _changed_bytes(content: bytes, changes: Sequence[tuple[int, int, bytes, int]]) -> bytes:
    for at, length, piece, times in changes:
        start = at % (len(content) + 1)
        content = content[:start] + piece * times + content[start + length :]
    return content
