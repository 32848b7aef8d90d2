"""Accounts with very many media: names and attributes, known or never seen."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.customer import RECORDINGS, Customer
from tests.benchmarks.dataplane import HTTP, S3_LIKE
from tests.benchmarks.figures import Figures, Row, at_least, at_most, ratio, value_of
from tests.benchmarks.mounts import mounted, rclone_command
from tests.benchmarks.processes import Failed
from tests.benchmarks.readers import run_timed

_API_RATE = 40
"""twfs' default: what a request per file would hold `ls -l` to."""


class KnownCatalogue:
    """A customer of very many media, all of which an earlier mount has seen."""

    def __init__(self, bench: Bench, stack: ExitStack, count: int) -> None:
        self.count = count
        self.customer = stack.enter_context(bench.customers.with_crowd(S3_LIKE, count, bench.small, known=True))

    def mount_and_list(self) -> Figures:
        """Seconds from the mount command to the last name of `ls`, and the memory that took."""
        began = time.perf_counter()
        with self.customer.mounted() as mount:
            run_timed("ls", "-f", str(mount.path / RECORDINGS))
            seconds = time.perf_counter() - began
            found = len(list((mount.path / RECORDINGS).iterdir()))
            if found != self.count:
                raise Failed(f"{found} names instead of {self.count}")
            return {"s": seconds, "peak MiB": mount.peak_mib}


class ListKnown(Contest):
    """`ls -lR` of known media."""

    name = "ls-known"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"ls -lR of {scale.catalogue:,} known media"
        first = ratio("rclone first s", "twfs first s")
        again = ratio("rclone again s", "twfs again s")
        return (
            Row(work, "rclone mount, fresh, of as many files: times as fast", first, target=at_least(1.0)),
            Row(work, "the same again, rclone now knowing its files too", again, target=at_least(1.0)),
            Row(work, "requests", value_of("twfs requests"), "", at_most(0)),
            Row(work, "itself", value_of("twfs first s"), "s"),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._bench = bench
        self._customer = KnownCatalogue(bench, stack, bench.scale.catalogue).customer
        folder = bench.plane.plain / "catalogue"
        folder.mkdir()
        for number in range(bench.scale.catalogue):
            (folder / f"{number:05}.mkv").write_bytes(bytes(1000))

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._twfs, "rclone": self._rclone}

    def _twfs(self) -> Figures:
        with self._customer.mounted() as mount:
            before = _asked(self._customer)
            figures = _list_twice(mount.path / RECORDINGS)
            return figures | {"requests": _asked(self._customer) - before}

    def _rclone(self) -> Figures:
        site = self._bench.plane.plain_url(HTTP, "catalogue/")
        with mounted("rclone", rclone_command(site), self._bench.scratch) as mount:
            return _list_twice(mount.path)


def _list_twice(folder: Path) -> Figures:
    return {"first s": run_timed("ls", "-lR", str(folder)), "again s": run_timed("ls", "-lR", str(folder))}


def _asked(customer: Customer) -> int:
    """Requests about single media, to the API and the bucket; looking for new ones is no part of listing."""
    counts = customer.counts()
    return counts["api"] - counts["api.list"] + counts["s3"]


class ListUnseen(Contest):
    """`ls` and `ls -l` of media that no mount has ever looked at, whose sizes the API happens to tell right."""

    name = "ls-unseen"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"never seen media ({scale.catalogue:,})"
        times_rate = value_of("twfs times api_rate")
        return (
            Row(f"ls of {work}: names", "at once", value_of("twfs names s"), "s", at_most(1.0)),
            Row(f"ls -l of {work}: files per second", "api_rate: no request per file", times_rate, target=at_least(10)),
            Row(f"ls -l of {work}", "itself", value_of("twfs files/s"), "files/s"),
            Row(f"ls -l of {work}", "itself", value_of("twfs requests/s"), "requests/s"),
            Row(f"mount of {work}", "itself", value_of("twfs mount s"), "s"),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._seconds = bench.scale.unseen_seconds
        crowd = bench.customers.with_crowd(S3_LIKE, bench.scale.catalogue, bench.small, known=False)
        self._customer = stack.enter_context(crowd)

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._twfs}

    def _twfs(self) -> Figures:
        began = time.perf_counter()
        with self._customer.mounted_unknowing() as mount:
            mounted_after = time.perf_counter() - began
            names = run_timed("ls", "-f", str(mount.path / RECORDINGS))
            before = _asked(self._customer)
            files, seconds = self._stat_for_a_while(mount.path / RECORDINGS)
            asked = _asked(self._customer) - before
        return {
            "mount s": mounted_after,
            "names s": names,
            "files/s": files / seconds,
            "times api_rate": files / seconds / _API_RATE,
            "requests/s": asked / seconds,
        }

    def _stat_for_a_while(self, folder: Path) -> tuple[int, float]:
        """What `ls -l` does, until it has done all or the time is up: files, and seconds."""
        began = time.perf_counter()
        files = 0
        for path in sorted(folder.iterdir()):
            path.stat()
            files += 1
            if time.perf_counter() - began > self._seconds:
                break
        return files, time.perf_counter() - began


class MountLarge(Contest):
    """A mount of a very large account that is known."""

    name = "mount-large"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"mount with {scale.large_catalogue:,} known media until ls answers"
        return (
            Row(work, "the clock", value_of("twfs s"), "s", at_most(3.0)),
            Row(f"{work}: peak memory", "itself", value_of("twfs peak MiB"), "MiB", at_most(300)),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._catalogue = KnownCatalogue(bench, stack, bench.scale.large_catalogue)

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._catalogue.mount_and_list}
