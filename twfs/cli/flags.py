"""Flags made of the option table: `--cache-size 1G` is `-o cache_size=1G`."""

import argparse
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from twfs.cli.values import parsed_by
from twfs.config.documentation import default_text
from twfs.config.mount_options import parse_mount_options
from twfs.config.secrets import SECRET_NAMES
from twfs.config.table import OPTIONS, TABLE, refuse_secret
from twfs.errors import ConfigError
from twfs.invocation import pasteable
from twfs.option import Option, parse_path, parse_switch

_PREFIX = "option_"
SHARED = "options of all commands"
"""The title of the group of flags that `twfs help options` explains, and no command's own help."""

_OF_FILES = ("config", "credentials", "private_key", "private_key_passphrase_file", "state_dir")
_OF_THE_ACCOUNT = (*_OF_FILES, "account_sid", "api_key", "api_url", "accounts_url", "media_hosts", "aws_profile")
"""Options that say which account it is, and what is known of it here."""


def flag_of(name: str) -> str:
    """The flag of an option."""
    return f"--{name.replace('_', '-')}"


def add_option_flags(parser: argparse.ArgumentParser, particular: Sequence[str] = ()) -> None:
    """A flag for each option of the table, and `-o` for all; the command's help shows the `particular` ones."""
    parser.add_argument(
        "-o",
        dest="mount_options",
        action="append",
        default=[],
        metavar="OPT[,OPT...]",
        help="options, as in fstab",
    )
    groups = {True: parser.add_argument_group(), False: parser.add_argument_group(SHARED)}
    for option in TABLE:
        _add_flag(groups[option.name in particular], option)
    for name in SECRET_NAMES:
        # Known only so that it is refused by name: the complaint about an unknown flag would show its value.
        parser.add_argument(flag_of(name), dest=_PREFIX + name, help=argparse.SUPPRESS)


def add_verbose_flag(parser: argparse.ArgumentParser) -> None:
    """`-v`, which every command has; `twfs.cli.main` counts it, for an error may come before flags are parsed."""
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="say where an error comes from; -vv: its traceback"
    )


def add_common_flags(parser: argparse.ArgumentParser, particular: Sequence[str] = ()) -> None:
    """What every command has that reads the configuration: `-v`, and all options, as `add_option_flags`."""
    add_verbose_flag(parser)
    add_option_flags(parser, particular)


def add_md5_flag(parser: argparse.ArgumentParser) -> None:
    """Of the commands that prove media."""
    parser.add_argument("--no-md5", action="store_true", help="do not compare MD5 and ETag, which takes a processor")


def as_flags(overrides: Mapping[str, str]) -> list[str]:
    """Options as the words of a command line, for a command that is suggested to users."""
    words = []
    for name, value in overrides.items():
        if OPTIONS[name].is_switch:
            words += [flag_of(name)] if parse_switch(value) else ["-o", f"{name}={value}"]
        else:
            words += [f"{flag_of(name)}={value}"] if value.startswith("-") else [flag_of(name), value]
    return words


def account_words(source: str, overrides: Mapping[str, str]) -> list[str]:
    """What a command for another terminal must say of the account, so that it is this one."""
    told = {name: value for name, value in overrides.items() if name in _OF_THE_ACCOUNT}
    return [source, *as_flags({name: _anywhere(value) if name in _OF_FILES else value for name, value in told.items()})]


def _anywhere(paths: str) -> str:
    """Absolute paths, joined by `:` as before."""
    return ":".join(part if part.startswith("~") else os.path.abspath(part) for part in paths.split(":"))  # noqa: PTH100 - resolve() would follow links


def output(known: Collection[str] = OPTIONS) -> Callable[[str], str]:
    """As argparse's `type` of a command whose `-o` names the output, as in curl: elsewhere it takes options.

    What it makes raises ArgumentTypeError for an empty text, and for an option such as `kind=recordings`, which would
    be a file of that name. `known` are the options that the command has flags for.
    """

    def parse(text: str) -> str:
        parse_path(text)
        meant = _options_in(text)
        if not meant:
            return text
        is_flag = meant.keys() <= set(known)
        flags = f"write {pasteable(*as_flags(meant))}" if is_flag else "this command does not have it"
        raise ConfigError(
            f"{text} is an option, and -o names the output here: {flags}; for a file of that name write "
            f"{pasteable('-o', f'./{text}')}"
        )

    return parsed_by(parse)


def _options_in(text: str) -> dict[str, str]:
    """The options that a text with an `=` consists of, or at least begins with.

    Raises:
        ConfigError: it is a secret.
    """
    name, is_given, value = text.partition(",")[0].partition("=")
    refuse_secret(name if is_given else "")
    try:
        return parse_mount_options(text) if "=" in text else {}
    except ConfigError:
        return {name: value} if is_given and name in OPTIONS else {}


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
        flag_of(option.name), dest=_PREFIX + option.name, help=help_of(option).replace("%", "%%"), **settings
    )


def help_of(option: Option) -> str:
    """What an option is, with its default."""
    default = "" if option.is_switch else default_text(option)
    return f"{option.help} [{default}]" if default else option.help
