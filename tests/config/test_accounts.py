import logging
from pathlib import Path

import pytest

from tests.config.builders import ACCOUNT, API_KEY, ENVIRONMENT, OTHER_ACCOUNT, OTHER_API_KEY, Home, write
from twfs.config.accounts import tell_of_credentials
from twfs.config.config import Config
from twfs.errors import ConfigError


def credentials(account: str = ACCOUNT, secret: str = "of-file", key: str = API_KEY) -> str:
    return f"# twfs\naccount_sid = {account}\napi_key={key}\napi_secret={secret}\n"


def who(config: Config) -> tuple[str, str, str]:
    return config.account_sid, config.credentials.user, config.credentials.secret.reveal()


def test_environment_alone_is_enough(home: Home) -> None:
    assert who(home.load()) == (ACCOUNT, API_KEY, "s3cret-of-env")


def test_auth_token_goes_with_the_accounts_sid(home: Home) -> None:
    environ = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": "token"}
    assert who(home.load(environ=environ)) == (ACCOUNT, ACCOUNT, "token")


def test_api_key_goes_before_the_auth_token(home: Home) -> None:
    assert who(home.load(environ=ENVIRONMENT | {"TWILIO_AUTH_TOKEN": "token"}))[1] == API_KEY


def test_file_of_a_flag_goes_before_the_environment(home: Home) -> None:
    path = home.write("c", credentials(OTHER_ACCOUNT))
    assert who(home.load(overrides={"credentials": str(path)})) == (OTHER_ACCOUNT, API_KEY, "of-file")


def test_file_of_the_environment_goes_before_the_twilio_variables(home: Home) -> None:
    path = home.write("c", credentials(OTHER_ACCOUNT))
    assert who(home.load(environ=ENVIRONMENT | {"TWFS_CREDENTIALS": str(path)}))[0] == OTHER_ACCOUNT


def test_twilio_variables_of_the_same_account_go_before_the_profiles_file(home: Home) -> None:
    home.write(".config/twfs/c", credentials())
    home.profiles('[profiles.acme]\ncredentials = "c"\n')
    assert who(home.load("twilio:acme"))[2] == "s3cret-of-env"


def test_twilio_variables_of_another_account_do_not_replace_the_profiles(home: Home) -> None:
    home.write(".config/twfs/c", credentials(OTHER_ACCOUNT))
    home.profiles('[profiles.acme]\ncredentials = "c"\n')
    assert who(home.load("twilio:acme")) == (OTHER_ACCOUNT, API_KEY, "of-file")


def test_explicit_file_of_another_account_is_an_error(home: Home) -> None:
    path = home.write("c", credentials(OTHER_ACCOUNT))
    with pytest.raises(ConfigError, match=f"for the account {OTHER_ACCOUNT}, not {ACCOUNT}"):
        home.load(f"twilio:{ACCOUNT}", overrides={"credentials": str(path)})


def test_no_fitting_credentials_says_what_was_passed_over(home: Home) -> None:
    with pytest.raises(ConfigError) as caught:
        home.load(f"twilio:{OTHER_ACCOUNT}")
    message = str(caught.value)
    assert f"no credentials for {OTHER_ACCOUNT}" in message
    assert f"TWILIO_* environment variables: for the account {ACCOUNT}" in message
    assert "credentials=FILE" in message


def test_nothing_configured_says_what_to_do(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"no credentials for any account; give credentials=FILE, or set TWILIO_"):
        home.load(environ={})


def test_account_of_the_profile_completes_a_file_that_names_none(home: Home) -> None:
    home.write(".config/twfs/c", f"api_key={API_KEY}\napi_secret=of-file\n")
    home.profiles(f'[profiles.acme]\ncredentials = "c"\naccount_sid = "{ACCOUNT}"\n')
    assert who(home.load("twilio:acme", environ={})) == (ACCOUNT, API_KEY, "of-file")


def test_api_key_of_an_option_completes_a_secret(home: Home) -> None:
    path = home.write("c", f"account_sid={ACCOUNT}\napi_secret=of-file\n")
    config = home.load(overrides={"credentials": str(path), "api_key": OTHER_API_KEY}, environ={})
    assert who(config) == (ACCOUNT, OTHER_API_KEY, "of-file")


def test_secret_of_one_key_is_never_sent_with_another(home: Home) -> None:
    with pytest.raises(ConfigError, match=f"for the API key {API_KEY}, not {OTHER_API_KEY}"):
        home.load(overrides={"api_key": OTHER_API_KEY})


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (f"account_sid={ACCOUNT}\n", "api_secret (or auth_token) is missing"),
        (f"account_sid={ACCOUNT}\napi_key={API_KEY}\n", "api_secret (or auth_token) is missing"),
        (f"account_sid={ACCOUNT}\napi_secret=x\n", "api_key is missing"),
        (f"api_key={API_KEY}\napi_secret=x\n", "account_sid is missing"),
    ],
)
def test_incomplete_file_says_what_is_missing(home: Home, content: str, missing: str) -> None:
    path = home.write("c", content)
    with pytest.raises(ConfigError) as caught:
        home.load(overrides={"credentials": str(path)}, environ={})
    assert str(caught.value) == f"{path}: {missing}"


TOKEN = {"TWILIO_AUTH_TOKEN": "token-of-env"}
HALF = {"TWILIO_API_KEY": OTHER_API_KEY, "TWILIO_API_SECRET": "s3cret-of-env"}
PROFILE = f"account_sid = {ACCOUNT}\napi_key={API_KEY}\napi_secret=of-profile\n"
OF_PROFILE = (ACCOUNT, API_KEY, "of-profile")


@pytest.mark.parametrize("source", ["twilio:", "twilio:default", f"twilio:{ACCOUNT}"])
@pytest.mark.parametrize("environ", [HALF, HALF | TOKEN, TOKEN, {"TWILIO_API_SECRET": "s3cret-of-env"}])
def test_the_environment_never_replaces_half_of_a_profiles_credentials(
    home: Home, source: str, environ: dict[str, str]
) -> None:
    file = home.write(".config/twfs/c", PROFILE)
    home.profiles('[profiles.default]\ncredentials = "c"\n')
    config = home.load(source, environ=environ)
    assert who(config) == OF_PROFILE
    assert config.credentials.origin == str(file)
    assert config.credentials.passed_over == ("the TWILIO_* environment variables: account_sid is missing",)


@pytest.mark.parametrize("environ", [HALF, HALF | TOKEN, TOKEN])
def test_nor_half_of_what_systemd_brings(home: Home, tmp_path: Path, environ: dict[str, str]) -> None:
    write(tmp_path / "d/credentials", PROFILE, mode=0o400)
    assert who(home.load(environ=environ | {"CREDENTIALS_DIRECTORY": str(tmp_path / "d")})) == OF_PROFILE


def test_the_account_of_the_environment_does_not_complete_a_file(home: Home) -> None:
    path = home.write("c", f"api_key={API_KEY}\napi_secret=of-file\n")
    with pytest.raises(ConfigError, match=f"^{path}: account_sid is missing$"):
        home.load(overrides={"credentials": str(path)}, environ={"TWILIO_ACCOUNT_SID": ACCOUNT})


def test_the_account_of_a_file_does_not_complete_the_environment(home: Home) -> None:
    home.write(".config/twfs/c", f"account_sid={ACCOUNT}\n")
    home.profiles('[profiles.default]\ncredentials = "c"\n')
    with pytest.raises(ConfigError, match=r"environment variables: account_sid is missing; .*/c: api_secret"):
        home.load(environ=HALF)


def test_three_places_that_have_a_part_each_are_no_credentials(home: Home, tmp_path: Path) -> None:
    write(tmp_path / "d/credentials", "auth_token=of-systemd\n", mode=0o400)
    home.write(".config/twfs/c", f"api_key={API_KEY}\napi_secret=of-profile\n")
    home.profiles('[profiles.default]\ncredentials = "c"\n')
    with pytest.raises(
        ConfigError, match=f"no credentials for {ACCOUNT}; .*/c: account_sid is missing; .*/d/credentials"
    ):
        home.load(environ={"TWILIO_ACCOUNT_SID": ACCOUNT, "CREDENTIALS_DIRECTORY": str(tmp_path / "d")})


def test_what_is_said_beside_the_secrets_is_named_with_their_place(home: Home) -> None:
    variables = "the TWILIO_* environment variables"
    assert home.load().credentials.origin == variables
    config = home.load(f"twilio:{ACCOUNT}", environ=HALF)
    assert who(config) == (ACCOUNT, OTHER_API_KEY, "s3cret-of-env")
    assert config.credentials.origin == f"{variables}, with SOURCE"
    overrides = {"account_sid": ACCOUNT, "api_key": API_KEY}
    config = home.load(overrides=overrides, environ={"TWILIO_API_SECRET": "s3cret-of-env"})
    assert config.credentials.origin == f"{variables}, with option account_sid, with option api_key"
    file = home.profiles(f'[profiles.default]\naccount_sid = "{ACCOUNT}"\n')
    config = home.load(environ=HALF)
    assert config.credentials.origin == f"{variables}, with {file}, profile default, account_sid"


def test_places_that_were_passed_over_are_told(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.write(".config/twfs/c", credentials(OTHER_ACCOUNT))
    home.profiles('[profiles.acme]\ncredentials = "c"\n')
    config = home.load("twilio:acme")
    told = f"the TWILIO_* environment variables: for the account {ACCOUNT}, not {OTHER_ACCOUNT}"
    assert config.credentials.passed_over == (told,)
    with caplog.at_level(logging.DEBUG, "twfs"):
        tell_of_credentials(config.credentials)
    assert [record.getMessage() for record in caplog.records] == [
        f"credentials of {API_KEY} from {home.path}/.config/twfs/c",
        f"credentials passed over: {told}",
    ]


def test_a_file_that_is_not_needed_is_not_read(home: Home) -> None:
    home.write(".config/twfs/c", credentials(), mode=0o644)
    home.profiles('[profiles.default]\ncredentials = "c"\n')
    assert who(home.load(f"twilio:{ACCOUNT}"))[2] == "s3cret-of-env"


def test_systemd_folder_comes_last(home: Home, tmp_path: Path) -> None:
    write(tmp_path / "d/credentials", credentials(OTHER_ACCOUNT), mode=0o444)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "d")}
    assert who(home.load(environ=ENVIRONMENT | environ))[0] == ACCOUNT
    assert who(home.load(environ=environ))[0] == OTHER_ACCOUNT
    assert who(home.load(f"twilio:{OTHER_ACCOUNT}", environ=ENVIRONMENT | environ))[0] == OTHER_ACCOUNT


def test_secrets_never_show_in_the_repr(home: Home) -> None:
    config = home.load()
    assert "s3cret-of-env" not in f"{config!r} {config} {config.credentials} {vars(type(config))}"
    assert "Secret(...)" in repr(config)
