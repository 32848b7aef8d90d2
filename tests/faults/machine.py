"""Faults of the machine: a mount in the background whose process tests stop, starve and kill."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event

from tests.mount.harness import PATIENCE, Customer, run_twfs, wait_for
from twfs.mount.system import is_mounted, unmount


@contextmanager
def daemon(place: Customer, **options: str) -> Iterator[int]:
    """A mount in the background, its process id; unmounted at the end, when its process must be gone."""
    done = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(**options))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    pid = int(json.loads((place.mountpoint / ".twfs" / "status").read_bytes())["pid"])
    try:
        yield pid
    finally:
        if is_mounted(place.mountpoint):
            unmount(place.mountpoint, lazy=True)
        wait_for(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Whether that process is there."""
    return Path(f"/proc/{pid}").exists()


@dataclass
class Reading:
    """What readers have seen so far."""

    stop: Event = field(default_factory=Event)
    right: int = 0
    """Pieces that were what they should be."""
    wrong: list[str] = field(default_factory=list)
    errors: list[int | None] = field(default_factory=list)


@contextmanager
def readers(files: dict[Path, bytes], piece: int = 200_000) -> Iterator[Reading]:
    """One reader a file, at random places of the file it keeps open, each until its first error."""
    reading = Reading()
    descriptors = {os.open(path, os.O_RDONLY): plain for path, plain in files.items()}
    with ThreadPoolExecutor(len(descriptors)) as pool:
        tasks: list[Future[None]] = [
            pool.submit(_read, item, plain, piece, reading) for item, plain in descriptors.items()
        ]
        try:
            yield reading
        finally:
            reading.stop.set()
            for task in tasks:
                task.result(PATIENCE)
            for item in descriptors:
                # The flush at the close of a dead mount's file fails; what counts was read before.
                with suppress(OSError):
                    os.close(item)


def _read(descriptor: int, plain: bytes, piece: int, reading: Reading) -> None:
    chance = Random(descriptor)
    while not reading.stop.is_set():
        offset = chance.randrange(len(plain))
        wanted = plain[offset : offset + piece]
        try:
            got = os.pread(descriptor, piece, offset)
            if 0 < len(got) < len(wanted) and wanted.startswith(got):
                # Where an error strikes in the middle, read(2) tells of it by the next call.
                got += os.pread(descriptor, piece - len(got), offset + len(got))
        except OSError as failure:
            reading.errors.append(failure.errno)
            return
        if got == wanted:
            reading.right += 1
        else:
            reading.wrong.append(f"{len(got)} bytes at {offset} of {len(plain)}")
