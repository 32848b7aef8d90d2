"""Asking before what cannot be undone."""

import sys

from twfs.cli.outcome import UsageError
from twfs.errors import TwfsError


class Declined(TwfsError):
    """The user was asked, and did not say yes."""


def confirm(question: str, *, assume_yes: bool) -> None:
    """Return if the user agrees: by `assume_yes`, or by `y` or `yes` at the terminal, which is asked there only.

    Raises:
        Declined: any other answer.
        UsageError: there is no terminal to ask at.
    """
    if assume_yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nothing was done, for there is no terminal to ask at; say --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("nothing was done")
