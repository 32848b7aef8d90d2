"""One reader of the soak, in a process of its own: `python -m tests.soak.reader MANIFEST HABIT SEED SECONDS`.

Whatever it is given it compares with the plaintext beside the manifest. Prints what it saw, as JSON. Knows nothing of
twfs, as any reader.
"""

import errno
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

TROUBLE = frozenset({"EIO", "ETIMEDOUT", "ESTALE", "EACCES"})
"""What a reader may see of a medium whose servers misbehave; SIGBUS is the same to who has mapped the file."""
_WRONG_BYTES = 3
_REFUSED = 4
_NOTES = struct.Struct("ddQQ")
"""What a child tells of its mapping: when its last touch began (0: it has returned), its slowest, touches, bytes."""


@dataclass(frozen=True)
class Piece:
    """One medium as the soak made it."""

    path: str
    """In the mount."""
    reference: str
    """The file that holds its plaintext."""
    size: int
    """Bytes of plaintext; negative where nobody can know them."""
    refusal: str = ""
    """The errno that opening it always has, if it can never be read."""


@dataclass
class Seen:
    """What one reader saw."""

    reads: int = 0
    bytes: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds, by system call."""

    def note_error(self, name: str) -> None:
        """One more."""
        self.errors[name] = self.errors.get(name, 0) + 1

    def note_time(self, call: str, seconds: float) -> None:
        """Keep it if it is the slowest."""
        self.slowest[call] = max(self.slowest.get(call, 0.0), seconds)


class Refused(Exception):
    """A system call failed; it is counted already."""


class Reader:
    """Reads as its habit is, until time is up."""

    def __init__(self, pieces: list[Piece], mountpoint: Path, chance: random.Random) -> None:
        self.pieces = pieces
        self.mountpoint = mountpoint
        self.chance = chance
        self.seen = Seen()

    def read_anywhere(self, piece: Piece) -> None:
        """Some reads at random places, none of them served by what the kernel has kept."""
        with self.opened(piece) as (file, reference):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
            self.jump_about(piece, "pread", file, reference)

    def read_past_the_cache(self, piece: Piece) -> None:
        """The same; what is asked for here is asked of the file system as it is, once."""
        with self.opened(piece, os.O_DIRECT) as (file, reference):
            self.jump_about(piece, "direct pread", file, reference)

    def jump_about(self, piece: Piece, name: str, file: int, reference: int) -> None:
        """Ten reads, counted by whether they are of one page of the page cache."""
        for _ in range(10):
            start = self.chance.randrange(piece.size + 5)
            size = self.chance.choice((1, 16, 4096, 70_000, 300_000))
            pages = "" if len(one_page_each(start, start + size)) == 1 else " of pages"
            got = self.call(piece, name + pages, partial(os.pread, file, size, start))
            self.compare(piece, start, got, os.pread(reference, size, start))

    def read_on(self, piece: Piece) -> None:
        """From the beginning to the end."""
        with self.opened(piece) as (file, reference):
            at = 0
            while at < piece.size:
                got = self.call(piece, "read", lambda: os.read(file, 128 * 1024))
                self.compare(piece, at, got, os.pread(reference, 128 * 1024, at))
                at += len(got) or piece.size
            self.compare(piece, at, self.call(piece, "read", lambda: os.read(file, 10)), b"")

    def map(self, piece: Piece) -> None:
        """Touch some pages of a mapping, in a child: where the bytes cannot be had it is killed by SIGBUS."""
        if not piece.size:
            return
        with self.opened(piece) as (file, reference), mmap.mmap(-1, _NOTES.size) as notes:
            child = os.fork()
            if child == 0:
                os._exit(touch(file, reference, piece.size, self.chance, notes))
            _, status = os.waitpid(child, 0)
            self.note_child(piece, status, *_NOTES.unpack(notes))

    def note_child(self, piece: Piece, status: int, began: float, slowest: float, reads: int, count: int) -> None:  # noqa: PLR0917 - as in _NOTES
        """What became of the child."""
        self.seen.reads += reads
        self.seen.bytes += count
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS
        self.seen.note_time("page fault", max(slowest, time.monotonic() - began if killed and began else 0.0))
        if killed:
            self.seen.note_error("SIGBUS")
        elif os.WIFEXITED(status) and os.WEXITSTATUS(status) == _REFUSED:
            self.seen.note_error("EIO")
        elif status:
            self.seen.wrong.append(f"{piece.path}: wrong bytes in a mapping (wait status {status})")

    def look(self, piece: Piece) -> None:
        """Stat it, and see that the listing has not lost a medium, and that the status is one."""
        found = self.call(piece, "stat", (self.mountpoint / piece.path).stat)
        if piece.size >= 0 and found.st_size != piece.size:
            self.seen.wrong.append(f"{piece.path}: {found.st_size} bytes instead of {piece.size}")
        folder = piece.path.partition("/")[0]
        there = self.mountpoint / folder
        listed = self.call(piece, "readdir", lambda: {path.name for path in there.iterdir()}, may_fail=False)
        expected = {Path(other.path).name for other in self.pieces if other.path.startswith(f"{folder}/")}
        if listed != expected:
            self.seen.wrong.append(f"{folder} lists {len(listed)} of {len(expected)} media")
        json.loads(self.call(piece, "status", (self.mountpoint / ".twfs" / "status").read_bytes, may_fail=False))
        self.seen.reads += 1
        time.sleep(0.02)

    @contextmanager
    def opened(self, piece: Piece, flags: int = 0) -> Iterator[tuple[int, int]]:
        """Descriptors of the file, nothing of it in the page cache, and of its plaintext."""
        file = self.call(piece, "open", lambda: os.open(self.mountpoint / piece.path, os.O_RDONLY | flags))
        reference = os.open(piece.reference, os.O_RDONLY)
        try:
            if piece.refusal:
                self.seen.wrong.append(f"{piece.path} could be opened, which must be {piece.refusal}")
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            yield file, reference
        finally:
            os.close(reference)
            os.close(file)

    def call(self, piece: Piece, name: str, work: Callable[[], T], *, may_fail: bool = True) -> T:
        """What `work` returns, timed; a failure is counted, and is wrong if it is none that trouble explains.

        Lists and the status, which ask no server, may not fail.
        """
        began = time.monotonic()
        try:
            return work()
        except OSError as failure:
            error = errno.errorcode.get(failure.errno or 0, "none")
            self.seen.note_error(error)
            if not may_fail or (error not in TROUBLE and error != piece.refusal):
                self.seen.wrong.append(f"{piece.path}: {name} fails with {error}")
            raise Refused from failure
        finally:
            self.seen.note_time(name, time.monotonic() - began)

    def compare(self, piece: Piece, start: int, got: bytes, expected: bytes) -> None:
        """Whether it is what it must be; fewer bytes are right where a page further on could not be had."""
        self.seen.reads += 1
        self.seen.bytes += len(got)
        if got != expected[: len(got)] or (expected and not got):
            self.seen.wrong.append(f"{piece.path}: wrong bytes at {start}, {len(got)} of {len(expected)}")


def touch(file: int, reference: int, size: int, chance: random.Random, notes: mmap.mmap) -> int:
    """Compare pages of a mapping of the file; the exit code."""
    slowest, count = 0.0, 0
    try:
        mapping = mmap.mmap(file, size, prot=mmap.PROT_READ)
    except OSError:
        return _REFUSED
    with mapping:
        for reads in range(1, 9):
            start = chance.randrange(size)
            for part in one_page_each(start, min(start + chance.choice((1, 5000)), size)):
                began = time.monotonic()
                notes[:] = _NOTES.pack(began, slowest, reads - 1, count)
                got = mapping[part.start : part.stop]
                slowest = max(slowest, time.monotonic() - began)
                count += len(got)
                notes[:] = _NOTES.pack(0.0, slowest, reads, count)
                if got != os.pread(reference, len(part), part.start):
                    return _WRONG_BYTES
    return 0


def one_page_each(start: int, end: int) -> list[range]:
    """Bytes `[start, end)` of a mapping, cut at its pages: to touch such a part takes one page fault at most."""
    edges = [start, *range(start - start % mmap.PAGESIZE + mmap.PAGESIZE, end, mmap.PAGESIZE), end]
    return [range(*part) for part in pairwise(edges)]


HABITS: dict[str, Callable[[Reader, Piece], None]] = {
    "random": Reader.read_anywhere,
    "direct": Reader.read_past_the_cache,
    "sequential": Reader.read_on,
    "mmap": Reader.map,
    "stat": Reader.look,
}


def main(manifest: str, habit: str, seed: str, seconds: str) -> None:
    """Read until time is up, and tell."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    content = json.loads(Path(manifest).read_bytes())
    pieces = [Piece(**piece) for piece in content["pieces"]]
    reader = Reader(pieces, Path(content["mountpoint"]), random.Random(seed))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        try:
            HABITS[habit](reader, reader.chance.choice(pieces))
        except Refused:
            continue
    sys.stdout.write(json.dumps(asdict(reader.seen)))


if __name__ == "__main__":
    main(*sys.argv[1:])
