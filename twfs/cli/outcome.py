"""How a command ends: its exit code, and one line on standard error that says what, why and what to do."""

import argparse
import errno
import io
import os
import re
import resource
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from twfs.cli.output import complain
from twfs.errors import ConfigError, TwfsError
from twfs.invocation import twfs_command
from twfs.mount.hardening import hardened
from twfs.redaction import redacted


class UsageError(TwfsError):
    """The command line cannot be understood."""


@dataclass(frozen=True, slots=True)
class ExitCodes:
    """What a failure is called by number."""

    usage: int = 2
    """Also what is configured wrongly."""
    system: int = 1
    failed: int = 1
    bug: int = 1
    interrupted: int = 130


MOUNT_CODES = ExitCodes(usage=1, system=2, failed=32, bug=4, interrupted=8)
"""Those of mount(8)."""


class Parser(argparse.ArgumentParser):
    """Leaves it to the caller to end the program; abbreviated flags are refused, for they change their meaning."""

    def __init__(self, **settings: object) -> None:
        """As argparse's."""
        super().__init__(**{"allow_abbrev": False, **settings})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raise.

        Raises:
            UsageError: always.
        """
        program, *command = self.prog.split()
        called = twfs_command(*command, "--help") if program == "twfs" else f"{program} --help"
        raise UsageError(f"{_in_our_words(message)}; see {called}")


_ARGPARSE_WORDS = (
    (re.compile(r"ignored explicit argument .*"), "it takes no value"),
    (re.compile(r"expected one argument"), "its value is missing"),
    (re.compile(r"expected at least one argument"), "at least one is needed"),
    (re.compile(r"invalid choice: (.*) \(choose from (.*)\)"), r"there is no \1; choose from \2"),
)
"""What argparse complains of in words for programmers. It quotes choices in some versions of Python only."""


def _in_our_words(message: str) -> str:
    for pattern, words in _ARGPARSE_WORDS:
        message = pattern.sub(words, message)
    return message


def run_reported(run: Callable[[], int], program: str, codes: ExitCodes, *, verbosity: int = 0) -> int:
    """What `run` returns, or its failure's exit code after a line on standard error.

    With a `verbosity` of 1 a second line says where the failure comes from, with 2 its traceback does. No message shows
    a signed URL's query.
    """
    _fill_closed_streams()
    try:
        with hardened(os.environ):
            return run()
    except BrokenPipeError:
        return _reader_gone(codes)
    except KeyboardInterrupt as signal:
        # A command that can be gone on with says how.
        complain(program, "; ".join(["interrupted", *map(str, signal.args)]))
        return codes.interrupted
    except Exception as error:  # noqa: BLE001 - the end of the program: nothing may escape as a traceback
        code, message = _judged(error, codes)
        if verbosity > 1:
            with suppress(OSError):
                sys.stderr.write(redacted(traceback.format_exc()))
        complain(program, message)
        if verbosity == 1:
            complain(program, _origin(error))
        return code


def _origin(error: BaseException) -> str:
    """Where it was raised, and what it was raised for."""
    where = "nowhere that is known"
    if frames := traceback.extract_tb(error.__traceback__):
        where = f"{frames[-1].filename}, line {frames[-1].lineno}, in {frames[-1].name}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    why = f", after {type(cause).__name__}: {cause}" if cause is not None else ""
    return f"that is {type(error).__name__} of {where}{why}; -vv shows the traceback"


def _judged(error: Exception, codes: ExitCodes) -> tuple[int, str]:
    if isinstance(error, UsageError | ConfigError):
        return codes.usage, str(error)
    if isinstance(error, TwfsError):
        return codes.failed, str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return codes.system, f"{where}{error.strerror}{_remedy(error)}"
    return codes.bug, f"unexpected {type(error).__name__}: {error}; run it again with -vv to see where"


def _remedy(error: OSError) -> str:
    if error.errno != errno.EMFILE:
        return ""
    return f": the limit is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}; raise it (ulimit -n)"


def _fill_closed_streams() -> None:
    """Have something in the place of what a caller has closed (`2>&-`), which Python leaves out.

    Complaints go nowhere then; output fails as any program's does. And no file that is opened later gets a number
    below 3.
    """
    for name, flags, mode in (
        ("stdin", os.O_RDONLY, "rb"),
        ("stdout", os.O_RDONLY, "wb"),
        ("stderr", os.O_WRONLY, "wb"),
    ):
        if getattr(sys, name) is None:
            raw = os.fdopen(os.open(os.devnull, flags), mode, buffering=0)
            # Without a buffer, whose rest would fail once more when Python ends.
            setattr(sys, name, io.TextIOWrapper(raw, write_through=True))


def _reader_gone(codes: ExitCodes) -> int:
    """The reader of our output (`head`) has seen enough: end quietly, and have Python's own last flush not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return codes.failed
