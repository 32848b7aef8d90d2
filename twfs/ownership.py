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
_FIRST_ORDINARY = 1000
"""FIRST_UID and FIRST_GID of Debian, UID_MIN and GID_MIN of Red Hat: those below are the system's own."""
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
    judged = (_judged(place, status, path, is_end=is_end) for place, status, is_end in _visited(path))
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


def _judged(place: Path, status: os.stat_result, path: Path, *, is_end: bool) -> str | None:
    """What is wrong with one of them, on the way to `path`."""
    if status.st_uid not in (_ROOT, os.geteuid()) and (is_end or not _is_of_outer_root(status)):
        return _of_somebody_else(place, status, path, is_end=is_end)
    if stat.S_ISLNK(status.st_mode) or not _others_may_write(status, is_end=is_end):
        return None
    who = "everybody" if status.st_mode & stat.S_IWOTH else f"the group {_group(status.st_gid)}"
    return f"{place} can be changed by {who}; run: {pasteable('chmod', 'go-w', place)}"


def _of_somebody_else(place: Path, status: os.stat_result, path: Path, *, is_end: bool) -> str:
    owner, me = _user(status.st_uid), _user(os.geteuid())
    if stat.S_ISLNK(status.st_mode):
        complaint = f"{place} is a symbolic link of {owner}, who can change it at any time"
        return f"{complaint}; run as root: {pasteable('rm', place)}"
    if is_end:
        complaint = f"{place} belongs to {owner}, who can change it at any time"
        return f"{complaint}; run as root: {pasteable('chown', me, place)}"
    # No chown: it may be somebody's home.
    folder = "a folder of root's" if os.geteuid() == _ROOT else f"a folder of {me}'s or root's"
    return f"{place} belongs to {owner}, who can change what is in it at any time; give {path} a place in {folder}"


def _others_may_write(status: os.stat_result, *, is_end: bool) -> bool:
    """Whether others may write to what is believed itself, or put something else in the place of what is on the way.

    What they write to a device, as /dev/null, does not stay. In a sticky folder, as /tmp, they cannot replace anything.
    """
    mode = status.st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or (mode & stat.S_ISVTX and not is_end):
        return False
    if mode & stat.S_IWOTH:
        return True
    return bool(mode & stat.S_IWGRP) and not _is_harmless(status.st_gid, is_end=is_end)


def _is_of_outer_root(status: os.stat_result) -> bool:
    """Whether a folder may well be root's, who has no number in this user namespace (user_namespaces(7)).

    Rootless containers and sandboxes see it as the overflow user's, `/` and all. So are other users' folders; but who
    is not root has none above ours that is a user's own.
    """
    whole = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    return not whole and status.st_uid == int(Path("/proc/sys/kernel/overflowuid").read_text())


def _is_harmless(gid: int, *, is_end: bool) -> bool:
    """Whether nobody else is in a group: this user alone, as Debian's sshd has it; on the way, services of the system.

    The first is what the usual umask of 002 counts on, the second owns Ubuntu's /var/log (`syslog`).
    """
    others = _members(gid) - {os.geteuid()}
    if os.geteuid() != _ROOT and _members(gid) == {os.geteuid()}:
        return True
    return not is_end and _ROOT < gid < _FIRST_ORDINARY and all(uid < _FIRST_ORDINARY for uid in others)


def _members(gid: int) -> set[int]:
    """User IDs of all who are in a group, by their own entry (passwd(5)) or by the group's (group(5))."""
    users = pwd.getpwall()
    try:
        named = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        named = set()
    return {user.pw_uid for user in users if user.pw_gid == gid or user.pw_name in named}


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
