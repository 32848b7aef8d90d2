"""`twfs umount`."""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.output import one_line, say
from twfs.cli.paths import a_path
from twfs.errors import TwfsError
from twfs.invocation import twfs_command
from twfs.mount.namespaces import holders
from twfs.mount.processes import Process
from twfs.mount.system import Busy, MountEntry, MountFailed, answer_of, find_mount, unmount
from twfs.mount.users import users_of

_STATUS = ".twfs/status"
_MOST_SHOWN = 10
"""Processes in a line."""


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser("umount", help="end a mount", description="End a mount of twfs.")
    parser.add_argument("directory", metavar="DIR", type=a_path, help="where it is mounted")
    parser.add_argument("-l", "--lazy", action="store_true", help="detach it at once, even if it is in use or dead")
    add_verbose_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Unmount; says so if that does not end the mount's process."""
    place: Path = arguments.directory
    entry = find_mount(place)
    # The namespaces that follow this one lose the mount, too; but that is known only when it has gone.
    pid = _pid_of(place) if entry is not None and holders(entry.device) else None
    try:
        unmount(place, lazy=arguments.lazy)
    except Busy as error:
        raise MountFailed(f"{error}; {_in_use(place, _users(entry))}") from None
    others = holders(entry.device) if entry is not None else []
    if others:
        say(one_line(_explanation(place, others, pid)))
    return 0


def _in_use(place: Path, users: Sequence[Process]) -> str:
    who = f"in use by {_listed(users)}" if users else "in use by processes that only root can see"
    lazily = twfs_command("umount", "-l", place)
    return f"{who}; end them, or detach it at once and let them finish: {lazily}"


def _users(entry: MountEntry | None) -> Sequence[Process]:
    """Looked for by a thread: what a process has mapped waits for its lock, and that perhaps for a mount that hangs."""
    try:
        return answer_of(entry.mountpoint, partial(users_of, entry)) if entry is not None else []
    except TwfsError:  # It hangs, or no thread can be had: the mount is in use all the same.
        return []


def _listed(processes: Sequence[Process]) -> str:
    """`process 7 (mpv)`, `processes 7 (mpv), 9 (bash)`; of very many the first."""
    shown = [f"{process.pid} ({process.command or '?'})" for process in processes[:_MOST_SHOWN]]
    more = f" and {len(processes) - _MOST_SHOWN} more" if len(processes) > _MOST_SHOWN else ""
    return f"process{'es' * (len(processes) > 1)} {', '.join(shown)}{more}"


def _explanation(place: Path, others: Sequence[Process], pid: int | None) -> str:
    have = f"{_listed(others)} {'has' if len(others) == 1 else 'have'}"
    end = f"; to end it now: kill {pid}" if pid is not None else ""
    return (
        f"{place}: unmounted here, but {have} a copy of the mount in another mount namespace: "
        f"its twfs goes on until that copy goes, too{end}"
    )


def _pid_of(place: Path) -> int | None:
    """The process that serves a mount, as it says itself; None if it says nothing."""
    try:
        return int(json.loads(answer_of(place, (place / _STATUS).read_bytes))["pid"])
    except (MountFailed, OSError, ValueError, KeyError):  # A mount that hangs can be unmounted all the same.
        return None
