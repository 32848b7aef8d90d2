"""What the process that holds keys and plaintext does so that neither reaches a disk."""

import ctypes
import resource

_PR_SET_DUMPABLE = 4
"""prctl(2); a process that is not dumpable writes no core and cannot be attached to by its own user."""


def refuse_core_dumps() -> None:
    """No core dump, neither to a file nor to a collector.

    Raises:
        OSError: the kernel refuses, which it has no reason to.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")
