import pytest

from tests.config.builders import ACCOUNT, ENVIRONMENT, OTHER_ACCOUNT, Home
from twfs.config.profiles import SYSTEM_FILE, Source, parse_source
from twfs.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (f"twilio:{ACCOUNT}", Source(account_sid=ACCOUNT)),
        ("twilio:acme", Source(profile="acme")),
        ("twilio:", Source()),
    ],
)
def test_source_names_an_account_a_profile_or_neither(text: str, source: Source) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize("text", ["", "acme", ACCOUNT, "s3:acme", "/dev/sda1", "TWILIO:acme"])
def test_other_sources_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write twilio:"):
        parse_source(text)


def test_named_profile_is_used(home: Home) -> None:
    home.profiles("[profiles.default]\ntimeout = 5\n[profiles.acme]\ntimeout = 7\nallow_other = true\n")
    config = home.load("twilio:acme")
    assert (config.timeout, config.allow_other) == (7, True)


def test_source_without_a_name_is_the_profile_default(home: Home) -> None:
    home.profiles("[profiles.default]\ntimeout = 5\n")
    assert home.load("twilio:").timeout == 5


def test_a_byte_order_mark_is_passed_over(home: Home) -> None:
    home.profiles("\ufeff[profiles.default]\r\ntimeout = 5\r\n")
    assert home.load("twilio:").timeout == 5


def test_missing_profile_names_the_nearest_and_the_known(home: Home) -> None:
    path = home.profiles("[profiles.acme]\n[profiles.beta]\n")
    with pytest.raises(ConfigError) as caught:
        home.load("twilio:acmee")
    assert str(caught.value) == (f"no profile 'acmee' in {path}; did you mean acme? (profiles there: acme, beta)")


@pytest.mark.skipif(SYSTEM_FILE.exists(), reason=f"{SYSTEM_FILE} is there")
def test_without_a_file_it_is_said_where_to_write_one(home: Home) -> None:
    with pytest.raises(ConfigError, match="for there is no configuration file; write it to ~/"):
        home.load("twilio:acme")


def test_an_account_selects_the_profile_that_names_it(home: Home) -> None:
    home.profiles(f'[profiles.default]\ntimeout = 5\n[profiles.acme]\naccount_sid = "{ACCOUNT}"\ntimeout = 7\n')
    assert home.load(f"twilio:{ACCOUNT}").timeout == 7


def test_an_account_that_no_profile_names_takes_the_default_profile(home: Home) -> None:
    home.profiles("[profiles.default]\ntimeout = 5\n")
    assert home.load(f"twilio:{ACCOUNT}").timeout == 5


def test_an_account_takes_nothing_of_another_accounts_default_profile(home: Home) -> None:
    home.profiles(f'[profiles.default]\naccount_sid = "{OTHER_ACCOUNT}"\ntimeout = 5\n')
    assert home.load(f"twilio:{ACCOUNT}").timeout == 30


def test_toml_values_of_all_types_are_understood(home: Home) -> None:
    home.profiles(
        '[profiles.default]\ncache_size = "16M"\nreadahead = 4096\ntimeout = 2.5\nsince = 1970-01-02\n'
        "until = 1970-01-03T00:00:00Z\nallow_root = false\n"
    )
    config = home.load()
    assert (config.cache_size, config.readahead, config.timeout) == (2**24, 4096, 2.5)
    assert (config.since, config.until, config.allow_root) == (86400, 172800, False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[profiles.default]\ncache_sise = '1G'\n", "did you mean cache_size?"),
        ("[profiles.default]\napi_secret = 'x'\n", "credentials file"),
        ("[profiles.default]\nconfig = '/x'\n", "unknown option 'config'"),
        ("[profiles.default]\ntimeout = [1]\n", "timeout must be a text"),
        ("[profiles.default]\ntimeout = 'x'\n", "profile default, timeout: 'x' is not a number"),
        ("[profiles.default]\nfile_mode = 440\n", "in quotes"),
        ("[profiles.default]\nfile_mode = 0o440\n", "in quotes"),
        ("[profile.default]\n", "unknown table or key 'profile'"),
        ("profiles = 1\n", "[profiles.NAME]"),
        ("[profiles]\ntimeout = 1\n", "[profiles.NAME]"),
        ("[profiles.default\n", "no valid TOML"),
        ("\udcff", "no valid TOML"),
    ],
)
def test_bad_file_is_one_line_that_names_it(home: Home, text: str, complaint: str) -> None:
    path = home.write(".config/twfs/config.toml", text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        home.load()
    message = str(caught.value)
    assert str(path) in message
    assert complaint in message
    assert "\n" not in message


def test_file_given_by_name_must_be_there(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        home.load(overrides={"config": "/nowhere.toml"})


def test_file_given_by_the_environment_is_used(home: Home) -> None:
    path = home.write("elsewhere.toml", "[profiles.acme]\ntimeout = 9\n")
    assert home.load("twilio:acme", environ=ENVIRONMENT | {"TWFS_CONFIG": str(path)}).timeout == 9
