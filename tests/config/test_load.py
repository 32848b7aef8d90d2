import contextlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.builders import ACCOUNT, ENVIRONMENT, Home, pem, public_pem, write
from twfs.config.load import load_config
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError

# For each option texts of three different places, the values they mean, and the default is a fourth.
TEXTS: Mapping[str, tuple[tuple[str, object], ...]] = {
    "cache_size": (("1G", 2**30), ("512M", 2**29), ("16777216", 2**24)),
    "readahead": (("1M", 2**20), ("2M", 2**21), ("3M", 3 * 2**20)),
    "connections": (("1", 1), ("2", 2), ("3", 3)),
    "timeout": (("5", 5.0), ("6.5", 6.5), ("7", 7.0)),
    "file_mode": (("0400", 0o400), ("444", 0o444), ("0404", 0o404)),
    "allow_other": (("yes", True), ("no", False), ("on", True)),
    "kind": (("recordings", "recordings"), ("compositions", "compositions"), ("all", "all")),
    "since": (("1970-01-02", 86400), ("1970-01-03T00:00:00Z", 172800), ("1970-01-04", 259200)),
    "log_level": (("debug", "debug"), ("error", "error"), ("warning", "warning")),
    "state_dir": (("/a", Path("/a")), ("/b", Path("/b")), ("/c", Path("/c"))),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("present", [(f, e, p) for f in (0, 1) for e in (0, 1) for p in (0, 1)])
def test_flags_go_before_environment_before_profile_before_default(
    home: Home, name: str, present: tuple[int, int, int]
) -> None:
    (flag, flag_value), (variable, variable_value), (entry, entry_value) = TEXTS[name]
    has_flag, has_variable, has_entry = present
    home.profiles(f'[profiles.default]\n{name} = "{entry}"\n' if has_entry else "")
    config = home.load(
        overrides={name: flag} if has_flag else {},
        environ=ENVIRONMENT | ({f"TWFS_{name.upper()}": variable} if has_variable else {}),
    )
    default = home.path / ".cache/twfs" if name == "state_dir" else OPTIONS[name].default
    expected = flag_value if has_flag else variable_value if has_variable else entry_value if has_entry else default
    assert getattr(config, name) == expected


def test_empty_variable_counts_as_none(home: Home) -> None:
    assert home.load(environ=ENVIRONMENT | {"TWFS_TIMEOUT": ""}).timeout == 30


def test_relative_paths_start_at_the_configuration_file(home: Home) -> None:
    home.write(".config/twfs/rsa/private.pem", pem())
    home.profiles('[profiles.default]\nprivate_key = "rsa"\nstate_dir = "~/state"\n')
    config = home.load()
    assert config.private_key == (home.path / ".config/twfs/rsa",)
    assert config.state_dir == home.path / "state"
    assert len(config.keyring) == 1


@pytest.mark.parametrize("name", ["credentials", "private_key", "private_key_passphrase_file"])
def test_a_file_that_cannot_be_read_is_named_with_who_names_it(home: Home, name: str) -> None:
    complaint = "'/nowhere' cannot be read: No such file or directory"
    others = {"TWILIO_ACCOUNT_SID": ACCOUNT} if name == "credentials" else ENVIRONMENT
    home.profiles(f'[profiles.clinic]\n{name} = "/nowhere"\n')
    for overrides, environ, place in (
        ({name: "/nowhere"}, {}, f"option {name}"),
        ({}, {f"TWFS_{name.upper()}": "/nowhere"}, f"TWFS_{name.upper()}"),
        ({}, {}, f"{home.path}/.config/twfs/config.toml, profile clinic, {name}"),
    ):
        with pytest.raises(ConfigError) as caught:
            home.load("twilio:clinic", overrides, others | environ)
        assert str(caught.value) == f"{place}: {complaint}"


@pytest.mark.parametrize(
    ("overrides", "modes"),
    [
        ({"umask": "022"}, (0o444, 0o555)),
        ({"umask": "0", "file_mode": "0400"}, (0o400, 0o555)),
        ({"umask": "077", "dir_mode": "0550"}, (0o444, 0o550)),
        ({"file_mode": "0440"}, (0o440, 0o550)),
    ],
)
def test_a_umask_takes_away_from_what_all_may_do_unless_modes_are_given(
    home: Home, overrides: Mapping[str, str], modes: tuple[int, int]
) -> None:
    config = home.load(overrides=overrides)
    assert (config.file_mode, config.dir_mode) == modes


def test_state_dir_follows_systemd(home: Home) -> None:
    assert home.load(environ=ENVIRONMENT | {"CACHE_DIRECTORY": "/var/cache/twfs:/x"}).state_dir == Path(
        "/var/cache/twfs"
    )


@pytest.mark.parametrize("overrides", [{}, {"state_dir": "~/.cache/twfs"}])
def test_empty_home_falls_back_to_the_user_database(home: Home, overrides: Mapping[str, str]) -> None:
    private_key = str(home.write("k.pem", pem()))
    config = load_config("twilio:", {**overrides, "private_key": private_key}, ENVIRONMENT | {"HOME": ""})
    assert config.state_dir == Path(pwd.getpwuid(os.getuid()).pw_dir, ".cache/twfs")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cache_size", "12Q"),
        ("cache_size", "1M"),
        ("cache_size", "9" * 5000),
        ("timeout", "nan"),
        ("timeout", "0"),
        ("connections", "many"),
        ("file_mode", "999"),
        ("uid", "-1"),
        ("private_key", ""),
        ("private_key", "/a::/b"),
        ("private_key", "/nowhere/to/be/found.pem"),
        ("credentials", "a\0b"),
        ("account_sid", "AC1"),
        ("since", "yesterday"),
        ("fuse", "4"),
        ("api_url", "ftp://video.twilio.com"),
        ("api_url", "http://video.twilio.com"),
        ("api_url", "https://user:pw@video.twilio.com"),
        ("api_url", "https://video.twilio.com:port"),
        ("api_url", "https://[::1"),
        ("api_url", "https://video.twilio.com/?a=b"),
        ("accounts_url", "http://10.0.0.1"),
    ],
)
def test_bad_value_is_one_line_that_names_the_option(home: Home, name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        home.load(overrides={name: text})
    message = str(caught.value)
    assert name in message or (text and text in message)
    assert "\n" not in message
    assert "pw" not in message


@given(name=st.sampled_from(sorted(OPTIONS)), text=st.text(max_size=30))
def test_no_text_of_any_option_raises_anything_but_config_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    environ = ENVIRONMENT | {"HOME": str(tmp_path_factory.getbasetemp() / "no-home")}
    with contextlib.suppress(ConfigError):
        load_config("twilio:", {name: text}, environ)


def test_a_bad_value_of_the_environment_names_the_variable(home: Home) -> None:
    with pytest.raises(ConfigError, match="TWFS_CACHE_SIZE"):
        home.load(environ=ENVIRONMENT | {"TWFS_CACHE_SIZE": "huge"})


def test_unknown_option_is_refused(home: Home) -> None:
    with pytest.raises(ConfigError, match="did you mean cache_size"):
        home.load(overrides={"cachesize": "1G"})


def test_secret_as_an_option_is_refused_without_showing_it(home: Home) -> None:
    with pytest.raises(ConfigError, match="credentials file") as caught:
        home.load(overrides={"api_secret": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_loopback_api_may_be_plain_http_and_brings_loopback_media(home: Home) -> None:
    config = home.load(overrides={"api_url": "http://127.0.0.1:8080/", "accounts_url": "http://localhost:8081"})
    assert config.api_url == "http://127.0.0.1:8080"
    assert config.media_hosts == ("amazonaws.com", "twilio.com", "localhost")


def test_given_media_hosts_stay_as_given(home: Home) -> None:
    overrides = {"api_url": "http://127.0.0.1:8080", "media_hosts": "media.example.org"}
    assert home.load(overrides=overrides).media_hosts == ("media.example.org",)


def test_remote_api_brings_no_loopback_media(home: Home) -> None:
    assert "localhost" not in home.load(overrides={"api_url": "https://eu.example.org"}).media_hosts


def test_default_key_folder_is_used_and_public_keys_in_it_are_passed_over(home: Home) -> None:
    home.write(".config/twfs/keys/private_key.pem", pem())
    home.write(".config/twfs/keys/public_key.pem", public_pem(), mode=0o644)
    home.write(".config/twfs/keys/notes.txt", "no key")
    home.write(".config/twfs/keys/.#private_key.pem", "an editor's lock")
    assert [key.name for key in home.load().keyring] == [str(home.path / ".config/twfs/keys/private_key.pem")]


def test_default_key_folder_with_a_public_key_only_gives_no_keys(home: Home) -> None:
    home.write(".config/twfs/keys/public_key.pem", public_pem(), mode=0o644)
    assert len(home.load().keyring) == 0


def test_keys_of_two_eras_are_both_at_hand(home: Home) -> None:
    old, new = home.write("old.pem", pem(0)), home.write("keys/new.key", pem(1))
    config = home.load(overrides={"private_key": f"{old}:{new.parent}"})
    assert [key.name for key in config.keyring] == [str(old), str(new)]


def test_encrypted_key_is_opened_by_the_passphrase_file(home: Home) -> None:
    overrides = {
        "private_key": str(home.write("k.pem", pem(passphrase=b"open sesame"))),
        "private_key_passphrase_file": str(home.write("phrase", "open sesame\n")),
    }
    assert len(home.load(overrides=overrides).keyring) == 1


def test_systemd_folder_serves_what_nothing_else_gives(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "credentials.d"
    write(folder / "credentials", f"account_sid={ACCOUNT}\nauth_token=of-systemd\n", mode=0o440)
    write(folder / "private_key.2017", pem(0, b"phrase"), mode=0o440)
    write(folder / "new.pem", pem(1), mode=0o444)
    write(folder / "private_key_passphrase", "phrase", mode=0o444)
    home.write(".config/twfs/keys/mine.pem", pem(1))
    config = home.load(environ={"CREDENTIALS_DIRECTORY": str(folder)})
    assert config.account_sid == ACCOUNT
    assert config.credentials.secret.reveal() == "of-systemd"
    assert [Path(key.name).name for key in config.keyring] == ["new.pem", "private_key.2017"]


def test_given_key_goes_before_the_systemd_folder(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "credentials.d"
    write(folder / "new.pem", pem(1), mode=0o444)
    environ = ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(folder)}
    mine = home.write("mine.pem", pem(0))
    assert [key.name for key in home.load(overrides={"private_key": str(mine)}, environ=environ).keyring] == [str(mine)]
    of_systemd = str(folder / "new.pem")
    config = home.load(overrides={"private_key": of_systemd}, environ=environ)
    assert [key.name for key in config.keyring] == [of_systemd]


def test_systemd_folder_filled_from_a_key_folder(home: Home, tmp_path: Path) -> None:
    """`LoadCredential=private_key:/etc/twfs/keys` brings the public key too, each file with that prefix."""
    folder = tmp_path / "credentials.d"
    write(folder / "private_key_private_key.pem", pem(0, b"phrase"), mode=0o440)
    write(folder / "private_key_public_key.pem", public_pem(), mode=0o440)
    write(folder / "private_key_passphrase", "phrase\n", mode=0o440)
    config = home.load(environ=ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(folder)})
    assert [Path(key.name).name for key in config.keyring] == ["private_key_private_key.pem"]
