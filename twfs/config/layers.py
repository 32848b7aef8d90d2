"""Where an option's text may come from, in the order of precedence, and how the text becomes a value."""

import os
import pwd
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twfs.config.table import OPTIONS
from twfs.errors import ConfigError
from twfs.option import Option, from_here

_HOME_PREFIX = re.compile(r"(?:^|(?<=:))~/")
"""The `~` of a path, or of one of several joined by colons."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Texts of options given at one place."""

    texts: Mapping[str, str]
    names: Mapping[str, str]
    """What the place calls each option, for messages: `TWFS_TIMEOUT`."""
    base: Path
    """The folder that relative paths start from."""


def flags_layer(overrides: Mapping[str, str], here: Path) -> Layer:
    """`-o` and flags; relative paths start at `here`, where the command was run."""
    return Layer(dict(overrides), {name: f"option {name}" for name in overrides}, here)


def environment_layer(environ: Mapping[str, str], here: Path) -> Layer:
    """`TWFS_*`; an empty variable counts as none. Relative paths start at `here`."""
    names = {name: f"TWFS_{name.upper()}" for name in OPTIONS if environ.get(f"TWFS_{name.upper()}")}
    return Layer({name: environ[variable] for name, variable in names.items()}, names, here)


def home_folder(environ: Mapping[str, str]) -> Path:
    """The user's home. mount(8) may leave HOME empty: then what passwd says, and `/` for a user without a name."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def value_of(option: Option, layers: Iterable[Layer], home: Path) -> Any:
    """The value of the first layer that has the option, else its default. Paths are absolute.

    Raises:
        ConfigError: the text cannot be such a value; names the place and the option.
    """
    for layer in layers:
        if option.name in layer.texts:
            with naming(option.name, [layer]):
                return _absolute(_parse(option, layer, home), layer.base)
    return option.default


@contextmanager
def naming(name: str, layers: Iterable[Layer]) -> Iterator[None]:
    """Has what is wrong with an option's value, or with the file that it names, said with the place that gives it.

    Raises:
        ConfigError: as in the block, behind the place's name for the option, if one of `layers` has it.
    """
    place = next((layer.names[name] for layer in layers if name in layer.texts), None)
    try:
        yield
    except ConfigError as error:
        if place is None:
            raise
        raise ConfigError(f"{place}: {error}") from None


def _absolute(value: Any, base: Path) -> Any:
    """Paths, and tuples of them, made absolute; other values as they are."""
    if isinstance(value, tuple):
        return tuple(_absolute(part, base) for part in value)
    return from_here(base / value) if isinstance(value, Path) else value


def _parse(option: Option, layer: Layer, home: Path) -> Any:
    # Not left to Path.expanduser(), which takes an empty HOME for the root directory.
    text = _HOME_PREFIX.sub(lambda _: f"{home}/", layer.texts[option.name])
    try:
        return option.parse(text)
    except ValueError:  # how Python's own types refuse a text
        raise ConfigError(f"no {option.metavar}") from None
