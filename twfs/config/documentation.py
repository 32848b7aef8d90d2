"""What the documentation says of an option, in the words that users write."""

from typing import Any

from twfs.option import Option, parse_mode

_UNITS = ((2**30, "G"), (2**20, "M"), (2**10, "K"))


def default_text(option: Option) -> str:
    """The default as one would write it after `NAME=`; empty if there is none, or if it depends on the machine."""
    value = option.default
    if option.is_switch:
        return "yes" if value else "no"
    if option.parse is parse_mode:
        return f"{value:04o}" if value is not None else ""
    return _size_text(value) if option.metavar == "SIZE" else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ":".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size_text(count: int) -> str:
    for unit, letter in _UNITS:
        if count and count % unit == 0:
            return f"{count // unit}{letter}"
    return str(count)
