"""Several names of a folder looked up at once, whether or not libfuse hands that wish on.

Unless the answer to its INIT says otherwise, the kernel asks for one name of a folder at a time, so that a medium
which is slow to examine keeps all others waiting. libfuse hands the wish on since 3.17 (libfuse #861 and #880); before,
it drops it. Where a session's output can be replaced (fuse_session_custom_io, since 3.14), the flag is added to that
one message here, and everything after goes the usual way again.
"""

import ctypes
from typing import Any

_PARALLEL_DIROPS = 1 << 18
"""Both FUSE_CAP_PARALLEL_DIROPS of libfuse's fuse_common.h and FUSE_PARALLEL_DIROPS of the kernel's fuse.h."""
_FLAGS_OFFSET = 12
"""Of `flags` in the kernel's struct fuse_init_out, behind major, minor and max_readahead."""
_FIRST_TO_HAND_IT_ON = (3, 17)


class _Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _CustomIo(ctypes.Structure):
    """struct fuse_custom_io of libfuse 3.14 to 3.16; without the two that splice, libfuse goes the usual way."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("writev", "read", "splice_receive", "splice_send"))


_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.POINTER(_Part), ctypes.c_int, ctypes.c_void_p)


class ParallelLookups:
    """Asks the kernel for them, once, in libfuse 3's `init`. Must live as long as the mount."""

    def __init__(self, module: Any, version: tuple[int, ...]) -> None:
        """`module` is the binding, which has loaded libfuse of that version."""
        self._module = module
        self._hands_on = version >= _FIRST_TO_HAND_IT_ON
        self._answer = _Write(self._answer_init)
        self._libc: Any = ctypes.CDLL(None)
        self._library: Any = None
        self._session: int | None = None

    def ask(self, connection: Any) -> None:
        """Have the answer to INIT say so; `connection` is libfuse's struct fuse_conn_info."""
        if not connection.capable & _PARALLEL_DIROPS:
            return
        connection.want |= _PARALLEL_DIROPS
        if not self._hands_on:
            self._prepare(self._module._libfuse)  # noqa: SLF001 - the loaded library has no other name
            if hasattr(self._library, "fuse_session_custom_io"):
                self._replace_output(self._answer)

    def _prepare(self, libfuse: Any) -> None:
        # Another view of the same library: what is declared of its functions here is none of the binding's business.
        self._library = ctypes.CDLL(libfuse._name)  # noqa: SLF001 - a CDLL's name has no other name
        self._library.fuse_get_session.argtypes = (ctypes.c_void_p,)
        self._library.fuse_get_session.restype = ctypes.c_void_p
        self._library.fuse_session_fd.argtypes = (ctypes.c_void_p,)
        self._libc.writev.argtypes = (ctypes.c_int, ctypes.POINTER(_Part), ctypes.c_int)
        self._libc.writev.restype = ctypes.c_ssize_t
        self._session = self._library.fuse_get_session(libfuse.fuse_get_context().contents.fuse)

    def _replace_output(self, writev: Any) -> None:
        """The structure is copied. What libfuse passes beyond the arguments of writev(2) and read(2) they ignore."""
        functions = (ctypes.cast(function, ctypes.c_void_p).value for function in (writev, self._libc.read))
        device = self._library.fuse_session_fd(self._session)
        custom_io = self._library.fuse_session_custom_io
        custom_io.argtypes = (ctypes.c_void_p, ctypes.POINTER(_CustomIo), ctypes.c_int)
        custom_io(self._session, ctypes.byref(_CustomIo(*functions)), device)

    def _answer_init(self, device: int, parts: Any, count: int, _userdata: int | None) -> int:
        """writev(2) of the first message there is, which is the answer to INIT: a header and struct fuse_init_out."""
        self._replace_output(self._libc.writev)
        if count == 2 and parts[1].size >= _FLAGS_OFFSET + 4:
            flags = ctypes.c_uint32.from_address(parts[1].base + _FLAGS_OFFSET)
            flags.value |= _PARALLEL_DIROPS
        written: int = self._libc.writev(device, parts, count)
        return written
