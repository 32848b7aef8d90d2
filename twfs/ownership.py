"""Whether somebody else could have put there, or could change, what a path leads to; as ssh's StrictModes asks.

What is believed (state, configuration, keys, credentials) and what is written to (logs) must be this user's or root's,
with all folders on the way: who may write to a folder may put another file in the place of ours.
"""

import grp
import os
import pwd
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from twfs.errors import ConfigError
from twfs.invocation import pasteable

_ROOT = 0
_FIRST_ORDINARY_GROUP = 1000
"""FIRST_GID of Debian, GID_MIN of Red Hat: those below, such as `syslog` of Ubuntu's /var/log, are the system's own."""
_MOST_LINKS = 40
"""As many as the kernel follows (path_resolution(7))."""


def refuse_foreign(path: Path) -> None:
    """Stop at a file or folder that somebody else than root and this user owns or may write to.

    What is not there yet is judged by the folders above it.

    Raises:
        ConfigError: one line, with the command that mends it.
    """
    complaint = complaint_about(path)
    if complaint is not None:
        raise ConfigError(complaint)


def complaint_about(path: Path) -> str | None:
    """Why a path cannot be trusted, and what to do; None if it can, as far as it can be looked at."""
    judged = (_judged(place, status, is_end=is_end) for place, status, is_end in _visited(path))
    return next(filter(None, judged), None)


def make_private_folders(folder: Path) -> None:
    """The folder, and those above it that are missing, for this user alone, whatever the umask says.

    Raises:
        OSError: one cannot be made.
    """
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _visited(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Each folder, link and file that the kernel passes, with whether it is the one at the end; up to a missing one."""
    here, rest, links = Path("/"), deque(path.absolute().parts), 0
    while rest:
        part = rest.popleft()
        place = here.parent if part == ".." else here / part
        try:
            status = place.lstat()
            target = Path(os.readlink(place)) if stat.S_ISLNK(status.st_mode) else None  # noqa: PTH115 - bytes as they are
        except OSError:
            return
        yield place, status, target is None and not rest
        here = place if target is None else here
        if target is not None:
            links += 1
            rest.extendleft(reversed(target.parts))
        if links > _MOST_LINKS:
            return


def _judged(place: Path, status: os.stat_result, *, is_end: bool) -> str | None:
    """What is wrong with one of them."""
    if status.st_uid not in (_ROOT, os.geteuid()) and (is_end or not _is_of_outer_root(status)):
        what = "is a symbolic link of" if stat.S_ISLNK(status.st_mode) else "belongs to"
        mend = ("rm", place) if stat.S_ISLNK(status.st_mode) else ("chown", _user(os.geteuid()), place)
        return f"{place} {what} {_user(status.st_uid)}, who can change it at any time; run as root: {pasteable(*mend)}"
    if stat.S_ISLNK(status.st_mode) or not (_by_end(status) if is_end else _by_way(status)):
        return None
    who = "everybody" if status.st_mode & stat.S_IWOTH else f"the group {_group(status.st_gid)}"
    return f"{place} can be changed by {who}; run: {pasteable('chmod', 'go-w', place)}"


def _by_end(status: os.stat_result) -> bool:
    """Whether others may write to what is believed itself; what they write to a device, as /dev/null, does not stay."""
    stays = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return stays and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _by_way(status: os.stat_result) -> bool:
    """Whether others may put something else in the place of what is in this folder.

    With the sticky bit, as of /tmp, they may not. A group of the system's, or the private one of this user, in which
    nobody else is (as Debian's sshd has it), is not somebody else.
    """
    if not _by_end(status) or status.st_mode & stat.S_ISVTX:
        return False
    return bool(status.st_mode & stat.S_IWOTH) or not (
        _ROOT < status.st_gid < _FIRST_ORDINARY_GROUP or _is_private_group(status.st_gid)
    )


def _is_of_outer_root(status: os.stat_result) -> bool:
    """Whether a folder may well be root's, who has no number in this user namespace (user_namespaces(7)).

    Rootless containers and sandboxes see it as the overflow user's, `/` and all. So are other users' folders; but who
    is not root has none above ours that is a user's own.
    """
    whole = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    return not whole and status.st_uid == int(Path("/proc/sys/kernel/overflowuid").read_text())


def _is_private_group(gid: int) -> bool:
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_uid != _ROOT and user.pw_gid == gid and set(group.gr_mem) <= {user.pw_name}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
