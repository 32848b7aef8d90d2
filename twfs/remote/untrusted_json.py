"""JSON that somebody else wrote: no number, depth or count of values in it may cost more than a page of a list does."""

import json
import re

_MOST_VALUES = 200_000
"""Twenty times what a page of 100 records has. An empty object takes 2 bytes of JSON and 64 of memory."""

_DEEPEST = 32
"""Levels that are kept where there are too many; records have three."""

_LONGEST_INTEGER = 20
"""Digits of the longest that fits 64 bits, and its sign. Python refuses the whole text for one of 4,300."""

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[][{}]', re.DOTALL)
"""Strings, passed over as a whole even if they never end, and what opens and closes a level."""


def parsed(body: bytes) -> object:
    """The value in `body`; integers out of any range and what is nested too deep are None.

    Raises:
        ValueError: it is no JSON in UTF-8, or has too many values.
    """
    text = body.decode("utf-8-sig")
    if _values(text) > _MOST_VALUES:
        text = _pruned(text)
    if _values(text) > _MOST_VALUES:
        raise ValueError("too many values")
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        return json.loads(_pruned(text), parse_int=_integer)


def _values(text: str) -> int:
    """At least as many as there are, without those that a list or an object begins with."""
    return sum(map(text.count, ",[{"))


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _pruned(text: str) -> str:
    """The same with `null` in place of each value that is deeper than `_DEEPEST` levels."""
    kept: list[str] = []
    depth = start = 0
    for token in _TOKENS.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == _DEEPEST + 1:
                kept += [text[start : token.start()], "null"]
        elif token[0] in ("]", "}"):
            if depth == _DEEPEST + 1:
                start = token.end()
            depth -= 1
    return "".join([*kept, text[start:] if depth <= _DEEPEST else ""])
