import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.cli.flags import add_option_flags, as_flags, flag_of, output, overrides_of
from twfs.cli.main import main
from twfs.cli.outcome import Parser
from twfs.config.table import OPTIONS, TABLE
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


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("kind=recordings", "write --kind recordings;"),
        ("cache_size=1G,allow_other,ro,kind=all", "write --cache-size 1G --allow-other --kind all;"),
        ("ro,kind=all", "write --kind all;"),
        ("room=a b,", "write --room 'a b';"),
        ("kind=all,nonsense", "write --kind all;"),
        ("allow_other=no", "write -o allow_other=no;"),
        ("kind=", "write --kind '';"),
    ],
)
def test_an_option_is_no_output(text: str, meant: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is an option, and -o names the output here") as caught:
        output()(text)
    assert meant in str(caught.value)
    with pytest.raises(argparse.ArgumentTypeError, match="this command does not have it"):
        output(known=())(text)


@pytest.mark.parametrize(
    "text", ["a=b", "./kind=recordings", "out/kind=all", "kind", "allow_other", "ro", "x,kind=all", 'a="', "="]
)
def test_a_file_name_is_one(text: str) -> None:
    assert output()(text) == text


def test_a_secret_is_no_output_and_is_not_shown() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="credentials=FILE") as caught:
        output()("api_secret=hunter2")
    assert "hunter2" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(OPTIONS.keys() - {"allow_delete"})), st.text(min_size=1)))
def test_a_suggested_command_has_the_same_options(values: dict[str, str]) -> None:
    given_values = {name: "yes" if OPTIONS[name].is_switch else value for name, value in values.items()}
    assert overrides_of(parsed(*as_flags(given_values))) == given_values


@pytest.mark.parametrize("command", [["get", "--all"], ["decrypt", "file", "--key", "x", "--iv", "y"]])
@pytest.mark.parametrize("flag", ["-o", "--output"])
def test_each_command_whose_o_is_output_refuses_options(
    command: list[str], flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, flag, "kind=recordings"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "kind=recordings is an option, and -o names the output here" in line
    assert list(tmp_path.iterdir()) == []
