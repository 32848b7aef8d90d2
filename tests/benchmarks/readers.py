"""What programs do to files, timed: read them whole, together, at random, or as a player does."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import MIB
from tests.benchmarks.objects import SealedFile
from tests.benchmarks.processes import Failed

_PLAYER_READ = 32 * 1024
"""What ffmpeg, and so most players, read at once."""

_START_UP = 1.0
"""Seconds that a player may take before the first picture after a jump."""


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file's descriptor."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_whole(path: Path) -> float:
    """Seconds of reading a file to its end, 1 MiB at a time into the same memory.

    Raises:
        Failed: fewer bytes than its size.
    """
    began = time.perf_counter()
    with opened(path) as descriptor:
        got = _read_on(descriptor)
        if got != os.fstat(descriptor).st_size:
            raise Failed(f"{path.name}: {got} bytes instead of {os.fstat(descriptor).st_size}")
    return time.perf_counter() - began


def speed_for_a_while(path: Path, seconds: float) -> float:
    """Bytes per second of reading a file from its beginning, given up after so long."""
    began, got, buffer = time.perf_counter(), 0, bytearray(MIB)
    with opened(path) as descriptor:
        while time.perf_counter() - began < seconds and (count := os.readv(descriptor, [buffer])):
            got += count
    return got / (time.perf_counter() - began)


def _read_on(descriptor: int) -> int:
    buffer, got = bytearray(MIB), 0
    while count := os.readv(descriptor, [buffer]):
        got += count
    return got


@dataclass(frozen=True, slots=True)
class Together:
    """Several files read at once."""

    seconds: float
    """Until the last was read."""
    shares: tuple[float, ...]
    """Of each, the part that was read when the first was complete."""

    @property
    def least_share(self) -> float:
        """The slowest reader's progress against the mean of all: 1 is fair."""
        return min(self.shares) * len(self.shares) / sum(self.shares)


def read_together(paths: Sequence[Path]) -> Together:
    """Read files at once, each by a thread, all opened before the first is read.

    Raises:
        OSError: one could not be read.
    """
    with ExitStack() as files:
        readers = [_Reader(files.enter_context(opened(path))) for path in paths]
        began = time.perf_counter()
        for reader in readers:
            reader.start()
        while all(reader.is_alive() for reader in readers):
            time.sleep(0.001)
        shares = tuple(reader.got / reader.size for reader in readers)
        for reader in readers:
            reader.join()
        seconds = time.perf_counter() - began
        for reader in readers:
            reader.check()
    return Together(seconds, shares)


class _Reader(threading.Thread):
    """Reads one file whole and tells how far it is."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(name="reader")
        self._descriptor = descriptor
        self._failure: OSError | None = None
        self.size = os.fstat(descriptor).st_size
        self.got = 0

    def run(self) -> None:
        buffer = bytearray(MIB)
        try:
            while count := os.readv(self._descriptor, [buffer]):
                self.got += count
        except OSError as failure:
            self._failure = failure

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self.got != self.size:
            raise Failed(f"{self.got} bytes instead of {self.size}")


def timed_read(descriptor: int, size: int, offset: int) -> float:
    """Seconds of one read.

    Raises:
        Failed: it was short.
    """
    began = time.perf_counter()
    got = len(os.pread(descriptor, size, offset))
    if got != size:
        raise Failed(f"{got} bytes instead of {size} at {offset}")
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Played:
    """How a player fared."""

    used: int
    """Different bytes that it read."""
    stall: float
    """Longest time (s) that it had nothing to show, the first second after each jump aside."""


def play(path: Path, bytes_per_second: float, seconds: float) -> Played:
    """What a player asks for: head, tail (the index), a jump, `seconds` of play, a jump back, a quarter of that."""
    with opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        _read_through(descriptor, 0, 512 * 1024)
        _read_through(descriptor, size - 256 * 1024, size)
        middle, early = size // 2 + 12_345, size // 10 + 54_321
        first = _play_on(descriptor, middle, bytes_per_second, seconds)
        second = _play_on(descriptor, early, bytes_per_second, seconds / 4)
    used = 768 * 1024 + sum(_played_bytes(bytes_per_second, time_) for time_ in (seconds, seconds / 4))
    return Played(used, max(first, second))


def _played_bytes(bytes_per_second: float, seconds: float) -> int:
    return int(bytes_per_second * seconds) // _PLAYER_READ * _PLAYER_READ


def _read_through(descriptor: int, start: int, end: int) -> None:
    for offset in range(start, end, _PLAYER_READ):
        timed_read(descriptor, min(_PLAYER_READ, end - offset), offset)


def _play_on(descriptor: int, start: int, bytes_per_second: float, seconds: float) -> float:
    """Read at the speed of playing; the longest that bytes came after their time (s)."""
    began, late = time.perf_counter(), 0.0
    for done in range(0, _played_bytes(bytes_per_second, seconds), _PLAYER_READ):
        due = began + done / bytes_per_second
        time.sleep(max(0.0, due - time.perf_counter()))
        timed_read(descriptor, _PLAYER_READ, start + done)
        late = max(late, time.perf_counter() - due - _START_UP)
    return late


def curl_and_openssl(url: str, sealed: SealedFile) -> float:
    """Seconds of what customers do today: `curl URL | openssl enc -d`, its output thrown away.

    Raises:
        Failed: one of them failed.
    """
    key = ["-K", sealed.content_key.hex(), "-iv", sealed.iv.hex()]
    began = time.perf_counter()
    with (
        subprocess.Popen(["curl", "-sS", "--fail", url], stdout=subprocess.PIPE) as curl,
        subprocess.Popen(
            ["openssl", "enc", "-d", "-aes-256-cbc", *key], stdin=curl.stdout, stdout=subprocess.DEVNULL
        ) as openssl,
    ):
        assert curl.stdout is not None
        curl.stdout.close()
        openssl.wait()
    if curl.returncode or openssl.returncode:
        raise Failed(f"curl ended with {curl.returncode}, openssl with {openssl.returncode}")
    return time.perf_counter() - began


def parallel_curl(urls: Sequence[str], size: int, connections: int) -> float:
    """Seconds that `curl -Z` takes for all of `urls` (each of `size` bytes) over so many connections, by ranges.

    Raises:
        Failed: it failed.
    """
    per_url = connections // len(urls)
    part = -(-size // per_url)
    words: list[str] = []
    for url in urls:
        for start in range(0, size, part):
            words += ["--next", "-sS", "--fail", "-o", "/dev/null"]
            words += ["-r", f"{start}-{min(start + part, size) - 1}", url]
    began = time.perf_counter()
    done = subprocess.run(
        ["curl", "-Z", "--parallel-immediate", "--parallel-max", str(connections), *words[1:]],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Failed(f"curl -Z ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return time.perf_counter() - began


def children_cpu_seconds() -> float:
    """CPU time of all children that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_timed(*command: str) -> float:
    """Seconds of a command, its output thrown away.

    Raises:
        Failed: it failed.
    """
    began = time.perf_counter()
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return time.perf_counter() - began
