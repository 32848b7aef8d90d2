"""Another mount namespace."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.mount.harness import wait_for
from twfs.mount.processes import process_of


@contextmanager
def apart(propagation: str = "private") -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a mount namespace of its own, with copies of all mounts there were."""
    with sleeping("unshare", "--mount", "--propagation", propagation) as process:
        yield process


@contextmanager
def sleeping(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that `command` has made its changes to, which does nothing more."""
    process = subprocess.Popen([*command, "sleep", "1000"])
    try:
        # Each program replaces the one before it, so that the process is known, and how far it has come.
        wait_for(lambda: process_of(process.pid).command == "sleep")
        yield process
    finally:
        process.kill()
        process.wait()
