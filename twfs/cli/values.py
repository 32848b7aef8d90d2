"""How argparse has the values of flags and operands parsed, so that what is wrong with one is said in our own words."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from twfs.errors import ConfigError

T = TypeVar("T")


def parsed_by(parse: Callable[[str], T]) -> Callable[[str], T]:
    """As argparse's `type`: of any other error it tells the name of the function, as "invalid _port value".

    What it makes raises ArgumentTypeError where `parse` raises ConfigError.
    """

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed
