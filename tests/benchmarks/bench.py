"""What all contests share: data plane, keys, objects made when first asked for, how large everything is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.benchmarks.customer import Customers
from tests.benchmarks.dataplane import DataPlane, data_plane
from tests.benchmarks.figures import GIB, MIB, Figures, Row
from tests.benchmarks.objects import SealedFile, make_video, seal_file, seal_hole, write_noise
from tests.benchmarks.processes import drop_caches


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is."""

    object: int = GIB
    video: int = 300 * 10**6
    quarter: int = 256 * MIB
    """Of the four files that are read at once."""
    random_reads: int = 500
    play_seconds: float = 20.0
    jumps: int = 20
    catalogue: int = 10_000
    large_catalogue: int = 100_000
    unseen_seconds: float = 15.0
    sizes: tuple[int, ...] = (64 * MIB, 256 * MIB, GIB, 4 * GIB, 16 * GIB)
    readers: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    media: tuple[int, ...] = (1_000, 10_000, 100_000)


QUICK = Scale(
    object=128 * MIB,
    quarter=64 * MIB,
    random_reads=100,
    play_seconds=6.0,
    jumps=10,
    catalogue=1_000,
    large_catalogue=10_000,
    unseen_seconds=5.0,
    sizes=(64 * MIB, 256 * MIB, GIB),
    readers=(1, 4, 16),
    media=(1_000, 10_000),
)

Contestant = Callable[[], Figures]
"""One measurement from a cold start."""


class Contest(ABC):
    """Several contestants at the same work, interleaved, and the table's rows that come of it."""

    name: ClassVar[str]

    @staticmethod
    @abstractmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        """Lines of the table; known before anything is measured, so that none can be missing from it."""

    @abstractmethod
    def __init__(self, bench: "Bench", stack: ExitStack) -> None:
        """Prepare; what is to be taken away after the last round goes onto `stack`."""

    @abstractmethod
    def contestants(self) -> Mapping[str, Contestant]:
        """By name, which begins the names of their figures."""


class Bench:
    """Everything there is to measure with."""

    def __init__(self, folder: Path, scratch: Path, plane: DataPlane, scale: Scale, former: str | None) -> None:
        """`folder` holds what nginx serves, in memory if it can be; `scratch` is on a disk.

        `former` is the interpreter of an environment with another twfs, to compare with.
        """
        self.former = former
        self.scratch = scratch
        self.plane = plane
        self.scale = scale
        self._key = generate_private_key(65537, 2048)
        self.customers = Customers(plane, scratch, self._key)
        self._served_from_memory = folder.is_relative_to("/dev/shm")

    def cool_down(self) -> None:
        """Have the kernel forget files; not those that nginx serves, which would then come from a disk."""
        if self._served_from_memory:
            drop_caches()

    @cached_property
    def object(self) -> SealedFile:
        """The large one; its plaintext is `plain/object`."""
        return self._sealed("object", write_noise(self.plane.plain / "object", self.scale.object))

    @cached_property
    def quarter(self) -> SealedFile:
        """One of four."""
        return self._sealed("quarter", write_noise(self.plane.plain / "quarter", self.scale.quarter))

    @cached_property
    def small(self) -> SealedFile:
        """One of very many."""
        return self._sealed("small", write_noise(self.plane.plain / "small", 4_000))

    @cached_property
    def mkv(self) -> SealedFile:
        """A video with its index at the end."""
        return self._sealed("video.mkv", make_video(self.plane.plain / "video.mkv", self.scale.video))

    @cached_property
    def mp4(self) -> SealedFile:
        """The same as MP4, moov at the end."""
        return self._sealed("video.mp4", make_video(self.plane.plain / "video.mp4", self.scale.video))

    def hole(self, size: int) -> SealedFile:
        """An object of that size that takes no space."""
        sealed = seal_hole(size, self.plane.sealed / f"hole{size}", self._key.public_key())
        self.plane.publish(sealed)
        return sealed

    def _sealed(self, name: str, plain: Path) -> SealedFile:
        sealed = seal_file(plain, self.plane.sealed / name, self._key.public_key())
        self.plane.publish(sealed)
        return sealed


@contextmanager
def open_bench(folder: Path, scratch: Path, scale: Scale, former: str | None) -> Iterator[Bench]:
    """A bench, its nginx running while the block runs."""
    with data_plane(folder) as plane:
        yield Bench(folder, scratch, plane, scale, former)
