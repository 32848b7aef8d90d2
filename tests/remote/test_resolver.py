"""Names that no server answers for; each test in a process, and with a resolv.conf, of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SILENT = "127.0.0.99"

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare(1)"
)

SCRIPT = f"""
import socket, time
from twfs.clock import Deadline, SystemClock
from twfs.errors import TwfsError
from twfs.remote.http import Authorization, HttpPool

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
    silent.bind(("{SILENT}", 53))
    pool, began = HttpPool(1, Authorization()), time.monotonic()
    try:
        pool.get("https://video.twilio.test/", {{}}, Deadline(SystemClock(), 30))
    except TwfsError as error:
        print(type(error).__name__, round(time.monotonic() - began, 1))
    asked = 0
    silent.setblocking(False)
    while True:
        try:
            silent.recv(512)
        except BlockingIOError:
            break
        asked += 1
    print(asked)
"""


def looked_up(folder: Path, **environ: str) -> tuple[str, float, int]:
    """What a request ends in where the only name server is silent, after how many seconds and questions."""
    (folder / "resolv.conf").write_text(f"nameserver {SILENT}\n")
    (folder / "nsswitch.conf").write_text("hosts: dns\n")
    binds = " && ".join(f"mount --bind {folder / name} /etc/{name}" for name in ("resolv.conf", "nsswitch.conf"))
    command = ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$0" -c "$1"', sys.executable, SCRIPT]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    name, seconds, asked = done.stdout.split()
    return name, float(seconds), int(asked)


@needs_namespaces
def test_a_name_server_that_is_silent_is_given_up_soon(tmp_path: Path) -> None:
    name, seconds, asked = looked_up(tmp_path)
    assert (name, asked) == ("NotSent", 4)  # for both families of addresses, twice
    assert 1.5 < seconds < 8  # glibc's own way takes ten; a machine that does much else may be late


@needs_namespaces
def test_who_has_said_how_long_is_heard(tmp_path: Path) -> None:
    name, seconds, asked = looked_up(tmp_path, RES_OPTIONS="timeout:1 attempts:1")
    assert (name, asked) == ("NotSent", 2)
    assert seconds < 8
