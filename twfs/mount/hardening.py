"""What a process that holds keys and plaintext does so that they stay in it."""

import ctypes
import os
import resource
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

_PR_SET_DUMPABLE = 4
"""prctl(2); a process that is not dumpable writes no core and cannot be attached to by its own user."""

_SECRET_VARIABLES = ("TWILIO_API_SECRET", "TWILIO_AUTH_TOKEN")

_FOR_CHILDREN = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH")
"""What tools such as umount(8), stat(1) and ffmpeg(1) need; beside these, the variables of the locale, `LC_*`."""

_withheld: dict[str, str] = {}
"""Secrets that were in the environment, for `environment` to give."""


@contextmanager
def hardened(environ: MutableMapping[str, str]) -> Iterator[None]:
    """All that a command of twfs does: no core dumps from now on, and no secret in `environ` while the block runs.

    Children inherit `environ`: those of libraries too, such as libfuse's fusermount3 and ctypes' ldconfig. What
    /proc/PID/environ shows of this process stays; but only root can read that of a process that refuses core dumps.

    A program that uses twfs as a library is not changed by it in any such way: the process is not ours.
    """
    refuse_core_dumps()
    _withheld.update({name: environ.pop(name) for name in _SECRET_VARIABLES if name in environ})
    try:
        yield
    finally:
        environ.update(_withheld)
        _withheld.clear()


def environment() -> Mapping[str, str]:
    """The environment as the user gave it, with the secrets that `hardened` has taken away."""
    return {**os.environ, **_withheld}


def childs_environment() -> dict[str, str]:
    """For a tool that is started: nothing that it does not need, so that no secret is among it."""
    return {name: value for name, value in os.environ.items() if name in _FOR_CHILDREN or name.startswith("LC_")}


def refuse_core_dumps() -> None:
    """No core dump, neither to a file nor to a collector.

    Raises:
        OSError: the kernel refuses, which it has no reason to.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")
