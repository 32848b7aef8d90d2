from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.errors import ConfigError
from twfs.option import Option, number, one_of, parse_mode, parse_size, parse_switch

PARSERS: list[Callable[[str], Any]] = [parse_size, parse_switch, parse_mode, one_of("a", "b"), number(int, 1, 256)]


@given(st.integers(0, 10**15 - 1), st.sampled_from(["", "K", "M", "G", "k", "m", "g"]))
def test_sizes_are_binary(amount: int, unit: str) -> None:
    assert parse_size(f" {amount}{unit} ") == amount * 1024 ** " KMG".index(unit.upper() or " ")


@pytest.mark.parametrize(
    "text", ["", "K", "-1", "1.5M", "1T", "1 M", "1KB", "0x10", "1e3", "1_0", "\u0663", "9" * 5000]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("", True), ("1", True), ("YES", True), (" on ", True), ("0", False), ("No", False), ("off", False)],
)
def test_switches(text: str, value: bool) -> None:
    assert parse_switch(text) is value


def test_numbers_have_bounds_which_belong_to_them() -> None:
    parse = number(float, 1, 3600)
    assert (parse("1"), parse(" 3600 "), parse("2.5")) == (1.0, 3600.0, 2.5)
    for text in ("0.99", "3600.1", "inf", "-inf", "nan"):
        with pytest.raises(ConfigError, match="between 1 and 3600"):
            parse(text)
    for text in ("", "many", "1,5"):
        with pytest.raises(ConfigError, match="is not a number"):
            parse(text)
    with pytest.raises(ConfigError, match="is not a number"):
        number(int, 1, 256)("1.5")
    with pytest.raises(ConfigError, match="between 0 and 4294967294"):
        number(int, 0, 2**32 - 2)("-1")


def test_modes_are_octal_permission_bits() -> None:
    assert (parse_mode("0440"), parse_mode("777"), parse_mode("0")) == (0o440, 0o777, 0)
    for text in ("", "8", "1000", "-1", "rw-", "0440.0"):
        with pytest.raises(ConfigError, match="permission bits"):
            parse_mode(text)


def test_choices_are_known_of_options_that_have_some() -> None:
    assert Option("fuse", one_of("auto", "3"), "auto", "").choices == ("auto", "3")
    assert Option("timeout", number(float, 1, 2), 1, "").choices == ()


def test_one_of_takes_these_words_only() -> None:
    parse = one_of("auto", "3", "2")
    assert parse("auto") == "auto"
    with pytest.raises(ConfigError, match="none of auto, 3, 2"):
        parse("Auto")


@given(st.sampled_from(PARSERS), st.text(max_size=30))
def test_whatever_is_written_is_a_value_or_one_clear_line(parse: Callable[[str], Any], text: str) -> None:
    message = ""
    try:
        parse(text)
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message
