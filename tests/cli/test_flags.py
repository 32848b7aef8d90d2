import argparse

import pytest

from twfs.cli.flags import add_option_flags, flag_of, overrides_of
from twfs.cli.outcome import Parser
from twfs.config.table import TABLE
from twfs.errors import ConfigError
from twfs.option import Option


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser()
    add_option_flags(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("option", TABLE, ids=lambda option: option.name)
def test_every_option_has_a_flag(option: Option) -> None:
    words = [flag_of(option.name)] if option.is_switch else [flag_of(option.name), "some text"]
    assert overrides_of(parsed(*words)) == {option.name: "yes" if option.is_switch else "some text"}


def test_nothing_given_overrides_nothing() -> None:
    assert overrides_of(parsed()) == {}


def test_flags_go_before_mount_options_and_later_before_earlier() -> None:
    arguments = parsed("--timeout", "5", "-o", "timeout=6,refresh=7", "-o", "refresh=8,ro")
    assert overrides_of(arguments) == {"timeout": "5", "refresh": "8"}


def test_unknown_mount_option_is_ignored_only_when_sloppy() -> None:
    arguments = parsed("-o", "foo=1,timeout=6")
    assert overrides_of(arguments, sloppy=True) == {"timeout": "6"}
    with pytest.raises(ConfigError, match="foo"):
        overrides_of(arguments)


@pytest.mark.parametrize("words", [["--api-secret", "hunter2"], ["--auth-token=hunter2"], ["-o", "auth_token=hunter2"]])
def test_secrets_are_refused_and_not_shown(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="credentials=FILE") as caught:
        overrides_of(parsed(*words))
    assert "hunter2" not in str(caught.value)


def test_help_shows_every_option_and_no_secret() -> None:
    parser = Parser()
    add_option_flags(parser)
    shown = parser.format_help()
    assert not [option.name for option in TABLE if flag_of(option.name) not in shown]
    assert "--api-secret" not in shown
