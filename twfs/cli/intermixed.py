"""Flags between operands: `twfs get SOURCE --json SID` means `twfs get SOURCE SID --json`.

By itself argparse fills all operands from the first ones that stand together, and takes the rest for too many.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from twfs.cli.grammar import Command, command_of
from twfs.cli.help_text import help_of_command
from twfs.cli.outcome import Parser


class CommandParser(Parser):
    """Takes a command's flags and operands in any order, and explains itself in one screen."""

    def __init__(self, **settings: object) -> None:
        """As argparse's."""
        super().__init__(**settings)
        self._is_under_way = False
        self._told: Command | None = None

    def format_help(self) -> str:
        """What is particular to the command."""
        return help_of_command(self._told or command_of(self))

    def parse_known_args(  # type: ignore[override]  # argparse's overloads concern namespaces of other classes
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, which asks it twice for flags and operands apart; a command with actions has no operands."""
        if self._is_under_way or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_under_way = True
        self._told = command_of(self)  # now, for argparse makes other operands of its operands on the way
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_under_way = False
