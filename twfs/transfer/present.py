"""Whether a medium is at a destination already, as a file that an earlier run put there."""

import secrets
import stat
from pathlib import Path

from twfs.transfer.goal_folder import GoalFolder
from twfs.transfer.new_file import TOKEN_SIZE, NewFile
from twfs.transfer.part_names import part_name
from twfs.transfer.shortcomings import Lack, Shortcomings, shows_time

_COMMON_TIMES = range(315_619_200, 2**31)
"""From 1980-01-02 (FAT knows nothing before 1980) to 2038-01-19: a destination that keeps one of them keeps all."""


def is_there(goal: Path, sid: str, plain_size: int, changed_at: int, shortcomings: Shortcomings) -> bool:
    """Whether `goal` is a regular file with the SID in its name, of the medium's size and time, as rsync would judge.

    Where the destination keeps no times, name and size decide: a file is there only when it is whole, and finished
    media do not change. Under a name without the SID it may be another medium's: two tracks of a room that began in
    the same second, of a codec with a constant bit rate, have the same size.
    """
    if sid not in goal.name:
        return False
    try:
        status = goal.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != plain_size:
        return False
    if shows_time(status, changed_at):
        return True
    question = (status.st_dev, changed_at in _COMMON_TIMES or changed_at)
    keeps_time = shortcomings.found_out(question, lambda: _keeps_time(goal, changed_at, shortcomings))
    if not keeps_time:
        shortcomings.tell(Lack.TIMES)
    return not keeps_time


def _keeps_time(goal: Path, changed_at: int, shortcomings: Shortcomings) -> bool:
    """Whether a file beside `goal` shows the time it was given, once it has its final name.

    Where no file can be made to see, files are taken to differ: that comes to light when this one is written.
    """
    try:
        with GoalFolder(goal.parent) as folder:
            return _keeps_time_in(folder, goal.name, changed_at, shortcomings)
    except OSError:
        return True


def _keeps_time_in(folder: GoalFolder, goal_name: str, changed_at: int, shortcomings: Shortcomings) -> bool:
    file = NewFile.made(folder, goal_name, shortcomings)
    name = file.name
    try:
        final_name = part_name(goal_name, secrets.token_hex(TOKEN_SIZE // 2))
        file.take_place(final_name, changed_at)
        name = final_name
    finally:
        file.close()
        status = folder.status(name)
        folder.remove(name)
    return shows_time(status, changed_at)
