"""Who uses a mount, so that it cannot be unmounted: what fuser(1) tells, from /proc."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from twfs.mount.processes import Process, process_of
from twfs.mount.system import MountEntry

_PROC = Path("/proc")
_MAPPING = re.compile(r"\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) ")
"""The device of a line of maps (proc_pid_maps(5)), in hexadecimal digits."""


def users_of(entry: MountEntry, proc: Path = _PROC) -> list[Process]:
    """Processes that are in a folder of the mount, or have a file of it open or mapped.

    Those of others are seen by root only (ptrace(2), "access mode checking"). The mount itself is asked nothing.
    """
    numbers = sorted(int(place.name) for place in proc.glob("[0-9]*"))
    return [process_of(number, proc) for number in numbers if _uses(proc / str(number), entry)]


def _uses(process: Path, entry: MountEntry) -> bool:
    place = os.fsencode(entry.mountpoint)
    return any(path == place or path.startswith(place + b"/") for path in _paths(process)) or _maps(process, entry)


def _paths(process: Path) -> Iterator[bytes]:
    """Where it is, and what it has open."""
    try:
        opened = list((process / "fd").iterdir())
    except OSError:  # It has ended, or may not be looked at.
        opened = []
    for link in (process / "cwd", process / "root", *opened):
        try:
            yield os.fsencode(link.readlink())
        except OSError:
            continue


def _maps(process: Path, entry: MountEntry) -> bool:
    try:
        lines = os.fsdecode((process / "maps").read_bytes()).split("\n")
    except OSError:
        return False
    devices = {f"{int(match[1], 16)}:{int(match[2], 16)}" for line in lines if (match := _MAPPING.match(line))}
    return entry.device in devices
