"""Real mounts in a process of their own, always taken down again."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.harness import is_held_elsewhere

DEVICE = Path("/dev/fuse")
START_SECONDS = 20.0
ROOT = Path(__file__).parents[2]

needs_mdwe = pytest.mark.skipif(
    tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 3), reason="needs Linux 6.3 (PR_SET_MDWE)"
)
needs_fuse = pytest.mark.skipif(
    not (DEVICE.exists() and os.access(DEVICE, os.R_OK | os.W_OK)), reason="there is no usable /dev/fuse here"
)


@dataclass(frozen=True)
class Mounted:
    path: Path
    process: subprocess.Popen[bytes]
    log_path: Path
    binding: str

    def log(self) -> str:
        return self.log_path.read_text()

    def mount_line(self) -> list[str]:
        """Its line of /proc/mounts, in fields."""
        (fields,) = [fields for fields in _mount_lines() if fields[1] == str(self.path)]
        return fields


def is_mounted(path: Path) -> bool:
    return any(fields[1] == str(path) for fields in _mount_lines())


def _mount_lines() -> list[list[str]]:
    """Those of /proc/mounts, in fields; other programs' mounts may have any names."""
    return [line.split(" ") for line in os.fsdecode(Path("/proc/mounts").read_bytes()).split("\n")[:-1]]


def wait_until(what: str, condition: object, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Poll until `condition()` holds; fails when the process ends first, or after `START_SECONDS`."""
    end = time.monotonic() + START_SECONDS
    while not condition():  # type: ignore[operator]
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{what} did not happen (exit code {process.poll()}):\n{log_path.read_text()}")
        time.sleep(0.02)


def unmount(path: Path) -> None:
    """Detach whatever is mounted there, busy or not."""
    tool = shutil.which("fusermount3") or shutil.which("fusermount") or "fusermount3"
    for command in ([tool, "-u", str(path)], ["umount", "-l", str(path)]):
        if is_mounted(path):
            subprocess.run(command, check=False, capture_output=True)


def spawn(folder: Path, *arguments: str, without: str = "") -> tuple[Path, Path, Path, subprocess.Popen[bytes]]:
    """Start `tests.fuse.served`, `without` a module; its mount point, ready file, log, and process."""
    mountpoint, ready, log_path = folder / "mount", folder / "ready", folder / "log"
    mountpoint.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", "-m", "tests.fuse.served", str(mountpoint), "--ready", str(ready)]
    environment = dict(os.environ)
    if without:
        (folder / f"{without}.py").write_text("raise ImportError('not installed')\n")
        environment["PYTHONPATH"] = str(folder)
    with log_path.open("wb") as log_file:
        process = subprocess.Popen([*command, *arguments], stdout=log_file, stderr=log_file, cwd=ROOT, env=environment)
    return mountpoint, ready, log_path, process


def take_down(mountpoint: Path, process: subprocess.Popen[bytes]) -> int:
    """Unmount, and have the process end, by force if it must be.

    Returns:
        Its exit code.
    """
    unmount(mountpoint)
    if is_held_elsewhere(mountpoint):
        process.terminate()
    try:
        return process.wait(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextlib.contextmanager
def mounted(folder: Path, *arguments: str, without: str = "") -> Iterator[Mounted]:
    """A mount of `tests.fuse.served`; unmounted at the end, when nothing of it may be left nor have gone wrong."""
    mountpoint, ready, log_path, process = spawn(folder, *arguments, without=without)
    try:
        wait_until("the mount", lambda: is_mounted(mountpoint) and ready.exists(), process, log_path)
        yield Mounted(mountpoint, process, log_path, ready.read_text())
    finally:
        code = take_down(mountpoint, process)
    log = log_path.read_text()
    assert not is_mounted(mountpoint)
    assert code == 0, log
    assert "Traceback" not in log, log
    assert "Warning" not in log, log
    assert log.splitlines()[-1] == "ended", log
