import dataclasses

import pytest

from tests.config.builders import Home
from twfs.config.config import Config
from twfs.config.table import OPTIONS, TABLE, refuse_secret, unknown_option
from twfs.errors import ConfigError
from twfs.invocation import twfs_command


def test_every_option_has_a_field_and_every_field_an_option() -> None:
    fields = {field.name for field in dataclasses.fields(Config)}
    assert fields - {"keyring", "again"} == set(OPTIONS)


def test_no_name_stands_for_two_options() -> None:
    assert len(OPTIONS) == len(TABLE)


def test_every_option_explains_itself() -> None:
    assert not [option.name for option in TABLE if not option.help]


@pytest.mark.parametrize(("wrong", "right"), [("cache_sise", "cache_size"), ("conections", "connections")])
def test_unknown_option_names_the_nearest(wrong: str, right: str) -> None:
    assert f"did you mean {right}?" in str(unknown_option(wrong))


def test_unknown_option_without_a_near_one_names_none() -> None:
    assert str(unknown_option("zzzzzz")) == f"unknown option 'zzzzzz'; all of them: {twfs_command('help', 'options')}"


@pytest.mark.parametrize("name", ["api_secret", "auth_token", "password"])
def test_secret_is_refused_and_the_credentials_file_named(name: str) -> None:
    with pytest.raises(ConfigError, match="credentials=FILE"):
        refuse_secret(name)


def test_defaults_are_what_the_contract_says(home: Home) -> None:
    config = home.load()
    assert (config.cache_size, config.readahead, config.connections) == (256 * 2**20, 64 * 2**20, 16)
    assert (config.refresh, config.timeout, config.api_rate) == (60, 30, 40)
    assert (config.api_url, config.accounts_url) == ("https://video.twilio.com", "https://accounts.twilio.com")
    assert config.media_hosts == ("amazonaws.com", "twilio.com")
    assert (config.file_mode, config.dir_mode, config.umask) == (0o440, 0o550, None)
    assert (config.fuse, config.log_level, config.log_format, config.kind) == ("auto", "info", "text", "all")
    assert config.state_dir == home.path / ".cache/twfs"
    assert list(config.keyring) == []
