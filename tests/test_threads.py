import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from twfs.catalog.side_by_side import side_by_side
from twfs.errors import NoMoreThreads
from twfs.threads import reached_limits, start_thread, starting

KIBIBYTES = 600_000
"""Enough for the interpreter, the cache and some threads, not for one of each connection."""


def limited(*words: str | Path, kibibytes: int = KIBIBYTES, stack: int = 8192) -> subprocess.CompletedProcess[str]:
    """Python with an address space of that size, each of whose threads takes `stack` KiB of it."""
    limits = f'ulimit -v {kibibytes}; ulimit -S -s {stack}; exec "$@"'
    command = ["bash", "-c", limits, "bash", sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


def test_a_thread_runs_what_it_is_given() -> None:
    told = threading.Event()
    start_thread(told.set, "telling").join()
    assert told.is_set()


def test_other_failures_pass() -> None:
    with pytest.raises(RuntimeError, match="another one"), starting():
        raise RuntimeError("another one")
    with pytest.raises(FileNotFoundError), starting():
        subprocess.run(["/nowhere/at/all"], check=True)


def test_requests_side_by_side_need_no_thread(tmp_path: Path) -> None:
    script = (
        "import resource, threading; from twfs.catalog.side_by_side import side_by_side\n"
        "resource.setrlimit(resource.RLIMIT_STACK, (2**40, -1)); threading.stack_size(2**30)\n"
        "print(side_by_side('doubling', lambda n: 2 * n, range(5), 4))"
    )
    done = limited("-c", script)
    assert done.stdout == "[0, 2, 4, 6, 8]\n", done.stderr
    assert "fewer requests at once" in done.stderr
    assert side_by_side("doubling", lambda number: 2 * number, range(5), 4) == [0, 2, 4, 6, 8]


def test_a_loop_that_gets_no_thread_leaves_nothing() -> None:
    script = """
import os, resource, threading
from twfs.errors import NoMoreThreads
from twfs.event_loop import LoopThread
resource.setrlimit(resource.RLIMIT_STACK, (2**40, -1)); threading.stack_size(2**30)
before = os.listdir('/proc/self/fd')
try:
    LoopThread(4).post(print)
except NoMoreThreads:
    print(threading.active_count(), os.listdir('/proc/self/fd') == before)
"""
    done = limited("-c", script)
    assert done.stdout == "1 True\n", done.stderr


def machine(folder: Path, cgroup: str, **tasks: str) -> tuple[Path, Path]:
    """/proc and /sys/fs/cgroup of a machine, with one cgroup's files."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(cgroup)
    (folder / "proc/self/statm").write_text("100 1 1 1 0 1 0\n")
    return folder / "proc", folder / "cgroups"


def test_the_cgroup_that_is_full_is_named(tmp_path: Path) -> None:
    proc, cgroups = machine(tmp_path, "0::/system.slice/twfs@clinic.service\n")
    place = cgroups / "system.slice/twfs@clinic.service"
    place.mkdir(parents=True)
    for folder, most, now in ((place, "max", "40"), (place.parent, "64", "64")):
        (folder / "pids.max").write_text(f"{most}\n")
        (folder / "pids.current").write_text(f"{now}\n")
    (sentence,) = reached_limits(proc, cgroups)
    assert sentence.startswith(f"{place.parent}/pids.max allows 64 threads and 64 are there; raise it")


def test_so_is_one_of_version_1(tmp_path: Path) -> None:
    proc, cgroups = machine(tmp_path, "9:name=systemd:/x\n8:pids:/x\n4:memory:/x\n0::/\n")
    place = cgroups / "pids/x"
    place.mkdir(parents=True)
    (place / "pids.max").write_text("8\n")
    (place / "pids.current").write_text("8\n")
    (sentence,) = reached_limits(proc, cgroups)
    assert f"{place}/pids.max allows 8" in sentence


def test_limits_that_leave_room_are_not_named(tmp_path: Path) -> None:
    proc, cgroups = machine(tmp_path, "0::/x\n")
    (cgroups / "x").mkdir(parents=True)
    (cgroups / "x/pids.max").write_text("64\n")
    (cgroups / "x/pids.current").write_text("63\n")
    assert reached_limits(proc, cgroups) == []


def test_the_stacks_of_threads_count_to_the_address_space(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    proc, cgroups = machine(tmp_path, "0::/\n")
    pages = 2**40 // resource.getpagesize()
    (proc / "self/statm").write_text(f"{pages - 1} 1 1 1 0 1 0\n")
    resource.setrlimit(resource.RLIMIT_AS, (2**40, before[1]))
    try:
        (sentence,) = reached_limits(proc, cgroups)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert sentence.startswith("the address space is limited to 1073741824 KiB (ulimit -v)")


def test_a_refused_process_is_told_the_same_way() -> None:
    with pytest.raises(NoMoreThreads, match="can't start new process: "), starting():
        raise BlockingIOError(11, "Resource temporarily unavailable")


def test_no_thread_is_started_elsewhere() -> None:
    """Where what limits it would not be told."""
    sources = Path(__file__).parents[1] / "twfs"
    makers = [path.name for path in sources.rglob("*.py") if "threading.Thread(" in path.read_text()]
    assert makers == ["threads.py"]
    for path in sources.rglob("*.py"):
        text = path.read_text()
        assert "ThreadPoolExecutor(" not in text or "with starting():" in text, path
