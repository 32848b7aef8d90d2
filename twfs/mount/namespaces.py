"""Other mount namespaces, as containers and `unshare --mount` have them, and what is mounted there."""

import os
from pathlib import Path

from twfs.mount.processes import Process, process_of
from twfs.mount.system import mounts

_PROC = Path("/proc")


def holders(device: str, proc: Path = _PROC) -> list[Process]:
    """Of each other mount namespace in which the file system `device` (`major:minor`) is mounted, its oldest process.

    Such a copy, made when the namespace was, stays when the mount itself is unmounted, and keeps it alive. Namespaces
    of processes that this one may not look at (ptrace(2), "access mode checking") are not seen; root sees all.
    """
    seen = {_namespace(proc / "self")}
    found = []
    for number in sorted(int(place.name) for place in proc.glob("[0-9]*")):
        namespace = _namespace(proc / str(number))
        if namespace is None or namespace in seen:
            continue
        seen.add(namespace)
        if device in _devices(proc / str(number) / "mountinfo"):
            found.append(process_of(number, proc))
    return found


def _namespace(process: Path) -> str | None:
    """What tells one mount namespace from another; None if that may not be known."""
    try:
        return os.readlink(process / "ns/mnt")  # noqa: PTH115 - it names no path
    except OSError:
        return None


def _devices(mountinfo: Path) -> set[str]:
    try:
        return {entry.device for entry in mounts(mountinfo)}
    except OSError:
        return set()
