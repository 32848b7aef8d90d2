"""Files read whole: how fast, at what cost of processor and network."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.customer import Customer, recording
from tests.benchmarks.dataplane import HTTP, HTTPS, S3_LIKE, Shape
from tests.benchmarks.figures import GIB, MIB, Figures, Row, at_least, at_most, difference, ratio, value_of
from tests.benchmarks.mounts import Mount, httpdirfs_command, mounted, null_command, rclone_command
from tests.benchmarks.null_fs import FILE
from tests.benchmarks.objects import digest
from tests.benchmarks.processes import Failed
from tests.benchmarks.readers import (
    children_cpu_seconds,
    curl_and_openssl,
    parallel_curl,
    read_together,
    read_whole,
    speed_for_a_while,
)

_CONNECTIONS = 16
_FORMER = "former twfs"
_PARALLEL = f"curl -Z {_CONNECTIONS}"
_FARTHER = "readahead=128M"
"""Twice the default: with 64 MiB the 16 ranges under way are of 4 MiB, and wait a third of their time."""


def _speed(size: int, seconds: float) -> float:
    return size / seconds / 1e6


def _comparisons(work: str, *peers: str) -> tuple[Row, ...]:
    """What is told, without being asked for."""
    return (
        *(Row(work, f"{peer}, for comparison", ratio("twfs MB/s", f"{peer} MB/s")) for peer in peers),
        Row(work, "speed of twfs itself", value_of("twfs MB/s"), "MB/s"),
    )


def _costs(shape: str) -> tuple[Row, ...]:
    """What the processor has to do."""
    work = f"CPU seconds per GiB read, {shape}"
    to_former = ratio("twfs CPU s/GiB", f"{_FORMER} CPU s/GiB")
    return (
        Row(work, "rclone mount", ratio("twfs CPU s/GiB", "rclone CPU s/GiB"), target=at_most(1.0)),
        Row(work, f"{_FORMER}, for comparison", to_former),
        Row(work, "itself", value_of("twfs CPU s/GiB"), "s"),
    )


def _sized(size: int) -> str:
    return f"{size // GIB} GiB" if size >= GIB else f"{size // MIB} MiB"


class Sequential(Contest):
    """One large file, by every way there is to read it."""

    shape: Shape = HTTPS

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self.bench = bench
        self.size = bench.scale.object
        self.sealed = bench.object
        self.customer = stack.enter_context(bench.customers.with_media(self.shape, [("mkv", self.sealed)]))
        self.url = bench.plane.bucket_url(self.shape, "peers", self.sealed)
        _check_content(self.customer, bench.plane.plain / "object")

    def contestants(self) -> Mapping[str, Contestant]:
        return {
            "twfs": self.twfs,
            _FORMER: self.former,
            "curl | openssl": self.curl_and_openssl,
            "rclone": self.rclone,
            "rclone full": self.rclone_full,
            _PARALLEL: self.parallel_curl,
            "httpdirfs": self.httpdirfs,
            "null daemon": self.null_daemon,
        }

    def twfs(self, *options: str) -> Figures:
        self.bench.cool_down()
        mark = self.bench.plane.mark()
        with self.customer.mounted(*options) as mount:
            figures = self._read(mount, recording(mount, 0))
        cost = self.bench.plane.cost_since(mark)
        return figures | {"fetched": cost.bytes_sent / self.sealed.stored_size, "requests": cost.requests}

    def former(self) -> Figures:
        """Another twfs at the same work."""
        if self.bench.former is None:
            raise Failed("not asked for; name it with --former")
        self.bench.cool_down()
        with self.customer.mounted_by(self.bench.former) as mount:
            path = recording(mount, 0)
            # It has not probed the medium before, as the other has.
            path.stat()
            return self._read(mount, path)

    def rclone(self, cache: Path | None = None) -> Figures:
        self.bench.cool_down()
        command = rclone_command(self.bench.plane.plain_url(self.shape), cache)
        with mounted("rclone", command, self.bench.scratch) as mount:
            return self._read(mount, mount.path / "object")

    def rclone_full(self) -> Figures:
        with TemporaryDirectory(dir=self.bench.scratch) as cache:
            return self.rclone(Path(cache))

    def httpdirfs(self) -> Figures:
        """A hundred times slower than everybody else: some seconds of it tell enough."""
        command = httpdirfs_command(self.bench.plane.plain_url(self.shape))
        with mounted("httpdirfs", command, self.bench.scratch) as mount:
            return {"MB/s": speed_for_a_while(mount.path / "object", 3.0) / 1e6}

    def null_daemon(self) -> Figures:
        with mounted("null daemon", null_command(self.size), self.bench.scratch) as mount:
            return self._read(mount, mount.path / FILE)

    def curl_and_openssl(self) -> Figures:
        before = children_cpu_seconds()
        seconds = curl_and_openssl(self.url, self.sealed)
        return self._figures(seconds, children_cpu_seconds() - before)

    def parallel_curl(self) -> Figures:
        return {"MB/s": _speed(self.size, parallel_curl([self.url], self.sealed.stored_size, _CONNECTIONS))}

    def _read(self, mount: Mount, path: Path) -> Figures:
        before = mount.cpu_seconds
        seconds = read_whole(path)
        return self._figures(seconds, mount.cpu_seconds - before) | {"peak MiB": mount.peak_mib}

    def _figures(self, seconds: float, cpu_seconds: float) -> Figures:
        return {"MB/s": _speed(self.size, seconds), "CPU s/GiB": cpu_seconds * GIB / self.size}


def _check_content(customer: Customer, plain: Path) -> None:
    """Speed is worth nothing if the bytes are wrong.

    Raises:
        Failed: they are.
    """
    with customer.mounted() as mount:
        if digest(recording(mount, 0)) != digest(plain):
            raise Failed("what twfs reads is not what was encrypted")


class SequentialHttps(Sequential):
    """At loopback speed over https: the processor is the limit."""

    name = "sequential"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"sequential {_sized(scale.object)}, https"
        to_curl = ratio("twfs MB/s", "curl | openssl MB/s")
        to_rclone = ratio("twfs MB/s", "rclone MB/s")
        return (
            Row(work, "curl | openssl", to_curl, target=at_least(1.05, goal=1.25)),
            Row(work, "rclone mount of plaintext", to_rclone, target=at_least(1.2, goal=1.5)),
            *_comparisons(work, _PARALLEL, "null daemon"),
            Row("whole sequential read", "bytes of the file", value_of("twfs fetched"), target=at_most(1.02)),
            *_costs("https"),
        )

    def contestants(self) -> Mapping[str, Contestant]:
        slow = ("httpdirfs", "rclone full")
        return {name: measure for name, measure in super().contestants().items() if name not in slow}


class SequentialHttp(Sequential):
    """At loopback speed over http."""

    name = "sequential-http"
    shape = HTTP

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"sequential {_sized(scale.object)}, http"
        to_curl = ratio("twfs MB/s", "curl | openssl MB/s")
        to_rclone = ratio("twfs MB/s", "rclone MB/s")
        return (
            Row(work, "curl | openssl", to_curl, target=at_least(0.75, goal=1.0)),
            Row(work, "rclone mount of plaintext", to_rclone, target=at_least(2.0)),
            *_comparisons(work, "rclone full", "httpdirfs", _PARALLEL, "null daemon"),
            *_costs("http"),
        )


class SequentialS3(Sequential):
    """Far away: round trips and the speed of one connection are the limit."""

    name = "sequential-s3"
    shape = S3_LIKE

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"sequential {_sized(scale.object)}, S3-like"
        to_curl = ratio("twfs MB/s", "curl | openssl MB/s")
        to_parallel = ratio("twfs MB/s", f"{_PARALLEL} MB/s")
        farther = ratio(f"twfs {_FARTHER} MB/s", f"{_PARALLEL} MB/s")
        fetched = value_of("twfs fetched")
        return (
            Row(work, "curl | openssl (one connection)", to_curl, target=at_least(6.0, goal=9.0)),
            Row(work, f"{_CONNECTIONS} parallel curls", to_parallel, target=at_least(1.0)),
            Row(f"{work}, {_FARTHER}", f"{_CONNECTIONS} parallel curls, for comparison", farther),
            *_comparisons(work, "rclone", _FORMER),
            Row("whole sequential read, S3-like", "bytes of the file", fetched, target=at_most(1.02)),
            Row("whole sequential read, S3-like", "itself", value_of("twfs requests"), "requests"),
        )

    def contestants(self) -> Mapping[str, Contestant]:
        """Without those that are slow at loopback speed already: they would take a minute each round."""
        slow = ("httpdirfs", "rclone full", "null daemon")
        others = {name: measure for name, measure in super().contestants().items() if name not in slow}
        return others | {f"twfs {_FARTHER}": partial(self.twfs, _FARTHER)}


class FourFiles(Contest):
    """Four files at once: the network must be used, and shared."""

    name = "four-files"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"four files of {_sized(scale.quarter)} read at once, S3-like"
        to_parallel = ratio("twfs MB/s", f"{_PARALLEL} MB/s")
        return (
            Row(work, f"{_CONNECTIONS} parallel curls", to_parallel, target=at_least(0.9)),
            Row("the slowest of the four", "its fair share", value_of("twfs least share"), target=at_least(0.5)),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._bench = bench
        self._sealed = bench.quarter
        media = [("mkv", self._sealed)] * 4
        self._customer = stack.enter_context(bench.customers.with_media(S3_LIKE, media))

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._twfs, _PARALLEL: self._parallel_curl}

    def _twfs(self) -> Figures:
        self._bench.cool_down()
        with self._customer.mounted() as mount:
            together = read_together([recording(mount, number) for number in range(4)])
        return {
            "MB/s": _speed(4 * self._sealed.plain_size, together.seconds),
            "least share": together.least_share,
        }

    def _parallel_curl(self) -> Figures:
        urls = [self._bench.plane.bucket_url(S3_LIKE, f"peer{number}", self._sealed) for number in range(4)]
        seconds = parallel_curl(urls, self._sealed.stored_size, _CONNECTIONS)
        return {"MB/s": _speed(4 * self._sealed.plain_size, seconds)}


class Reread(Contest):
    """A file that the kernel holds already."""

    name = "re-read"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        to_disk = ratio("twfs MB/s", "local disk MB/s")
        to_null = ratio("twfs MB/s", "null daemon MB/s")
        return (
            Row("re-read (page cache)", "a local file in the page cache", to_disk, target=at_least(0.9)),
            Row("re-read (page cache)", "null daemon (the kernel's FUSE), for comparison", to_null),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._size = bench.scale.object
        customer = stack.enter_context(bench.customers.with_media(HTTPS, [("mkv", bench.object)]))
        mount = stack.enter_context(customer.mounted())
        self._mounted = recording(mount, 0)
        self._local = bench.scratch / "local"
        stack.callback(self._local.unlink, missing_ok=True)
        self._local.write_bytes((bench.plane.plain / "object").read_bytes())
        null = stack.enter_context(mounted("null daemon", null_command(self._size), bench.scratch))
        self._zeros = null.path / FILE
        for path in (self._mounted, self._local, self._zeros):
            read_whole(path)

    def contestants(self) -> Mapping[str, Contestant]:
        paths = {"twfs": self._mounted, "local disk": self._local, "null daemon": self._zeros}
        return {name: self._measure(path) for name, path in paths.items()}

    def _measure(self, path: Path) -> Callable[[], Figures]:
        return lambda: {"MB/s": _speed(self._size, read_whole(path))}


class Memory(Contest):
    """Very many files open and read at once."""

    name = "memory"
    files = 64
    size = 16 * MIB
    cache_mib = 256

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"{Memory.files} files open and read at once"
        above = difference("twfs peak MiB", Memory.cache_mib)
        to_rclone = ratio("twfs peak MiB", "rclone peak MiB")
        return (
            Row(f"peak memory, {work}", f"cache_size ({Memory.cache_mib} MiB)", above, "MiB more", at_most(100)),
            Row(f"peak memory, {work}", "rclone, for comparison", to_rclone),
            Row(work, "rclone, for comparison", ratio("twfs MB/s", "rclone MB/s")),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._bench = bench
        sealed = bench.hole(self.size)
        media = [("mkv", sealed)] * self.files
        self._customer = stack.enter_context(bench.customers.with_media(HTTPS, media))
        self._plain = bench.plane.plain / "many"
        self._plain.mkdir()
        for number in range(self.files):
            with (self._plain / f"{number}").open("wb") as file:
                file.truncate(self.size)

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._twfs, "rclone": self._rclone}

    def _twfs(self) -> Figures:
        with self._customer.mounted() as mount:
            return self._figures(mount, [recording(mount, number) for number in range(self.files)])

    def _rclone(self) -> Figures:
        site = self._bench.plane.plain_url(HTTPS, "many/")
        with mounted("rclone", rclone_command(site), self._bench.scratch) as mount:
            return self._figures(mount, [mount.path / f"{number}" for number in range(self.files)])

    def _figures(self, mount: Mount, paths: list[Path]) -> Figures:
        together = read_together(paths)
        return {"peak MiB": mount.peak_mib, "MB/s": _speed(self.files * self.size, together.seconds)}
