"""SOURCE, and the profile of the TOML file that it selects."""

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twfs.config.layers import Layer
from twfs.config.names import nearest
from twfs.config.table import OPTIONS, refuse_secret, unknown_option
from twfs.errors import ConfigError
from twfs.option import Option, parse_mode
from twfs.ownership import refuse_foreign
from twfs.resources import is_sid

_OWN_FILE = ".config/twfs/config.toml"
"""Below the home directory."""
SYSTEM_FILE = Path("/etc/twfs/config.toml")
DEFAULT_PROFILE = "default"
_SCHEME = "twilio:"
_LIKE_SID = re.compile(r"AC[0-9A-Fa-f]{8,}")
"""What is meant as an account SID, in spite of its length or its capital letters."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""What people call a profile, and no path or file name."""


@dataclass(frozen=True, slots=True)
class Source:
    """What `twilio:ACCOUNT` names: an account, or a profile, or (`twilio:`) neither."""

    account_sid: str | None = None
    profile: str | None = None


def parse_source(text: str) -> Source:
    """`twilio:AC...`, `twilio:PROFILE` or `twilio:`.

    Raises:
        ConfigError: something else.
    """
    scheme, account = text[: len(_SCHEME)], text[len(_SCHEME) :]
    if scheme != _SCHEME:
        raise ConfigError(_no_source(text))
    if is_sid(account, "AC"):
        return Source(account_sid=account)
    if is_sid(account.strip("/ "), "AC"):
        raise ConfigError(f"{text!r} is no source; write twilio:{account.strip('/ ')}")
    return Source(profile=account or None)


def is_source(text: str) -> bool:
    """Whether a word of a command line is meant as SOURCE: what else may stand there are SIDs and paths."""
    return text.startswith(_SCHEME)


def source_hint(text: str) -> str:
    """`; for the source write twilio:X`, where the word X may be meant as an account or a profile; else empty."""
    return f"; for the source write {_SCHEME}{text}" if is_sid(text, "AC") or _NAME.fullmatch(text) else ""


def _no_source(text: str) -> str:
    if is_sid(text, "AC"):
        return f"{text!r} lacks its scheme; write {_SCHEME}{text}"
    if _NAME.fullmatch(text):
        return f"{text!r} is no source; write {_SCHEME}{text} for the profile of that name"
    return f"{text!r} is no source; write {_SCHEME}AC... for an account, or {_SCHEME}PROFILE for one of your profiles"


def profile_names(explicit_file: Path | None, home: Path) -> list[str]:
    """The profiles of the file that would be read, in its order.

    Raises:
        ConfigError: the file cannot be used.
    """
    return list(_read_profiles(explicit_file, home)[1])


def profile_layer(source: Source, explicit_file: Path | None, home: Path) -> Layer:
    """The options of the profile that belongs to the source; an empty layer if there is none.

    A profile is selected by its name; an account SID selects the profile with that `account_sid`, else the profile
    `default` unless that one says it is for another account.

    Raises:
        ConfigError: the file or the profile cannot be used, or the source names a profile that is not there.
    """
    path, profiles = _read_profiles(explicit_file, home)
    name = _select(source, profiles, path)
    if name is None or path is None:
        return Layer({}, {}, Path("/"))
    texts = _texts(profiles[name], f"{path}, profile {name}")
    return Layer(texts, {key: f"{path}, profile {name}, {key}" for key in texts}, path.parent)


def _read_profiles(explicit_file: Path | None, home: Path) -> tuple[Path | None, Mapping[str, Any]]:
    paths = [explicit_file] if explicit_file else [home / _OWN_FILE, SYSTEM_FILE]
    for path in paths:
        try:
            return path, _profiles(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if explicit_file:
                raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from None
    return None, {}


def _profiles(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            refuse_foreign(path)
            # Editors of Windows begin a file with a byte order mark, of which TOML knows nothing.
            document = tomllib.loads(file.read().decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # The parser's complaint has a place and no content but single characters.
        raise ConfigError(f"configuration file {path} is no valid TOML: {error}") from None
    for name in document:
        if name != "profiles":
            raise ConfigError(f"{path}: unknown table or key {name!r}; options stand under [profiles.NAME]")
    return _tables(document.get("profiles", {}), path)


def _tables(profiles: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise ConfigError(f"{path}: options stand under [profiles.NAME]")
    return profiles


def _select(source: Source, profiles: Mapping[str, Any], path: Path | None) -> str | None:
    if source.account_sid is not None:
        return _profile_of_account(source.account_sid, profiles)
    if source.profile is None:
        return DEFAULT_PROFILE if DEFAULT_PROFILE in profiles else None
    if source.profile not in profiles:
        if _LIKE_SID.fullmatch(source.profile):
            raise ConfigError(f"{source.profile!r} is no account SID, which is AC and 32 of the digits 0-9 and a-f")
        if path is None:
            raise ConfigError(
                f"there is no profile {source.profile!r}, for there is no configuration file; write it to "
                f"~/{_OWN_FILE} or {SYSTEM_FILE}, or name it with config=FILE"
            )
        known = ", ".join(profiles) or "none"
        raise ConfigError(
            f"no profile {source.profile!r} in {path}{nearest(source.profile, profiles)} (profiles there: {known})"
        )
    return source.profile


def _profile_of_account(account_sid: str, profiles: Mapping[str, Any]) -> str | None:
    for name, table in profiles.items():
        if table.get("account_sid") == account_sid:
            return name
    default = profiles.get(DEFAULT_PROFILE)
    return DEFAULT_PROFILE if default is not None and "account_sid" not in default else None


def _texts(table: Mapping[str, Any], place: str) -> dict[str, str]:
    texts = {}
    for name, value in table.items():
        try:
            texts[name] = _text(_known(name), value)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None
    return texts


def _known(name: str) -> Option:
    refuse_secret(name)
    if name not in OPTIONS or name == "config":
        raise unknown_option(name, OPTIONS.keys() - {"config"})
    return OPTIONS[name]


def _text(option: Option, value: Any) -> str:
    """A TOML value as the text that `-o` would hold."""
    if isinstance(value, str):
        return value
    if option.parse is parse_mode:
        # 440 and 0o440 would both be plain integers here: nobody could tell which one was meant.
        raise ConfigError(f'{option.name} must stand in quotes, as "0440"')
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    raise ConfigError(f"{option.name} must be a text, a number, a date, true or false")
