"""`twfs`: which command is meant, and how it ended."""

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

from twfs.cli.grammar import flag_names
from twfs.cli.help import as_flag
from twfs.cli.help_text import help_of_all
from twfs.cli.intermixed import CommandParser
from twfs.cli.outcome import MOUNT_CODES, ExitCodes, Parser, UsageError, run_reported
from twfs.cli.utf8_mode import ensure_utf8_mode
from twfs.config.names import nearest
from twfs.config.profiles import source_hint
from twfs.invocation import twfs_command
from twfs.resources import is_sid

COMMANDS = (
    *("mount", "umount", "demo", "simulator", "ls", "get", "verify", "decrypt", "export", "rm"),
    *("keygen", "public-key", "encryption", "top", "doctor", "install", "help"),
)
"""As they are typed; each is a module of its own. To import all of them takes a third of the time of a start."""

_MOUNT_COMMANDS = ("mount", "umount")
_SHORT_FLAGS = re.compile(r"-(?!-)([^o]*)")
"""What follows an o is the value of -o."""
_TELLS_OF_ALL = "install"
"""Writes the manual page and what the shells complete."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code.

    `twfs SOURCE DIR ...` is `twfs mount SOURCE DIR ...`: what mount(8) runs for `-t fuse.twfs` without a helper.
    """
    if argv is None:
        ensure_utf8_mode()
    words = as_flag(list(sys.argv[1:] if argv is None else argv))
    if words and ":" in words[0] and not words[0].startswith("-"):
        words.insert(0, "mount")
    codes = MOUNT_CODES if words and words[0] in _MOUNT_COMMANDS else ExitCodes()
    return run_reported(lambda: _run(words), "twfs", codes, verbosity=_verbosity(words))


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """All commands and their flags; or those of `only` one, which takes less time."""
    parser = _MainParser(prog="twfs", description="A Twilio account's Video Recordings and Compositions as files.")
    parser.add_argument("-V", "--version", action="version", version=f"twfs {version('twfs')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=CommandParser)
    parser.commands = commands
    add_commands(commands, COMMANDS if only is None else (only,))
    return parser


class _MainParser(Parser):
    """Explains itself by a line for each command."""

    commands: Any

    def format_help(self) -> str:
        """All commands."""
        return help_of_all(self.description or "", self.commands)


def add_commands(parsers: Any, names: Sequence[str] = COMMANDS) -> None:
    """Have these commands add their parsers; what they are made of is imported now."""
    for name in names:
        import_module(f"twfs.cli.{name.replace('-', '_')}").add_parser(parsers)


def _run(words: Sequence[str]) -> int:
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        near = nearest(words[0], COMMANDS) or (source_hint(words[0]) if is_sid(words[0], "AC") else "")
        raise UsageError(f"there is no command {words[0]!r}{near}; see {twfs_command('help')}")
    parser = build_parser(words[0] if words and words[0] in COMMANDS and words[0] != _TELLS_OF_ALL else None)
    try:
        arguments, rest = parser.parse_known_args(words)
    except SystemExit as done:  # --help and --version have printed and end here
        return int(done.code or 0)
    if arguments.command is None:
        raise UsageError(f"a command is missing: {', '.join(COMMANDS)}; see {twfs_command('help')}")
    if rest:
        path = [arguments.command, *filter(None, [getattr(arguments, "action", None)])]
        raise UsageError(_unknown(rest[0], parser, path))
    result: int = arguments.run(arguments)
    return result


def _verbosity(words: Sequence[str]) -> int:
    """How often -v is among them, alone or among other letters."""
    letters = (match[1] for word in words if (match := _SHORT_FLAGS.match(word)))
    return words.count("--verbose") + sum(each.count("v") for each in letters)


def _unknown(word: str, parser: argparse.ArgumentParser, path: Sequence[str]) -> str:
    """What is wrong with a word that the command, and perhaps its action, named by `path` does not know."""
    command = twfs_command(*path, "--help")
    if not word.startswith("-"):
        return f"too many arguments from {word!r} on; see {command}"
    # The value behind "=" may be anything, a secret even.
    name = word.partition("=")[0]
    return f"unknown flag {name}{nearest(name, _flags(parser, path))}; see {command}"


def _flags(parser: argparse.ArgumentParser, path: Sequence[str]) -> list[str]:
    for name in path:
        choices = next(action.choices for action in parser._actions if action.dest in ("command", "action"))  # noqa: SLF001
        parser = choices[name]  # type: ignore[index]
    return flag_names(parser)
