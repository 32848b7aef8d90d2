"""What is written to the terminal: made harmless first."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from twfs.redaction import escaped as escaped  # noqa: PLC0414 - the terminal's side of it
from twfs.redaction import one_line as one_line  # noqa: PLC0414 - as above

ERASE_LINE = "\r\x1b[K"


def say(text: str) -> None:
    """A line, or several, on standard output, at once; what its encoding lacks is spelled out."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(program: str, text: str) -> None:
    """One line on standard error. Where that takes none, as on a full disk, work goes on: the exit code tells."""
    with suppress(OSError):
        sys.stderr.write(f"{over_progress(sys.stderr)}{program}: {one_line(text)}\n")
        sys.stderr.flush()


def takes_escapes(stream: TextIO) -> bool:
    """Whether it is a terminal on which a line can be erased."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def over_progress(stream: TextIO) -> str:
    """What a line begins with, so that it takes the place of a progress that may stand there."""
    return ERASE_LINE if takes_escapes(stream) else ""
