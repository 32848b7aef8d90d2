"""Flags made of the option table: `--cache-size 1G` is `-o cache_size=1G`."""

import argparse
from collections.abc import Mapping
from typing import Any

from twfs.config.mount_options import parse_mount_options
from twfs.config.secrets import SECRET_NAMES
from twfs.config.table import TABLE, refuse_secret
from twfs.option import Option

_PREFIX = "option_"


def flag_of(name: str) -> str:
    """The flag of an option."""
    return f"--{name.replace('_', '-')}"


def add_option_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each option of the table, and `-o` for all of them."""
    parser.add_argument("-o", dest="mount_options", action="append", default=[], metavar="OPT[,OPT...]", help="options")
    group = parser.add_argument_group("options (also in -o, as TWFS_NAME in the environment, and in the TOML file)")
    for option in TABLE:
        _add_flag(group, option)
    for name in SECRET_NAMES:
        # Known only so that it is refused by name: the complaint about an unknown flag would show its value.
        parser.add_argument(flag_of(name), dest=_PREFIX + name, help=argparse.SUPPRESS)


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """What every command has that reads the configuration: `-v`, and all options."""
    parser.add_argument("-v", "--verbose", action="store_true", help="log more; show where an error comes from")
    add_option_flags(parser)


def add_md5_flag(parser: argparse.ArgumentParser) -> None:
    """Of the commands that prove media."""
    parser.add_argument("--no-md5", action="store_true", help="do not compare MD5 and ETag, which takes a processor")


def overrides_of(arguments: argparse.Namespace, *, sloppy: bool = False) -> dict[str, str]:
    """Texts by option name, from `-o` and flags; flags go first.

    Raises:
        ConfigError: an option of `-o` is unknown or lacks its value, or a secret was given.
    """
    flags = {
        name.removeprefix(_PREFIX): value
        for name, value in vars(arguments).items()
        if name.startswith(_PREFIX) and value is not None
    }
    for name in flags:
        refuse_secret(name)
    return _from_mount_options(arguments, sloppy=sloppy) | flags


def _from_mount_options(arguments: argparse.Namespace, *, sloppy: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in arguments.mount_options:
        found |= parse_mount_options(text, sloppy=sloppy)
    return found


def _add_flag(group: Any, option: Option) -> None:
    settings: Mapping[str, Any] = (
        {"action": "store_const", "const": "yes"} if option.is_switch else {"metavar": option.metavar}
    )
    group.add_argument(
        flag_of(option.name), dest=_PREFIX + option.name, help=option.help.replace("%", "%%"), **settings
    )
