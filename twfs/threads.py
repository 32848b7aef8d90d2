"""Starting threads and processes; where the machine refuses one, what limits it is named."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twfs.errors import NoMoreThreads

_REFUSALS = (errno.EAGAIN, errno.ENOMEM)
"""How fork(2) says that a limit is reached, or that there is no memory."""

_DEFAULT_STACK = 8 * 2**20
"""Bytes of address space that a thread takes where the stack has no limit: 2 MiB by glibc, 8 MiB by most shells."""


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """A daemon thread that runs `work`, started.

    Raises:
        NoMoreThreads: the machine refuses it.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    with starting():
        thread.start()
    return thread


@contextmanager
def starting() -> Iterator[None]:
    """The block starts threads or processes.

    Raises:
        NoMoreThreads: the machine refused one; names the limit that is reached.
    """
    try:
        yield
    except RuntimeError as error:
        # Python's only way to say it: no class and no errno of its own.
        if "can't start new thread" not in str(error):
            raise
        raise NoMoreThreads(f"can't start new thread: {limits()}") from None
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise NoMoreThreads(f"can't start new process: {limits()}") from None


def limits() -> str:
    """Which limits on threads are reached, with what to do; without one that shows, where to look."""
    return "; ".join(reached_limits()) or (
        "no limit shows that is reached; compare ulimit -u and ulimit -v, pids.max of the cgroup, and free memory"
    )


def reached_limits(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> list[str]:
    """A sentence for each limit that leaves no room for one more thread or process of this user."""
    return [*_address_space(proc), *_task_limits(proc, cgroups), *_user_limit(proc)]


def _address_space(proc: Path) -> Iterator[str]:
    """RLIMIT_AS, where less is left than one more thread's stack takes."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if limit == resource.RLIM_INFINITY:
        return
    used = int((proc / "self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    if used + (_DEFAULT_STACK if stack == resource.RLIM_INFINITY else stack) > limit:
        yield (
            f"the address space is limited to {limit // 1024} KiB (ulimit -v), of which {used // 1024} are taken;"
            " raise the limit, or lower cache_size and connections"
        )


def _task_limits(proc: Path, cgroups: Path) -> Iterator[str]:
    """pids.max of this process' cgroup and those above it, where as many tasks are there."""
    for folder in _cgroup_folders(proc, cgroups):
        most, now = (_number(folder / name) for name in ("pids.max", "pids.current"))
        if most is not None and now is not None and now >= most:
            yield f"{folder}/pids.max allows {most} threads and {now} are there; raise it (TasksMax= of a systemd unit)"


def _cgroup_folders(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Of this process, the innermost first; version 2 has all controllers in one tree, version 1 a tree for each."""
    for line in os.fsdecode((proc / "self/cgroup").read_bytes()).split("\n")[:-1]:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "pids"):
            continue
        top = cgroups / controllers
        inner = top / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder == top or top in folder.parents)


def _user_limit(proc: Path) -> Iterator[str]:
    """RLIMIT_NPROC, which counts all threads of the user; root's are not limited (getrlimit(2))."""
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if limit == resource.RLIM_INFINITY or os.getuid() == 0:
        return
    count = sum(_thread_count(place) for place in proc.glob("[0-9]*"))
    if count >= limit:
        yield f"this user may have {limit} threads and has {count} (ulimit -u); raise the limit, or end some"


def _thread_count(process: Path) -> int:
    """Of a process of this user, else 0."""
    try:
        if process.stat().st_uid != os.getuid():
            return 0
        return sum(1 for _ in (process / "task").iterdir())
    except OSError:  # It has ended meanwhile, or may not be looked at.
        return 0


def _number(path: Path) -> int | None:
    """A file's number; None where it says `max`, or is not there."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
