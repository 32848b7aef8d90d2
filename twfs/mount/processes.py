"""Who calls: from the thread that the kernel names to its process, and what that is called."""

from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process at the moment when it called."""

    pid: int
    command: str
    """Its name in the kernel, at most 15 characters (proc_pid_comm(5)); empty if it cannot be told."""


def process_of(thread: int, proc: Path = _PROC) -> Process:
    """The process of a thread, which waits for us just now.

    Only what the kernel answers from its own tables is read: `cmdline` and `exe` need the process' memory map, whose
    lock it may hold while it waits for a page of ours.
    """
    # A program names itself: of what ends lines for Python, the kernel escapes the line feed alone.
    status = dict(line.partition(":")[::2] for line in _text(proc / str(thread) / "status").split("\n"))
    pid = int(status.get("Tgid", "").strip() or thread)
    name = status.get("Name", "").strip() if pid == thread else _text(proc / str(pid) / "comm").strip()
    return Process(pid, name)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""  # It has been killed meanwhile, or is out of sight (another PID name space, hidepid).
