"""Callbacks made by cffi: what they hand over is what ctypes would, and they answer whatever happens."""

import ctypes
import errno
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuse.mounting import ROOT, needs_mdwe
from twfs.fuse import answers
from twfs.fuse.answers import answering


class Pair(ctypes.Structure):
    """Something that a callback is given the address of."""

    _fields_ = (("first", ctypes.c_int), ("second", ctypes.c_int))


Fill = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)
Call = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(Pair),
    ctypes.c_void_p,
    Fill,
    ctypes.c_int64,
    ctypes.c_uint,
    ctypes.c_size_t,
)
Begin = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


class Callbacks(ctypes.Structure):
    """Like `struct fuse_operations`: callbacks, one that answers no errno, and a bit field."""

    _fields_ = (("begin", Begin), ("call", Call), ("flag", ctypes.c_uint, 1))


def called(function: Callable[..., Any], *arguments: Any) -> int:
    """What a C caller is answered by the callback made of `function`."""
    kinds = answering(Callbacks)
    callbacks = kinds()
    callbacks.call = dict(field[:2] for field in kinds._fields_)["call"](function)
    answer: int = Call(ctypes.cast(callbacks.call, ctypes.c_void_p).value)(*arguments)  # type: ignore[arg-type]
    return answer


def called_by_ctypes(function: Callable[..., Any], *arguments: Any) -> int:
    """The same through ctypes alone."""
    answer: int = Call(function)(*arguments)
    return answer


class Seen:
    """Notes what it is called with, in words that can be compared."""

    def __init__(self) -> None:
        self.arguments: tuple[object, ...] = ()

    def __call__(self, path: Any, pair: Any, address: Any, fill: Any, *numbers: int) -> int:
        content = (pair.contents.first, pair.contents.second) if pair else None
        filled = fill(b"name") if fill else None
        self.arguments = (path, content, address, filled, *numbers)
        return 7


_PATHS = st.none() | st.binary(max_size=50).map(lambda data: data.replace(b"\0", b""))
_PAIRS = st.none() | st.builds(Pair, st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
_ADDRESSES = st.none() | st.integers(0, 2**47)
_NUMBERS = st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))


@given(path=_PATHS, pair=_PAIRS, address=_ADDRESSES, fill=st.sampled_from([Fill(), Fill(len)]), numbers=_NUMBERS)
def test_arguments_are_those_that_ctypes_hands_over(
    path: bytes | None, pair: Pair | None, address: int | None, fill: Any, numbers: tuple[int, int, int]
) -> None:
    arguments = (path, None if pair is None else ctypes.pointer(pair), address, fill, *numbers)
    by_cffi, by_ctypes = Seen(), Seen()
    assert called(by_cffi, *arguments) == called_by_ctypes(by_ctypes, *arguments) == 7
    assert by_cffi.arguments == by_ctypes.arguments


NOTHING = (b"/", None, None, Fill(), 0, 0, 0)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is said, as if nothing had been said before."""
    answers._complaints.settle("callback", "")
    with caplog.at_level(logging.WARNING, logger="twfs"):
        yield caplog


@pytest.mark.parametrize("failure", [MemoryError(), KeyboardInterrupt(), SystemExit(3), OSError(errno.ENOENT, "x")])
def test_whatever_escapes_is_answered_with_eio(failure: BaseException, log: pytest.LogCaptureFixture) -> None:
    def fails(*_: object) -> int:
        raise failure

    assert called(fails, *NOTHING) == -errno.EIO
    assert [type(failure).__name__ in record.message for record in log.records] == [True]


@pytest.mark.usefixtures("log")
def test_a_failure_is_told_without_its_words_and_once(log: pytest.LogCaptureFixture) -> None:
    def fails(*_: object) -> int:
        raise ValueError("https://example.test/?X-Amz-Signature=secret")

    for _ in range(3):
        assert called(fails, *NOTHING) == -errno.EIO
    assert [record.message for record in log.records] == [
        "a request of the kernel's could not be served (EIO): ValueError"
    ]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("answer", [None, "0", 2**31, object()])
def test_what_is_no_answer_is_none(answer: object) -> None:
    assert called(lambda *_: answer, *NOTHING) == -errno.EIO


@pytest.mark.usefixtures("log")
def test_what_cannot_be_called_so_answers_too() -> None:
    assert called(lambda: 0, *NOTHING) == -errno.EIO


def test_what_answers_no_errno_and_what_is_no_callback_stay_as_they_are() -> None:
    kinds = answering(Callbacks)
    assert kinds._fields_[0] == Callbacks._fields_[0]
    assert kinds._fields_[2] == Callbacks._fields_[2]
    assert ctypes.sizeof(kinds) == ctypes.sizeof(Callbacks)


DENIED = """
import errno
from tests.fuse.served import deny_write_execute
from tests.fuse.test_answers import NOTHING, Seen, called

def fails(*_):
    raise MemoryError

deny_write_execute()
print(called(Seen(), *NOTHING), called(fails, *NOTHING) == -errno.EIO)
"""


@needs_mdwe
def test_where_memory_may_not_be_written_and_executed_ctypes_serves() -> None:
    done = subprocess.run([sys.executable, "-c", DENIED], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["7", "True"]


WITHOUT_CFFI = """
import errno, sys
sys.modules["cffi"] = None
from tests.fuse.test_answers import NOTHING, Seen, called

def fails(*_):
    raise MemoryError

print(called(Seen(), *NOTHING), called(fails, *NOTHING) == -errno.EIO)
"""


def test_where_there_is_no_cffi_ctypes_serves() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_CFFI], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["7", "True"]
