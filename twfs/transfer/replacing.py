"""A new file beside the one it replaces, for who writes it in one go.

Each writer has a file of its own, `.NAME.TOKEN.part`, locked as long as it is written: so several may write the same
goal at once, and what killed ones left is told from what is being written.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import BinaryIO

from twfs.transfer.part_file import locked, remove_unwritten

_TOKEN_BYTES = 4


@contextmanager
def replacing(goal: Path) -> Iterator[BinaryIO]:
    """A new file; on the disk, whole, under the name `goal` if the block ends well, gone if it fails.

    What was there under that name stays until then.

    Raises:
        OSError: it cannot be made or take its place.
    """
    part, file = _begun(goal)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Still locked: nobody may take it for a leftover before it has its name.
            part.replace(goal)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _remove_leftovers(goal)


def _begun(goal: Path) -> tuple[Path, BinaryIO]:
    """A part of one's own, open and locked."""
    while True:
        part = goal.with_name(f".{goal.name}.{secrets.token_hex(_TOKEN_BYTES)}.part")
        file = part.open("xb")
        try:
            if locked(file.fileno(), part):
                return part, file
        except OSError:
            # A file system without locks: who cannot lock a part does not take it away either.
            return part, file
        # Another process took it for a leftover before it was locked.
        file.close()


def _remove_leftovers(goal: Path) -> None:
    """Take away what nobody writes any more."""
    for leftover in goal.parent.glob(f".{escape(goal.name)}.{'[0-9a-f]' * 2 * _TOKEN_BYTES}.part"):
        remove_unwritten(leftover)
