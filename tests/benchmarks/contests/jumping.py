"""Media read here and there: round trips until the first byte, and bytes that nobody asked for."""

import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.customer import RECORDINGS, recording
from tests.benchmarks.dataplane import S3_LIKE, round_trip
from tests.benchmarks.figures import MIB, Figures, Row, at_most, ratio, value_of
from tests.benchmarks.mounts import Mount
from tests.benchmarks.objects import SealedFile
from tests.benchmarks.readers import opened, play, run_timed, timed_read

_READ = 64 * 1024


class _FarAway:
    """Recordings in the S3-like shape, and the round trip to them as the peer."""

    def __init__(self, bench: Bench, stack: ExitStack, media: list[tuple[str, SealedFile]]) -> None:
        self.bench = bench
        self.scale = bench.scale
        self.sealed = media[0][1]
        self.customer = stack.enter_context(bench.customers.with_media(S3_LIKE, media))

    def round_trip(self) -> Figures:
        return {"s": round_trip(self.bench.plane.bucket_url(S3_LIKE, "peer", self.sealed))}

    def costs(self, work: Callable[[Mount], float]) -> Figures:
        """What the bucket sent while `work` was done on a fresh mount, against the bytes that it says it used."""
        self.bench.cool_down()
        mark = self.bench.plane.mark()
        with self.customer.mounted() as mount:
            used = work(mount)
        cost = self.bench.plane.cost_since(mark)
        return {
            "fetched MiB": cost.bytes_sent / MIB,
            "fetched per used": cost.bytes_sent / used,
            "requests": cost.requests,
        }


class FirstByte(Contest):
    """How long a first byte takes."""

    name = "first-byte"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        trip, work = "one round trip", "first byte"
        known, new, unseen = (ratio(f"{name} s", "round trip s") for name in ("known", "untouched", "unseen"))
        return (
            Row(f"{work} at a random offset, known medium", trip, known, target=at_most(1.15)),
            Row(f"{work}, medium never touched since mount", trip, new, target=at_most(2.3)),
            Row(f"{work}, medium never looked at by any mount", trip, unseen, target=at_most(3.3)),
            Row("the round trip itself", "as set up: 30 ms", value_of("round trip ms"), "ms"),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._far = _FarAway(bench, stack, [("mkv", bench.object)] * bench.scale.jumps)
        crowd = bench.customers.with_crowd(S3_LIKE, 2_000, bench.small, known=False)
        self._unseen_customer = stack.enter_context(crowd)
        self._chance = random.Random(1)

    def contestants(self) -> Mapping[str, Contestant]:
        return {
            "round trip": self._round_trip,
            "known": self._known,
            "untouched": self._untouched,
            "unseen": self._unseen,
        }

    def _round_trip(self) -> Figures:
        figures = self._far.round_trip()
        return figures | {"ms": figures["s"] * 1000}

    def _known(self) -> Figures:
        with self._far.customer.mounted() as mount, opened(recording(mount, 0)) as descriptor:
            timed_read(descriptor, 1, 0)
            times = [timed_read(descriptor, 1, offset) for offset in self._offsets(descriptor)]
        return {"s": median(times)}

    def _offsets(self, descriptor: int) -> list[int]:
        size = os.fstat(descriptor).st_size
        return [self._chance.randrange(2 * MIB, size) for _ in range(self._far.scale.jumps)]

    def _untouched(self) -> Figures:
        with self._far.customer.mounted() as mount:
            numbers = range(self._far.scale.jumps)
            return {"s": median([self._first_touch(recording(mount, number)) for number in numbers])}

    def _unseen(self) -> Figures:
        """Media far from each other, and long before probing in the background gets there."""
        with self._unseen_customer.mounted_unknowing() as mount:
            names = sorted((mount.path / RECORDINGS).iterdir())
            apart = names[:: len(names) // (self._far.scale.jumps + 2)][1 : self._far.scale.jumps + 1]
            return {"s": median([self._first_touch(path) for path in apart])}

    def _first_touch(self, path: Path) -> float:
        began = time.perf_counter()
        with opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            timed_read(descriptor, 1, self._chance.randrange(size))
        return time.perf_counter() - began


class RandomReads(Contest):
    """Many small reads, anywhere."""

    name = "random"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"{scale.random_reads} random 64 KiB reads"
        latency = ratio("twfs median s", "round trip s")
        return (
            Row(work, "bytes used", value_of("twfs fetched per used"), "x fetched", at_most(4.0)),
            Row(f"{work}: median latency", "one round trip", latency, target=at_most(1.4)),
        )

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._far = _FarAway(bench, stack, [("mkv", bench.object)])
        self._chance = random.Random(2)

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._twfs, "round trip": self._far.round_trip}

    def _twfs(self) -> Figures:
        times: list[float] = []

        def work(mount: Mount) -> float:
            with opened(recording(mount, 0)) as descriptor:
                last = os.fstat(descriptor).st_size - _READ
                offsets = [self._chance.randrange(last) for _ in range(self._far.scale.random_reads)]
                times.extend(timed_read(descriptor, _READ, offset) for offset in offsets)
            return _READ * len(times)

        figures = self._far.costs(work)
        return figures | {"median s": median(times)}


class Ffprobe(Contest):
    """What a media scan costs."""

    name = "ffprobe"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        rows = []
        for container, most in (("mkv", 4), ("mp4", 6)):
            work = f"ffprobe of the {scale.video // 10**6} MB {container}"
            rows += [
                Row(work, "fetched", value_of(f"{container} fetched MiB"), "MiB", at_most(4)),
                Row(work, "S3 requests", value_of(f"{container} requests"), "", at_most(most)),
            ]
        return tuple(rows)

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._far = _FarAway(bench, stack, [("mkv", bench.mkv), ("mp4", bench.mp4)])

    def contestants(self) -> Mapping[str, Contestant]:
        return {"mkv": partial(self._probe, 0, "mkv"), "mp4": partial(self._probe, 1, "mp4")}

    def _probe(self, number: int, container: str) -> Figures:
        def work(mount: Mount) -> float:
            run_timed("ffprobe", "-v", "error", "-show_format", "-show_streams", _path(mount, number, container))
            return MIB

        return self._far.costs(work)


def _path(mount: Mount, number: int, container: str) -> str:
    return str(recording(mount, number, container))


class Player(Contest):
    """Somebody watches: head, tail, a jump, some play, a jump back."""

    name = "player"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"a player's trace ({scale.play_seconds:.0f} s of play)"
        return (
            Row(work, "bytes used", value_of("twfs fetched per used"), "x fetched", at_most(1.3)),
            Row(f"{work}: stall after the first second", "none", value_of("twfs stall s"), "s", at_most(0)),
        )

    _video_seconds_per_byte = 8 / 11_000_000
    """Of the videos that `make_video` makes."""

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._far = _FarAway(bench, stack, [("mkv", bench.mkv)])

    def contestants(self) -> Mapping[str, Contestant]:
        return {"twfs": self._twfs}

    def _twfs(self) -> Figures:
        stalls: list[float] = []

        def work(mount: Mount) -> float:
            played = play(recording(mount, 0), 1 / self._video_seconds_per_byte, self._far.scale.play_seconds)
            stalls.append(played.stall)
            return played.used

        figures = self._far.costs(work)
        return figures | {"stall s": max(stalls)}
