"""Paths on the command line."""

from collections.abc import Iterable
from pathlib import Path

from twfs.cli.values import parsed_by
from twfs.option import parse_path

a_path = parsed_by(parse_path)
"""As argparse's `type`: to `Path` itself an empty text, as of a variable that is not set, is the current folder."""


def a_place(text: str) -> str:
    """The same of a path or URL whose every character counts, such as a slash at its end.

    Raises:
        ArgumentTypeError: it is empty.
    """
    a_path(text)
    return text


def is_one_of(place: Path, paths: Iterable[str | Path]) -> bool:
    """Whether what is at `place`, by whatever name, is one of the files at `paths`; those may be gone meanwhile."""
    return place.exists() and any(Path(path).exists() and place.samefile(path) for path in paths)
