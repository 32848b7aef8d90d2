"""All that can be seen of a mount, gathered: what `.twfs/status`, `.twfs/metrics` and the log show."""

import os
from dataclasses import dataclass
from pathlib import Path

from twfs.fuse.binding import Binding
from twfs.metrics import CallMeter
from twfs.mount.audit import Audit
from twfs.mount.open_files import OpenFiles
from twfs.mount.session import Session


@dataclass(frozen=True, slots=True)
class Observation:
    """A mount and what keeps account of it."""

    session: Session
    source: str
    place: Path
    binding: Binding
    calls: CallMeter
    """libfuse's callbacks, by name."""
    open_files: OpenFiles
    audit: Audit | None


def resident_bytes() -> int:
    """Memory that this process takes, its part of shared libraries included (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
