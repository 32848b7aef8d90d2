"""Paths on the command line."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from twfs.errors import ConfigError
from twfs.option import parse_path


def a_path(text: str) -> Path:
    """As argparse's `type`: to `Path` itself an empty text, as of a variable that is not set, is the current folder.

    Raises:
        ArgumentTypeError: it is empty.
    """
    try:
        return parse_path(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
