"""An object as it is read, encrypted or not."""

from dataclasses import dataclass

from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK
from twfs.media.unlocking import Unlocking
from twfs.probe import ObjectFacts
from twfs.ranges import ceil_div
from twfs.resources import Medium


@dataclass(frozen=True, slots=True)
class PlainObject:
    """A medium with all it takes to read it, the way to its content key included if it is encrypted."""

    medium: Medium
    facts: ObjectFacts
    plain_size: int
    unlocking: Unlocking | None


def buffer_size(size: int) -> int:
    """How long a buffer must be for `size` bytes to be decrypted in it."""
    return ceil_div(size, AES_BLOCK) * AES_BLOCK + IN_PLACE_SLACK
