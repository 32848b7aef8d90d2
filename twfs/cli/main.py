"""`twfs`: which command is meant, and how it ended."""

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

from twfs.cli.intermixed import CommandParser
from twfs.cli.outcome import MOUNT_CODES, ExitCodes, Parser, UsageError, run_reported
from twfs.config.names import nearest
from twfs.invocation import twfs_command

COMMANDS = (
    *("mount", "umount", "demo", "simulator", "ls", "get", "verify", "decrypt", "export", "rm"),
    *("keygen", "public-key", "encryption", "top", "doctor", "install"),
)
"""As they are typed; each is a module of its own. To import all of them takes a third of the time of a start."""

_MOUNT_COMMANDS = ("mount", "umount")
_VERBOSE = re.compile(r"-[^-o]*v")
_TELLS_OF_ALL = "install"
"""Writes the manual page and what the shells complete."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code.

    `twfs SOURCE DIR ...` is `twfs mount SOURCE DIR ...`: what mount(8) runs for `-t fuse.twfs` without a helper.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and ":" in words[0] and not words[0].startswith("-"):
        words.insert(0, "mount")
    codes = MOUNT_CODES if words and words[0] in _MOUNT_COMMANDS else ExitCodes()
    return run_reported(lambda: _run(words), "twfs", codes, verbose=_is_verbose(words))


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """All commands and their flags; or those of `only` one, which takes less time."""
    parser = Parser(
        prog="twfs",
        description="A Twilio account's Video Recordings and Compositions as files.",
        epilog="twfs COMMAND --help says more. twfs demo needs no account; twfs mount SOURCE DIR mounts yours.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"twfs {version('twfs')}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=CommandParser)
    add_commands(commands, COMMANDS if only is None else (only,))
    return parser


def add_commands(parsers: Any, names: Sequence[str] = COMMANDS) -> None:
    """Have these commands add their parsers; what they are made of is imported now."""
    for name in names:
        import_module(f"twfs.cli.{name.replace('-', '_')}").add_parser(parsers)


def _run(words: Sequence[str]) -> int:
    parser = build_parser(words[0] if words and words[0] in COMMANDS and words[0] != _TELLS_OF_ALL else None)
    try:
        arguments, rest = parser.parse_known_args(words)
    except SystemExit as done:  # --help and --version have printed and end here
        return int(done.code or 0)
    if arguments.command is None:
        raise UsageError(f"a command is missing: {', '.join(COMMANDS)}; see {twfs_command('--help')}")
    if rest:
        path = [arguments.command, *filter(None, [getattr(arguments, "action", None)])]
        raise UsageError(_unknown(rest[0], parser, path))
    result: int = arguments.run(arguments)
    return result


def _is_verbose(words: Sequence[str]) -> bool:
    """Whether -v is among them, alone or before other letters; what follows an o is the value of -o."""
    return any(word == "--verbose" or _VERBOSE.match(word) is not None for word in words)


def _unknown(word: str, parser: argparse.ArgumentParser, path: Sequence[str]) -> str:
    """What is wrong with a word that the command, and perhaps its action, named by `path` does not know."""
    command = twfs_command(*path, "--help")
    if not word.startswith("-"):
        return f"too many arguments from {word!r} on; see {command}"
    # The value behind "=" may be anything, a secret even.
    name = word.partition("=")[0]
    return f"unknown flag {name}{nearest(name, _flags(parser, path))}; see {command}"


def _flags(parser: argparse.ArgumentParser, path: Sequence[str]) -> list[str]:
    # argparse has no public list of a parser's flags; its help is one.
    for name in path:
        choices = next(action.choices for action in parser._actions if action.dest in ("command", "action"))  # noqa: SLF001
        parser = choices[name]  # type: ignore[index]
    return [word for word in parser.format_help().replace(",", " ").split() if word.startswith("--")]
