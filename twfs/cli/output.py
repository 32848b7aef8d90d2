"""What is written to the terminal: made harmless first."""

import sys
from contextlib import suppress

from twfs.redaction import redacted


def say(text: str) -> None:
    """A line, or several, on standard output, at once; what its encoding lacks is spelled out."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(program: str, text: str) -> None:
    """One line on standard error. Where that takes none, as on a full disk, work goes on: the exit code tells."""
    with suppress(OSError):
        sys.stderr.write(f"{program}: {one_line(text)}\n")
        sys.stderr.flush()


def one_line(text: str) -> str:
    """The text without anything that could move the cursor, colour the screen or show a signed URL's query."""
    return escaped(redacted(text))


def escaped(text: str) -> str:
    """Control, format and other unprintable characters as Python's escapes: what a track is called may be hostile."""
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
