"""Another mount namespace."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def apart(propagation: str = "private") -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a mount namespace of its own, with copies of all mounts there were."""
    # Each command replaces the one before it, so that the process is known.
    command = ["unshare", "--mount", "--propagation", propagation, "sh", "-c", "echo; exec sleep 1000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()
