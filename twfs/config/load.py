"""From SOURCE, flags, environment and files to a `Config`.

Precedence: `-o` and flags, environment (`TWFS_*`), the profile, the default. See `twfs.config.accounts` for
credentials. systemd's credentials folder serves what nothing else gives: `credentials`, private keys
(`private_key*`, `*.pem`, `*.key`) and `private_key_passphrase`.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twfs.catalog.options import default_state_dir
from twfs.config.accounts import Places, choose_credentials
from twfs.config.config import Again, Config
from twfs.config.keys import is_key_file, keys_among, keys_of_folder, none_but_closed, read_private_keys
from twfs.config.layers import Layer, environment_layer, flags_layer, home_folder, naming, value_of
from twfs.config.profiles import parse_source, profile_layer, profile_names
from twfs.config.secrets import Credentials, is_folder, is_stream, list_folder, read_passphrase, systemd_file
from twfs.config.table import OPTIONS, TABLE, refuse_secret, unknown_option
from twfs.config.urls import checked_base_url
from twfs.crypto.keyring import Keyring
from twfs.errors import ConfigError
from twfs.fs.options import MODES_WITH_UMASK
from twfs.remote.hosts import is_loopback

_PASSPHRASE_FILE = "private_key_passphrase"  # noqa: S105 - a file's name


def load_config(source: str, overrides: Mapping[str, str], environ: Mapping[str, str]) -> Config:
    """Everything that is configured, read and checked; files that hold secrets are read now.

    Args:
        source: `twilio:ACCOUNT`.
        overrides: texts by option name, from `-o` and flags.
        environ: the environment.

    Raises:
        ConfigError: something cannot be used; one line that says what, why and what to do.
    """
    return _load(source, dict(overrides), dict(environ), _current_folder())


def _load(source: str, overrides: Mapping[str, str], environ: Mapping[str, str], here: Path) -> Config:
    """As `load_config`; relative paths start at `here`."""
    _refuse_unknown(overrides)
    places = _places(source, overrides, environ, here)
    layers = [*places.explicit, places.profile]
    values = {option.name: value_of(option, layers, places.home) for option in TABLE}
    account_sid, credentials = _credentials(source, places)
    values["state_dir"] = values["state_dir"] or default_state_dir({**environ, "HOME": str(places.home)})

    def again(*names: str) -> Places:
        return _places_again(source, overrides, environ, here, names)

    found = {
        "account_sid": account_sid,
        "credentials": credentials,
        "keyring": _keyring(places),
        "again": Again(
            credentials=lambda: _credentials(source, again("credentials")),
            keyring=lambda: _keyring(again("private_key", "private_key_passphrase_file")),
        ),
    }
    return Config(**(values | _addresses(values, layers) | _modes(values, layers) | found))


def _places_again(
    source: str, overrides: Mapping[str, str], environ: Mapping[str, str], here: Path, names: Sequence[str]
) -> Places:
    """As `_places`, for who will read once more what the options of these names lead to.

    Raises:
        ConfigError: as well if one leads to a pipe or a terminal, of which all was read: to wait there for more may
            last for ever.
    """
    explicit, home = [flags_layer(overrides, here), environment_layer(environ, here)], here / home_folder(environ)
    _refuse_streams(explicit, home, ("config", *names))
    places = _places(source, overrides, environ, here)
    _refuse_streams([places.profile], home, names)
    return places


def _refuse_streams(layers: Iterable[Layer], home: Path, names: Iterable[str]) -> None:
    for layer, name in itertools.product(layers, names):
        value = value_of(OPTIONS[name], [layer], home) or ()
        for path in value if isinstance(value, tuple) else (value,):
            if is_stream(path):
                raise ConfigError(f"{name}: {path} is no file, and can be read once only; to change it mount again")


def _places(source: str, overrides: Mapping[str, str], environ: Mapping[str, str], here: Path) -> Places:
    home = here / home_folder(environ)
    explicit = [flags_layer(overrides, here), environment_layer(environ, here)]
    profile = profile_layer(parse_source(source), value_of(OPTIONS["config"], explicit, home), home)
    folder = here / environ["CREDENTIALS_DIRECTORY"] if environ.get("CREDENTIALS_DIRECTORY") else None
    return Places(explicit, profile, environ, folder, home)


def _credentials(source: str, places: Places) -> tuple[str, Credentials]:
    return choose_credentials(places, parse_source(source).account_sid)


def known_profiles(overrides: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """The names of the profiles that SOURCE may have with these overrides and this environment.

    Raises:
        ConfigError: the configuration file cannot be used.
    """
    here, home = _current_folder(), home_folder(environ)
    explicit = [flags_layer(overrides, here), environment_layer(environ, here)]
    return profile_names(value_of(OPTIONS["config"], explicit, home), home)


def _current_folder() -> Path:
    """Where relative paths start; if it was deleted they are refused when one is met."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path()


def _refuse_unknown(overrides: Mapping[str, str]) -> None:
    for name in overrides:
        refuse_secret(name)
        if name not in OPTIONS:
            raise unknown_option(name)


def _addresses(values: Mapping[str, Any], layers: list[Layer]) -> dict[str, Any]:
    """The URLs, checked, and the hosts that media may come from: with a loopback API also loopback, by default."""
    found: dict[str, Any] = {name: checked_base_url(name, values[name]) for name in ("api_url", "accounts_url")}
    if not _is_given("media_hosts", layers) and is_loopback(urlsplit(found["api_url"]).hostname or ""):
        found["media_hosts"] = (*values["media_hosts"], "localhost")
    return found


def _modes(values: Mapping[str, Any], layers: list[Layer]) -> dict[str, Any]:
    """The permission bits of which a umask takes some away, where none are given."""
    if values["umask"] is None:
        return {}
    return {name: mode for name, mode in MODES_WITH_UMASK.items() if not _is_given(name, layers)}


def _is_given(name: str, layers: list[Layer]) -> bool:
    return any(name in layer.texts for layer in layers)


def _keyring(places: Places) -> Keyring:
    layers, folder = [*places.explicit, places.profile], places.systemd_folder
    with naming("private_key_passphrase_file", layers):
        path = value_of(OPTIONS["private_key_passphrase_file"], layers, places.home)
        passphrase = _passphrase(path, folder)
    with naming("private_key", layers):
        paths = value_of(OPTIONS["private_key"], layers, places.home)
        if paths:
            return read_private_keys(paths, passphrase, folder)
    return _keys_nobody_named(passphrase, folder, places.home / ".config/twfs/keys")


def _keys_nobody_named(passphrase: bytes | None, systemd_folder: Path | None, own_folder: Path) -> Keyring:
    """Those of systemd's credentials folder; if there are none, those of the user's own."""
    brought = keys_among(_systemd_keys(systemd_folder), passphrase, systemd_folder)
    if len(brought) or not is_folder(own_folder):
        place, found = systemd_folder or own_folder, brought
    else:
        place, found = own_folder, keys_of_folder(own_folder, passphrase)
    refused = none_but_closed(place, found)
    if refused is not None:
        raise refused
    return found


def _passphrase(path: Path | None, folder: Path | None) -> bytes | None:
    path = path or systemd_file(folder, _PASSPHRASE_FILE)
    return read_passphrase(path, folder) if path else None


def _systemd_keys(folder: Path | None) -> list[Path]:
    """By their names: `LoadCredential=private_key:FOLDER` brings all that is in the folder, each with that prefix."""
    return [path for path in list_folder(folder) if _is_systemd_key(path)] if folder is not None else []


def _is_systemd_key(path: Path) -> bool:
    is_named_so = path.name.startswith("private_key") and not path.name.startswith(_PASSPHRASE_FILE)
    return is_named_so or is_key_file(path)
