import pytest

from twfs.errors import ConfigError
from twfs.fuse.options import OPTIONS

BY_NAME = {option.name: option for option in OPTIONS}


def test_defaults() -> None:
    assert {name: option.default for name, option in BY_NAME.items()} == {
        "fuse": "auto",
        "attr_timeout": 60.0,
        "noforget": False,
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("fuse", "3", "3"),
        ("fuse", "auto", "auto"),
        ("attr_timeout", "0", 0),
        ("attr_timeout", "0.5", 0.5),
        ("noforget", "yes", True),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    assert BY_NAME[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("fuse", "4"), ("attr_timeout", "86401"), ("attr_timeout", "-1"), ("attr_timeout", "nan")]
)
def test_refused_values(name: str, text: str) -> None:
    with pytest.raises(ConfigError):
        BY_NAME[name].parse(text)
