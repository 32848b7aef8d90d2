"""What the machine says and does about mounts: /proc/self/mountinfo, umount, fusermount."""

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from twfs.errors import TwfsError
from twfs.invocation import pasteable, twfs_command
from twfs.log import log
from twfs.mount.hardening import childs_environment
from twfs.option import from_here
from twfs.threads import start_thread, starting

FSTYPE = "fuse.twfs"

_TOOL_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
"""mount(8) runs helpers with a minimal PATH."""

_UNMOUNT_SECONDS = 30
_MOUNTINFO = Path("/proc/self/mountinfo")
_ANSWER_SECONDS = 3.0
_MOST_LINKS = 40
"""As many as the kernel follows (path_resolution(7))."""
_ESCAPE = re.compile(r"\\([0-7]{3})")

T = TypeVar("T")


class MountFailed(TwfsError):
    """The mount, or the unmount, did not come about."""


class Busy(MountFailed):
    """Somebody uses the mount, so that it cannot be unmounted but lazily."""


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One line of mountinfo (proc_pid_mountinfo(5))."""

    mountpoint: Path
    source: str
    fstype: str
    device: str
    """`major:minor`"""


def mounts(mountinfo: Path = _MOUNTINFO) -> Iterator[MountEntry]:
    """All mounts that this process sees, oldest first; or another one, whose `mountinfo` it is.

    Raises:
        OSError: it cannot be read.
    """
    # The kernel escapes blank, tab, line feed, backslash and "#"; whatever else ends a line for Python is left alone.
    for line in os.fsdecode(mountinfo.read_bytes()).split("\n")[:-1]:
        fields, _, tail = line.partition(" - ")
        words, tail_words = fields.split(" "), tail.split(" ")
        yield MountEntry(Path(_unescape(words[4])), _unescape(tail_words[1]), tail_words[0], words[2])


def find_mount(mountpoint: Path) -> MountEntry | None:
    """What is mounted on top at `mountpoint`; asks the mount itself nothing, so that a dead one cannot hang it."""
    place = absolute(mountpoint)
    return next((entry for entry in reversed(list(mounts())) if entry.mountpoint == place), None)


def is_mounted(mountpoint: Path) -> bool:
    """Whether a twfs stands there, alive or dead."""
    entry = find_mount(mountpoint)
    return entry is not None and entry.fstype == FSTYPE


def is_stale(mountpoint: Path) -> bool:
    """Whether a mount stands there whose process has died ("Transport endpoint is not connected").

    Asks for statfs(2): stat(2) of a dead mount succeeds as long as the kernel remembers the attributes. Asks nothing
    of a folder without a twfs: behind an automount it would answer only after the mount that waits for this.

    Raises:
        MountFailed: its process lives, and does not answer.
    """
    if not is_mounted(mountpoint):
        return False
    try:
        answer_of(mountpoint, lambda: os.statvfs(mountpoint))
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def answer_of(mountpoint: Path, ask: Callable[[], T]) -> T:
    """What `ask` gets from the twfs that is mounted there; a thread asks, for one that hangs never answers.

    Raises:
        MountFailed: no answer within three seconds.
        OSError: what `ask` raised.
    """
    answers: list[T] = []
    failures: list[OSError] = []

    def work() -> None:
        try:
            answers.append(ask())
        except OSError as error:
            failures.append(error)

    asking = start_thread(work, "asking")
    asking.join(_ANSWER_SECONDS)
    if failures:
        raise failures[0]
    if not answers:
        command = twfs_command("umount", "-l", mountpoint)
        raise MountFailed(f"{mountpoint}: a twfs is mounted there and does not answer; run: {command}")
    return answers[0]


def detach_stale(mountpoint: Path) -> bool:
    """Take away a dead twfs, so that a new one can be mounted; whether there was one.

    Raises:
        MountFailed: it cannot be taken away, or lives and does not answer.
    """
    if not is_stale(mountpoint):
        return False
    log.warning("%s: detaching a mount whose process has died", mountpoint)
    unmount(mountpoint, lazy=True)
    return True


def unmount(mountpoint: Path, *, lazy: bool = False) -> None:
    """Unmount a twfs; `lazy` detaches it at once, even if it is in use or dead.

    Raises:
        Busy: it is in use.
        MountFailed: nothing of ours is mounted there, or the tools are missing.
    """
    if not is_mounted(mountpoint):
        raise MountFailed(f"{mountpoint}: no twfs is mounted there")
    command = _unmount_command(absolute(mountpoint), lazy=lazy)
    try:
        with starting():
            done = subprocess.run(  # noqa: S603  (fixed tools, the path is one argument)
                command,
                # What they say is looked at, so it must not be translated.
                env=childs_environment() | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_UNMOUNT_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise MountFailed(
            f"{mountpoint}: {command[0]} does not come back; try: {pasteable('umount', '-l', mountpoint)}"
        ) from None
    if done.returncode != 0:
        said = " ".join(os.fsdecode(done.stderr).split()).rstrip(".") or f"exit code {done.returncode}"
        kind = Busy if "busy" in said else MountFailed
        raise kind(f"{mountpoint}: cannot unmount: {said}")


def lets_users_share(fuse_conf: str) -> bool:
    """Whether that text of /etc/fuse.conf lets others than root use allow_other.

    Comments may stand behind it, too (strip_line in libfuse's fusermount.c).
    """
    return "user_allow_other" in (line.partition("#")[0].strip() for line in fuse_conf.split("\n"))


def raise_read_ahead(entry: MountEntry, kibibytes: int) -> bool:
    """Let the kernel ask for larger pieces of this mount; root only, and before INIT is answered.

    The kernel then takes the smaller of this and what the answer says, so the answer must say as much.
    Requests of 1 MiB instead of 128 KiB made a null file system 1.7 times as fast.
    """
    setting = Path("/sys/class/bdi") / entry.device / "read_ahead_kb"
    try:
        setting.write_text(str(kibibytes))
    except OSError as error:
        log.debug("%s not raised: %s", setting, error)
        return False
    return True


def absolute(mountpoint: Path) -> Path:
    """The path as the kernel knows it: all links resolved, and what they lead to not asked."""
    place = _below_its_parents(mountpoint)
    for _ in range(_MOST_LINKS):
        try:
            # Not Path.resolve, which would ask a dead mount; readlink(2) of one fails without asking it.
            target = place.readlink()
        except OSError:
            break
        place = _below_its_parents(place.parent / target)
    return place


def _below_its_parents(path: Path) -> Path:
    """The path with the links in its parents resolved, itself not touched."""
    whole = Path(os.path.abspath(from_here(path)))  # noqa: PTH100  (Path.resolve would ask a dead mount)
    return whole.parent.resolve() / whole.name


def _unmount_command(mountpoint: Path, *, lazy: bool) -> list[str]:
    if os.geteuid() == 0:
        return [_tool("umount"), *(["-l"] if lazy else []), "--", str(mountpoint)]
    return [_tool("fusermount3", "fusermount"), "-uz" if lazy else "-u", "--", str(mountpoint)]


def _tool(*names: str) -> str:
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=_TOOL_PATH)
        if found:
            return found
    raise MountFailed(f"{names[0]} is missing; install the package fuse3")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
