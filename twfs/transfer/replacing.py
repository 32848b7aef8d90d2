"""A new file beside the one it replaces, for who writes it in one go.

Each writer has a file of its own, `.NAME.TOKEN.part`, locked as long as it is written: so several may write the same
goal at once, and what killed ones left is told from what is being written.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from twfs.transfer.goal_folder import GoalFolder
from twfs.transfer.new_file import beside
from twfs.transfer.shortcomings import Shortcomings


@contextmanager
def replacing(
    goal: Path, changed_at: int | None = None, shortcomings: Shortcomings | None = None
) -> Iterator[BinaryIO]:
    """A new file; on the disk, whole, under the name `goal` if the block ends well, gone if it fails.

    What was there under that name stays until then; a link is replaced, not followed. The file is the user's alone.

    Args:
        goal: where to.
        changed_at: its modification time, seconds since 1970 UTC.
        shortcomings: the run's.

    Raises:
        Occupied: somebody put another file in its place.
        OSError: it cannot be made or take its place.
    """
    with GoalFolder(goal.parent) as folder, beside(folder, goal.name, shortcomings or Shortcomings()) as new:
        with os.fdopen(new.handle, "wb", closefd=False) as file:
            yield file
        new.take_place(goal.name, changed_at)
