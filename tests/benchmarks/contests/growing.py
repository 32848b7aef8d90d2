"""The same work ever larger: cost per byte, per reader and per medium must stay flat, or fall."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.contests.listing import KnownCatalogue
from tests.benchmarks.customer import recording
from tests.benchmarks.dataplane import HTTPS
from tests.benchmarks.figures import GIB, MIB, Figures, Row, at_most, growth, value_of
from tests.benchmarks.readers import read_together, read_whole

_FLAT = at_most(1.1)
"""Against the best of the smaller ones: a tenth is what a machine at rest wavers by."""


def _rows(work: str, unit: str, names: list[str], figure: str) -> tuple[Row, ...]:
    figures = [f"{name} {figure}" for name in names]
    return (
        Row(f"growth: {names[0]} to {names[-1]}", f"{work}, the best smaller one", growth(figures), target=_FLAT),
        *(
            Row(f"growth: {name}", work, value_of(name_and_figure), unit)
            for name, name_and_figure in zip(names, figures, strict=True)
        ),
    )


class FileSizes(Contest):
    """Ever larger files, encrypted, of no content."""

    name = "growth-size"
    figure = "ms/MiB"

    @staticmethod
    def names(scale: Scale) -> list[str]:
        """Of the contestants."""
        return [f"{size // MIB} MiB" for size in scale.sizes]

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        return _rows("time per byte", FileSizes.figure, FileSizes.names(scale), FileSizes.figure)

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._scale = bench.scale
        sealed = [bench.hole(size) for size in bench.scale.sizes]
        self._customer = stack.enter_context(bench.customers.with_media(HTTPS, [("mkv", one) for one in sealed]))

    def contestants(self) -> Mapping[str, Contestant]:
        numbered = enumerate(zip(self.names(self._scale), self._scale.sizes, strict=True))
        return {name: partial(self._read, number, size) for number, (name, size) in numbered}

    def _read(self, number: int, size: int) -> Figures:
        with self._customer.mounted() as mount:
            return {self.figure: read_whole(recording(mount, number)) * 1000 * MIB / size}


class Readers(Contest):
    """Ever more readers at once, each of a file of its own."""

    name = "growth-readers"
    figure = "ms/MiB"
    size = GIB // 8

    @staticmethod
    def names(scale: Scale) -> list[str]:
        """Of the contestants."""
        return [f"{count} readers" for count in scale.readers]

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        return _rows("time per byte, all together", Readers.figure, Readers.names(scale), Readers.figure)

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._scale = bench.scale
        media = [("mkv", bench.hole(self.size))] * max(bench.scale.readers)
        self._customer = stack.enter_context(bench.customers.with_media(HTTPS, media))

    def contestants(self) -> Mapping[str, Contestant]:
        named = zip(self.names(self._scale), self._scale.readers, strict=True)
        return {name: partial(self._read, count) for name, count in named}

    def _read(self, count: int) -> Figures:
        with self._customer.mounted() as mount:
            together = read_together([recording(mount, number) for number in range(count)])
        return {self.figure: together.seconds * 1000 * MIB / (count * self.size)}


class Catalogues(Contest):
    """Ever larger accounts: from the mount command to the answer of `ls`."""

    name = "growth-media"
    figure = "ms/medium"

    @staticmethod
    def names(scale: Scale) -> list[str]:
        """Of the contestants."""
        return [f"{count} media" for count in scale.media]

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        return _rows("time per medium until ls answers", Catalogues.figure, Catalogues.names(scale), Catalogues.figure)

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._named = {
            name: KnownCatalogue(bench, stack, count)
            for name, count in zip(self.names(bench.scale), bench.scale.media, strict=True)
        }

    def contestants(self) -> Mapping[str, Contestant]:
        return {name: partial(self._mount, catalogue) for name, catalogue in self._named.items()}

    def _mount(self, catalogue: KnownCatalogue) -> Figures:
        return {self.figure: catalogue.mount_and_list()["s"] * 1000 / catalogue.count}
