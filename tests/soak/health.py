"""What the kernel says of the daemon: descriptors, threads, memory; and whether any of them grows without bound."""

import threading
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
PEAKS = ("descriptors", "threads", "resident")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process."""

    descriptors: int
    threads: int
    resident: int
    """Bytes (VmRSS)."""


def look_at(pid: int) -> Sample:
    """How it is now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Sample(descriptors, int(fields["Threads"][0]), int(fields["VmRSS"][0]) * 1024)


class Observer:
    """Looks every `period` seconds while its block runs."""

    def __init__(self, pid: int, period: float) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._period = period
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="observer")

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._period):
            self.samples.append(look_at(self._pid))


def growth(samples: list[Sample]) -> list[str]:
    """What grows in the second half of the time: the peak of its end against that of its beginning."""
    third, last = samples[len(samples) // 2 : -len(samples) // 4], samples[-len(samples) // 4 :]
    found = []
    for name, slack in zip(PEAKS, (20, 8, 16 * MIB), strict=True):
        before, after = (max(getattr(sample, name) for sample in part) for part in (third, last))
        if after > 1.1 * before + slack:
            found.append(f"{name} grow: {before} at most in the third quarter of the time, {after} in the last")
    return found
