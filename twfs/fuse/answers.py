"""C callbacks that always answer: whatever fails on the way into Python, libfuse is told EIO.

Where a callback made by ctypes cannot so much as be entered - there is no memory for its arguments or its first frame -
it answers what happened to lie on the stack. A 0 would be an empty folder, or the end of a file. A callback made by
cffi, which `cryptography` brings along, then gives an answer that was made beforehand (`error` in the documentation of
FFI.callback). It also keeps what Python needs for a thread as long as the thread lives; ctypes makes and drops it with
each call.
"""

import ctypes
import errno
import importlib
from collections.abc import Callable, Iterable
from typing import Any

from twfs.log import OncePerTrouble, log

_Convert = Callable[[int], Any]


def answering(operations: Any) -> Any:
    """The same structure of callbacks (a ctypes class), each of which answers -EIO where nothing else can be told.

    Those that do not answer with an errno stay as they are.
    """
    kept: list[object] = []
    fields = [
        (name, _answering(kind, kept) if getattr(kind, "_restype_", None) is ctypes.c_int else kind, *width)
        for name, kind, *width in operations._fields_
    ]
    return type("fuse_operations", (ctypes.Structure,), {"_fields_": fields, "callbacks": kept})


def _answering(kind: Any, kept: list[object]) -> Any:
    """The ctypes function type `kind`, made of a Python function by cffi; what that makes lives on in `kept`."""
    arguments = kind._argtypes_
    signature = f"int({', '.join(_c_name(argument) for argument in arguments)})"

    def made(cls: Any, function: Callable[..., int]) -> Any:
        answer = _converting(function, [_convert(argument) for argument in arguments])
        try:
            ffi = importlib.import_module("cffi").FFI()
            callback = ffi.callback(signature, answer, error=-errno.EIO, onerror=_complain)
        except (ImportError, MemoryError) as failure:
            # It is not there, should `cryptography` do without one day; or no page may be written and executed
            # (MemoryDenyWriteExecute of systemd), which ctypes' newer libffi does not need. There a limit of memory is
            # a cgroup's, too: it ends twfs before an allocation fails.
            log.debug("callbacks are made by ctypes, for cffi may not (%s)", type(failure).__name__)
            return kind.__new__(cls, _guarded(function))
        kept.append(callback)
        return kind.__new__(cls, int(ffi.cast("uintptr_t", callback)))

    # ctypes wants the description of each function type in the class itself, not in its base.
    described = {name: vars(kind)[name] for name in ("_argtypes_", "_restype_", "_flags_")}
    return type(kind.__name__, (kind,), {**described, "__new__": made})


def _guarded(function: Callable[..., int]) -> Callable[..., int]:
    """The most that can be done in Python."""

    def answer(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except BaseException as failure:  # noqa: BLE001 - what escapes is no answer
            _complain(type(failure), failure, failure.__traceback__)
            return -errno.EIO

    return answer


def _converting(function: Callable[..., int], conversions: Iterable[_Convert]) -> Callable[..., int]:
    steps = tuple(conversions)

    def answer(*words: int) -> int:
        return function(*[step(word) for step, word in zip(steps, words, strict=True)])

    return answer


def _c_name(kind: Any) -> str:
    """How cffi calls it: pointers of all kinds are numbers to it."""
    if not _is_integer(kind):
        return "uintptr_t"
    return f"{'' if kind(-1).value < 0 else 'u'}int{8 * ctypes.sizeof(kind)}_t"


def _convert(kind: Any) -> _Convert:
    """What makes of such a number what ctypes would have handed over."""
    if _is_integer(kind):
        return int
    if kind is ctypes.c_char_p:
        return lambda address: ctypes.string_at(address) if address else None
    if kind is ctypes.c_void_p:
        return lambda address: address or None
    if hasattr(kind, "argtypes"):
        # A function: the class itself makes one of an address.
        found: _Convert = kind
        return found
    return lambda address: ctypes.cast(address, kind)


def _is_integer(kind: Any) -> bool:
    return issubclass(kind, ctypes._SimpleCData) and kind not in (ctypes.c_char_p, ctypes.c_void_p)  # noqa: SLF001 - the base of all simple types has no other name


_complaints = OncePerTrouble()


def _complain(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Why a callback came to nothing: its own failures it answers itself, so this is want of memory, or a bug."""
    try:
        _complaints.warn("callback", f"a request of the kernel's could not be served (EIO): {kind.__name__}")
        log.debug("a callback failed", exc_info=(kind, error, trace))
    except MemoryError:
        # There is none for a line either.
        return
