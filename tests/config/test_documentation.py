import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.config.documentation import default_text
from twfs.config.table import TABLE
from twfs.option import Option, parse_size


@pytest.mark.parametrize("option", TABLE, ids=lambda option: option.name)
def test_what_is_documented_means_the_default(option: Option) -> None:
    text = default_text(option)
    assert (option.parse(text) if text else None) == option.default


@given(st.integers(0, 2**40))
def test_sizes_keep_their_value(count: int) -> None:
    text = default_text(Option("cache_size", parse_size, count, "", "SIZE"))
    assert parse_size(text) == count


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (1023, "1023"), (1024, "1K"), (3 * 2**29, "1536M")])
def test_sizes_are_as_short_as_they_can_be(count: int, text: str) -> None:
    assert default_text(Option("cache_size", parse_size, count, "", "SIZE")) == text
