"""Limits and lies that the kernel can be asked for: a cgroup's memory, and a clock of one process's own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.harness import PATIENCE

_CGROUPS = Path("/sys/fs/cgroup")


def _memory_cgroups() -> tuple[Path, str, str] | None:
    """Where cgroups of memory are made, and their files of the limit and of the peak: version 1, else version 2."""
    first = _CGROUPS / "memory"
    if first.is_dir() and os.access(first, os.W_OK):
        return first, "memory.limit_in_bytes", "memory.max_usage_in_bytes"
    passed_on = _CGROUPS / "cgroup.subtree_control"
    if passed_on.exists() and os.access(_CGROUPS, os.W_OK) and "memory" in passed_on.read_text().split():
        return _CGROUPS, "memory.max", "memory.peak"
    return None


needs_cgroups = pytest.mark.skipif(_memory_cgroups() is None, reason="needs to make cgroups of memory")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@dataclass(frozen=True)
class Cgroup:
    """A cgroup of memory."""

    path: Path
    limit_file: str
    peak_file: str

    def limit(self, size: int) -> None:
        """No more than so many bytes from now on."""
        (self.path / self.limit_file).write_text(str(size))

    @property
    def peak(self) -> int:
        """Most bytes that were in use at once."""
        return int((self.path / self.peak_file).read_text())


@contextmanager
def cgroup_of(pid: int) -> Iterator[Cgroup]:
    """A new cgroup with that process in it. What the process has already is charged elsewhere, what it gets is not.

    At the end the process must have ended.
    """
    found = _memory_cgroups()
    assert found is not None
    parent, limit_file, peak_file = found
    path = parent / f"twfs-test-{pid}"
    path.mkdir()
    try:
        (path / "cgroup.procs").write_text(str(pid))
        yield Cgroup(path, limit_file, peak_file)
    finally:
        end = time.monotonic() + PATIENCE
        while (path / "cgroup.procs").read_text() and time.monotonic() < end:
            time.sleep(0.02)
        path.rmdir()


_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static int source = -1;
    char text[32] = {0};
    if (!real) {
        real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
        source = open(getenv("TEST_CLOCK_AHEAD"), O_RDONLY | O_CLOEXEC);
    }
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME && pread(source, text, sizeof text - 1, 0) > 0)
        now->tv_sec += atol(text);
    return failed;
}
"""


@dataclass(frozen=True)
class LocalClock:
    """The wall clock of the processes that are started while this is in their environment."""

    source: Path
    environ: dict[str, str]

    def set_ahead(self, seconds: int) -> None:
        """Let it jump to so many seconds ahead of the truth."""
        # Padded, so that one write replaces all of the one before.
        with self.source.open("r+") as file:
            file.write(f"{seconds:<20d}")


def local_clock(folder: Path, ahead: int) -> LocalClock:
    """A wall clock that is so many seconds ahead at first; the monotonic one is as ever."""
    library, source = folder / "clock.so", folder / "ahead"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=_CLOCK, text=True, check=True, capture_output=True)
    source.write_text("")
    clock = LocalClock(source, {"LD_PRELOAD": str(library), "TEST_CLOCK_AHEAD": str(source)})
    clock.set_ahead(ahead)
    return clock
