"""What the process that holds keys and plaintext does so that they stay in it."""

import ctypes
import resource
from collections.abc import MutableMapping

_PR_SET_DUMPABLE = 4
"""prctl(2); a process that is not dumpable writes no core and cannot be attached to by its own user."""

_SECRET_VARIABLES = ("TWILIO_API_SECRET", "TWILIO_AUTH_TOKEN")


def forget_secrets(environ: MutableMapping[str, str]) -> None:
    """Take the secrets out of the environment once they are read: libfuse's fusermount3 and other children inherit it.

    What /proc/PID/environ shows of this process stays; once core dumps are refused only root can read that.
    """
    for name in _SECRET_VARIABLES:
        environ.pop(name, None)


def refuse_core_dumps() -> None:
    """No core dump, neither to a file nor to a collector.

    Raises:
        OSError: the kernel refuses, which it has no reason to.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")
