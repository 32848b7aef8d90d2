import os
import subprocess
import sys
import threading
from pathlib import Path

from twfs.mount.processes import Process, process_of

PROGRAM = """
import sys, threading
thread = threading.Thread(target=sys.stdin.read, daemon=True)
thread.start()
print(thread.native_id, flush=True)
thread.join()
"""


def test_a_first_thread_is_its_process() -> None:
    command = Path("/proc/self/comm").read_text().strip()
    assert process_of(os.getpid()) == Process(os.getpid(), command)


def test_another_thread_is_the_process_it_belongs_to() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        thread = int(child.stdout.readline())
        assert thread != child.pid
        command = Path(f"/proc/{child.pid}/comm").read_text().strip()
        assert process_of(thread) == Process(child.pid, command)
        assert child.stdin is not None
        child.stdin.close()


def test_a_name_of_several_lines_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_bytes(b"Name:\ta\fTgid:\r9\nUmask:\t0022\nTgid:\t7\n")
    assert process_of(7, tmp_path) == Process(7, "a\fTgid:\r9")


def test_a_thread_that_has_gone_or_is_out_of_sight_is_told_by_its_number() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    number = thread.native_id
    thread.join()
    assert number is not None
    assert process_of(number) in (Process(number, ""), process_of(os.getpid()))
    assert process_of(0) == Process(0, "")
    assert process_of(4711, Path("/nonexistent")) == Process(4711, "")
