"""What `--help` prints: of a command only what is particular to it, so that it fits one screen."""

import argparse
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from twfs.cli.flags import flag_of, help_of
from twfs.cli.grammar import Command, Flag, commands_of
from twfs.config.table import TABLE
from twfs.invocation import twfs_command

_COLUMN = 26
"""Where explanations begin."""
_NARROWEST = 40

_OPTIONS = """\
Each can be given as a flag, behind -o (cache_size=1G,allow_other), as a variable of the environment \
(TWFS_CACHE_SIZE) and in a profile of the configuration file; the first of these counts. K, M and G are binary. \
Defaults stand in brackets."""


def help_of_command(command: Command) -> str:
    """Its usage, its operands and its own flags."""
    width = _width()
    lines = [_usage(command), "", *textwrap.wrap(command.description, width), ""]
    lines += _rows(((str(each), each.help) for each in command.operands), width)
    lines += _rows(((_tag(flag), flag.help) for flag in command.flags if not flag.is_shared), width)
    lines += _rows(((each.name, each.summary) for each in command.actions), width)
    if command.actions:
        lines += ["", f"More of each: {twfs_command('help', *command.words, command.actions[0].name)}"]
    if any(flag.is_shared for flag in command.flags):
        lines += ["", f"Options of all commands: {twfs_command('help', 'options')}"]
    return "\n".join(lines) + "\n"


def help_of_all(description: str, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> str:
    """Usage, and a line for each command."""
    width = _width()
    lines = ["usage: twfs COMMAND ..., twfs --version", *textwrap.wrap(description, width), ""]
    lines += _rows(((each.name, each.summary) for each in commands_of(subparsers)), width, column=14)
    lines += ["", f"More of each: {twfs_command('help', 'mount')}", f"All options: {twfs_command('help', 'options')}"]
    return "\n".join(lines) + "\n"


def help_of_options() -> str:
    """All options with their defaults."""
    width = _width()
    lines = [*textwrap.wrap(_OPTIONS, width), ""]
    lines += _rows(
        (
            (flag_of(option.name) + ("" if option.is_switch else f" {option.metavar}"), help_of(option))
            for option in TABLE
        ),
        width,
    )
    return "\n".join(lines) + "\n"


def _width() -> int:
    return max(shutil.get_terminal_size().columns - 1, _NARROWEST)


def _usage(command: Command) -> str:
    required = (_tag(flag).rpartition(", ")[2] for flag in command.flags if flag.is_required)
    flags = ["[FLAGS]"] if any(not flag.is_required for flag in command.flags) else []
    rest = ["ACTION ..."] if command.actions else [*flags, *required, *map(str, command.operands)]
    return " ".join(("usage: twfs", *command.words, *rest))


def _tag(flag: Flag) -> str:
    return ", ".join(flag.names) + (f" {flag.metavar}" if flag.metavar else "")


def _rows(rows: Iterable[Sequence[str]], width: int, column: int = _COLUMN) -> Iterator[str]:
    """Tags, and beside them or, if they are too long, below them what they mean."""
    for tag, text in rows:
        first, *more = textwrap.wrap(text, width - column) or [""]
        beside = f"  {tag}".ljust(column)
        is_long = len(beside) > column or not beside.endswith(" ")
        yield from ([f"  {tag}", " " * column + first] if is_long else [(beside + first).rstrip()])
        yield from (" " * column + line for line in more)
