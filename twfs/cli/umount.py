"""`twfs umount`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.output import one_line, say
from twfs.cli.paths import a_path
from twfs.mount.namespaces import holders
from twfs.mount.processes import Process
from twfs.mount.system import MountFailed, answer_of, find_mount, unmount

_STATUS = ".twfs/status"


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
    unmount(place, lazy=arguments.lazy)
    others = holders(entry.device) if entry is not None else []
    if others:
        say(one_line(_explanation(place, others, pid)))
    return 0


def _explanation(place: Path, others: Sequence[Process], pid: int | None) -> str:
    who = ", ".join(f"{process.pid} ({process.command or '?'})" for process in others)
    have = f"process {who} has" if len(others) == 1 else f"processes {who} have"
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
