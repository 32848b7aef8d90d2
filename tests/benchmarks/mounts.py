"""File systems under measure: each a process and a mountpoint, taken away at the end."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.benchmarks.processes import Failed, cpu_seconds, last_line, peak_mib, running, wait_for
from twfs.mount.system import mounts

MOUNTPOINT = "MOUNTPOINT"
"""Stands for the mountpoint in a command."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount that answers."""

    path: Path
    process: subprocess.Popen[str]
    log: Path

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the serving process so far."""
        return cpu_seconds(self.process.pid)

    @property
    def peak_mib(self) -> float:
        """Its most resident memory so far."""
        return peak_mib(self.process.pid)


@contextmanager
def mounted(what: str, command: Sequence[str], scratch: Path) -> Iterator[Mount]:
    """The file system that `command` serves in the foreground, while the block runs.

    Raises:
        Failed: it did not come about, or its process died meanwhile.
    """
    folder = Path(mkdtemp(prefix=f"{what.replace(' ', '-')}-", dir=scratch))
    place, log = folder / "mnt", folder / "log"
    place.mkdir()
    command = [str(place) if word == MOUNTPOINT else word for word in command]
    try:
        with running(command, log) as process:
            try:
                wait_for(lambda: os.path.ismount(place), process, log, what)
                # Waits for the first answer; a listing would already be work that is to be measured.
                place.stat()
                yield Mount(place, process, log)
                if process.poll() is not None:
                    raise Failed(f"{what} ended with {process.returncode}: {last_line(log)}")
            except OSError as error:
                raise Failed(f"{what}: {error.strerror}: {last_line(log)}") from error
            finally:
                _unmount(place, process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unmount(place: Path, process: subprocess.Popen[str]) -> None:
    """Detach it, and let its process end by itself, as it should."""
    if _is_mountpoint(place):
        subprocess.run(["fusermount3", "-uz", "--", str(place)], check=False, capture_output=True)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        # Ended by force then, by who started it.
        return


def _is_mountpoint(place: Path) -> bool:
    """Asks the kernel's table, for a dead mount answers nothing."""
    return any(entry.mountpoint == place for entry in mounts())


def rclone_command(url: str, cache: Path | None = None) -> list[str]:
    """`rclone mount` of what lies at `url`; with `cache` in mode `full`, which keeps what was read on disk."""
    command = ["rclone", "mount", ":http:", MOUNTPOINT, "--http-url", url, "--read-only", "--config", "/dev/null"]
    return command if cache is None else [*command, "--vfs-cache-mode", "full", "--cache-dir", str(cache)]


def httpdirfs_command(url: str) -> list[str]:
    """`httpdirfs` of the same."""
    return ["httpdirfs", "-f", url, MOUNTPOINT]


def null_command(size: int) -> list[str]:
    """A file of zeros on twfs' own binding: what the binding allows at most."""
    return [sys.executable, "-m", "tests.benchmarks.null_fs", MOUNTPOINT, str(size)]
