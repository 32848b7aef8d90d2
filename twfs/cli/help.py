"""`twfs help`: what commands and options are for. `twfs help COMMAND` is `twfs COMMAND --help`."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twfs.cli.flags import add_common_flags, overrides_of
from twfs.cli.help_text import help_of_options
from twfs.cli.output import escaped, say
from twfs.config.load import known_profiles


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "help",
        help="what a command is for; all options; all profiles",
        description="Explain a command, all options, or name the profiles of the configuration file.",
    )
    parser.add_argument("topic", metavar="TOPIC", choices=tuple(TOPICS), help="a COMMAND, options or profiles")
    add_common_flags(parser, ("config",))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    say(TOPICS[arguments.topic](arguments))
    return 0


def as_flag(words: Sequence[str]) -> list[str]:
    """`twfs COMMAND --help`, where `help COMMAND` is asked for; else the words themselves."""
    if words[:1] != ["help"] or any(word in TOPICS or word.startswith("-") for word in words[1:2]):
        return list(words)
    return [*words[1:], "--help"]


def _options(_: argparse.Namespace) -> str:
    return help_of_options().rstrip()


def _profiles(arguments: argparse.Namespace) -> str:
    return "\n".join(map(escaped, known_profiles(overrides_of(arguments), os.environ)))


TOPICS: Mapping[str, Callable[[argparse.Namespace], str]] = {"options": _options, "profiles": _profiles}
"""Beside the commands themselves."""
