"""What an option is, and how its text becomes a value; the options themselves stand beside their components."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twfs.errors import ConfigError

_SIZE = re.compile(r"([0-9]{1,15})([KMG]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the option table: feeds `-o`, flags, environment, configuration file and documentation."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    help: str
    metavar: str = "TEXT"
    is_switch: bool = False
    """May stand without a value (`allow_other`), which means yes."""

    @property
    def choices(self) -> tuple[str, ...]:
        """All values there are; empty if there is no end of them."""
        return self.parse.words if isinstance(self.parse, OneOf) else ()


def parse_size(text: str) -> int:
    """Bytes from `256M`; K, M and G are binary.

    Raises:
        ConfigError: not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a size; write a whole number of bytes, or one with K, M or G")
    return int(match[1]) * _UNITS[match[2].upper()]


def size_of_at_least(least: int) -> Callable[[str], int]:
    """A parser of sizes that refuses smaller ones than `least` bytes."""

    def parse(text: str) -> int:
        size = parse_size(text)
        if size < least:
            raise ConfigError(f"{text} is too small; it must be at least {least} bytes")
        return size

    return parse


def parse_path(text: str) -> Path:
    """A path as written.

    Raises:
        ConfigError: empty, or holds a NUL.
    """
    if not text or "\0" in text:
        raise ConfigError("a path is needed")
    return Path(text)


def from_here(path: Path) -> Path:
    """An absolute path; a relative one starts in the current folder.

    Raises:
        ConfigError: there is none any more.
    """
    if path.is_absolute():
        return path
    try:
        return Path.cwd() / path
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: the current folder was deleted; change to another, or give an absolute path"
        ) from None


def parse_switch(text: str) -> bool:
    """Yes or no.

    Raises:
        ConfigError: neither.
    """
    word = text.strip().lower()
    if word in ("", "1", "yes", "true", "on"):
        return True
    if word in ("0", "no", "false", "off"):
        return False
    raise ConfigError(f"{text!r} is neither yes nor no")


def number(kind: Callable[[str], float | int], low: float, high: float) -> Callable[[str], Any]:
    """A parser of numbers in `[low, high]`, `kind` being `int` or `float`."""

    def parse(text: str) -> float | int:
        try:
            value = kind(text.strip())
        except ValueError:
            raise ConfigError(f"{text!r} is not a number; give one between {low} and {high}") from None
        if not low <= value <= high:
            raise ConfigError(f"{text} is out of range; it must be between {low} and {high}")
        return value

    return parse


@dataclass(frozen=True, slots=True)
class OneOf:
    """A parser that takes one of some words."""

    words: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """The word itself.

        Raises:
            ConfigError: it is none of them.
        """
        if text not in self.words:
            raise ConfigError(f"{text!r} is none of {', '.join(self.words)}")
        return text


def one_of(*words: str) -> OneOf:
    """A parser that takes one of `words`."""
    return OneOf(words)


def parse_mode(text: str) -> int:
    """Permission bits, in octal.

    Raises:
        ConfigError: not octal, or more than 0777.
    """
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ConfigError(f"{text!r} are no permission bits; write them in octal, as 0440")
    return mode
