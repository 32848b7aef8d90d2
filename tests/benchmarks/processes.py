"""Processes that the bench starts: in sessions of their own, ended by it, and by the kernel should it be killed."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE = 60.0
"""Seconds until something that should happen at once is given up."""

_FAREWELL = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A contestant, or something it needs, did not work; one line that says what."""


@contextmanager
def running(command: Sequence[str], log: Path, *, pipes: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that lives while the block runs; its stderr (and stdout unless `pipes`) go to `log`.

    Its session is its own, so that Ctrl-C reaches the bench alone, which then ends its processes in order.
    """
    with log.open("a") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            text=True,
            start_new_session=True,
            env=clean_environment(),
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ask it to end, then make it; its pipes are closed."""
    process.terminate()
    try:
        process.wait(_FAREWELL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            _close(pipe)


def _close(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        # What it was told last it did not hear any more: it is gone, as it should be.
        return


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str], log: Path, what: str) -> None:
    """Poll until it has.

    Raises:
        Failed: the process ended, or PATIENCE did.
    """
    limit = time.monotonic() + PATIENCE
    while not happened():
        if process.poll() is not None:
            raise Failed(f"{what} ended with {process.returncode}: {last_line(log)}")
        if time.monotonic() > limit:
            raise Failed(f"{what} did not get ready within {PATIENCE:.0f} s: {last_line(log)}")
        time.sleep(0.005)


def last_line(log: Path) -> str:
    """What it said last."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int) -> float:
    """Most resident memory so far (VmHWM), in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def clean_environment() -> dict[str, str]:
    """The environment without anything that twfs, Twilio's tools or rclone would read."""
    foreign = ("TWFS_", "TWILIO_", "RCLONE_", "HTTP_PROXY", "http_proxy")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def drop_caches() -> bool:
    """Have the kernel forget what it holds of files, as far as it is clean; root only. Whether it did."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True
