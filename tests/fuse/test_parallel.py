"""Whether the kernel is told that names may be looked up at once; that it does is seen in tests/faults."""

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from twfs.fuse.parallel import ParallelLookups, _Part

PARALLEL_DIROPS = 1 << 18
OTHERS = 0b1011


@dataclass
class Connection:
    """The fields of `struct fuse_conn_info` that count here."""

    capable: int
    want: int = OTHERS


class NoBinding:
    """Where nothing but the wish is needed, libfuse is left alone."""


@pytest.mark.parametrize("version", [(3, 17), (3, 18), (4, 0)])
def test_a_libfuse_that_hands_the_wish_on_is_told(version: tuple[int, int]) -> None:
    connection = Connection(capable=PARALLEL_DIROPS | 1)
    ParallelLookups(NoBinding(), version).ask(connection)
    assert connection.want == OTHERS | PARALLEL_DIROPS


@pytest.mark.parametrize("version", [(3, 2), (3, 14), (3, 17)])
def test_a_kernel_that_does_not_know_of_it_is_not_asked(version: tuple[int, int]) -> None:
    connection = Connection(capable=~PARALLEL_DIROPS)
    ParallelLookups(NoBinding(), version).ask(connection)
    assert connection.want == OTHERS


class ReplaceOutput:
    """fuse_session_custom_io, which only counts."""

    argtypes: object = None

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _session: object, _io: object, _device: int) -> int:
        self.calls += 1
        return 0


class Library:
    """libfuse, as far as a session's output goes."""

    def __init__(self) -> None:
        self.fuse_session_custom_io = ReplaceOutput()

    def fuse_session_fd(self, _session: object) -> int:
        return -1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def parts(*contents: bytes) -> ctypes.Array[_Part]:
    """As libfuse hands a message to writev."""
    buffers = [ctypes.create_string_buffer(content, len(content)) for content in contents]
    made = (_Part * len(buffers))(*(_Part(ctypes.addressof(each), len(each)) for each in buffers))
    made.kept = buffers  # type: ignore[attr-defined]
    return made


def answered(pipe: tuple[int, int], *contents: bytes) -> bytes:
    """What the kernel gets of that message, if it is the first one."""
    lookups = ParallelLookups(NoBinding(), (3, 14))
    lookups._library = library = Library()
    count = lookups._answer_init(pipe[1], parts(*contents), len(contents), None)
    # From now on libfuse writes without Python.
    assert library.fuse_session_custom_io.calls == 1
    got = os.read(pipe[0], 1000)
    assert len(got) == count
    return got


HEADER = bytes(range(16))


def test_the_flag_is_added_to_the_answer_to_init_and_nothing_else(pipe: tuple[int, int]) -> None:
    body = bytes(range(100, 180))
    expected = bytearray(body)
    expected[14] |= PARALLEL_DIROPS >> 16
    assert answered(pipe, HEADER, body) == HEADER + expected


def test_an_answer_that_refuses_is_handed_on_as_it_is(pipe: tuple[int, int]) -> None:
    assert answered(pipe, HEADER) == HEADER
    assert answered(pipe, HEADER, bytes(8)) == HEADER + bytes(8)
