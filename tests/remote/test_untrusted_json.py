import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.remote import untrusted_json
from twfs.remote.untrusted_json import parsed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_what_is_of_measure_is_what_it_is(value: object) -> None:
    assert parsed(json.dumps(value).encode()) == value
    assert parsed(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) is not NotImplemented


def deepest(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(deepest, inner), default=0) if isinstance(value, dict | list) else 0


def cut(value: object, levels: int) -> object:
    if isinstance(value, list):
        return [cut(part, levels - 1) for part in value] if levels else None
    if isinstance(value, dict):
        return {name: cut(part, levels - 1) for name, part in value.items()} if levels else None
    return value


@given(JSON, st.integers(1, 5))
def test_what_is_too_deep_is_cut_there_and_nothing_else(value: object, levels: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(untrusted_json, "_DEEPEST", levels)
        pruned = json.loads(untrusted_json._pruned(json.dumps(value)))
    assert pruned == cut(value, levels)
    assert deepest(pruned) <= levels


@pytest.mark.parametrize("digits", ["9" * 4301, "-" + "9" * 100_000, "9" * 21], ids=len)
def test_an_integer_beyond_any_range_is_none(digits: str) -> None:
    assert parsed(f'{{"a": {digits}, "b": {2**63}}}'.encode()) == {"a": None, "b": 2**63}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"a": ',
        b"[" * 100_000,
        b"[" * 4_000_000,
        b"]" * 4_000_000,
        b"[" + b"{}," * 1_300_000 + b"{}]",
        b"[" + b"1," * 2_000_000 + b"1]",
        b'"' + b'\\"' * 2_000_000,
        b'"a' * 2_000_000,
        b"[" * 100_000 + b'"' + b'\\"' * 1_000_000,
    ],
    ids=lambda body: f"{body[:3]!r}-{len(body)}",
)
def test_nonsense_is_refused_soon_and_for_little_memory(body: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(ValueError):  # noqa: PT011 - of any text
        parsed(body)
    assert time.process_time() - began < 10
    assert tracemalloc.get_traced_memory()[1] < 96 * 2**20
    tracemalloc.stop()
