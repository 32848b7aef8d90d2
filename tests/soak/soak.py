"""The soak: a mount, readers, a storm, and what is true of all of it at the end."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.mount.harness import Customer, Mounted, customer, mounted, new_key
from tests.soak.health import MIB, PEAKS, Observer, Sample, growth
from tests.soak.library import Library
from tests.soak.reader import HABITS, Seen
from tests.soak.weather import begin_storm
from twfs.metrics import BOUNDS
from twfs.resources import Kind
from twfs.simulator.faults import Fault

REPOSITORY = Path(__file__).parent.parent.parent
URL_SECONDS = 5
CACHE_MIB = 32
CONNECTIONS = 32
PATIENCE = 60.0
"""Seconds for what must come, and has no time of its own."""
_IN_TURN = ("read", "pread of pages")
"""System calls that wait for some of their pages first, perhaps for another process' request, and ask for others only
then: two of the kernel's requests one after the other, each of which may come late. To the file system the second is
like any other."""
_DURATION = "twfs_operation_duration_seconds"
_MOST_DESCRIPTORS = 40 + 2 * (CONNECTIONS + 16) + 32
"""Those of an idle process, two pools of connections kept, and as many under way beside them."""
_MOST_RESIDENT = 320 * MIB
"""An idle mount has about 60 MiB, its cache 32, bodies of errors and pages of lists the rest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and how much of everything."""

    seconds: float = 600.0
    timeout: float = 4.0
    """A second less than one of `BOUNDS`: then the mount's own figures can tell an operation that took longer."""
    readers: int = 32
    media: int = 200
    seed: int = 0


@dataclass
class Outcome:
    """What came of it."""

    seen: Seen = field(default_factory=Seen)
    problems: list[str] = field(default_factory=list)
    """Every promise that was broken; none if all is well."""
    requests: int = 0
    operations: int = 0
    """What the kernel asked of the mount."""
    faults: int = 0
    bytes_sent: int = 0
    log_lines: int = 0
    samples: list[Sample] = field(default_factory=list)

    def report(self) -> str:
        """For people."""
        seen = self.seen
        descriptors, threads, resident = (max(getattr(sample, name) for sample in self.samples) for name in PEAKS)
        slowest = ", ".join(f"{call} {seconds:.1f} s" for call, seconds in sorted(seen.slowest.items()))
        errors = ", ".join(f"{name} {count}" for name, count in sorted(seen.errors.items()))
        lines = [
            f"reads {seen.reads}, bytes {seen.bytes}, wrong {len(seen.wrong)}",
            f"errors returned {sum(seen.errors.values())} ({errors})",
            f"faults injected {self.faults} into {self.requests} requests, bytes sent {self.bytes_sent}",
            f"slowest: {slowest}; {self.operations} operations of the file system",
            f"daemon: at most {descriptors} descriptors, {threads} threads, {resident // MIB} MiB",
            f"log of {self.log_lines} lines",
        ]
        return "\n".join([*lines, *(f"BROKEN: {problem}" for problem in self.problems), ""])


def soak(plan: Plan, folder: Path) -> Outcome:
    """Let it happen in `folder`."""
    outcome = Outcome()
    key = new_key()
    plain = folder / "plain"
    plain.mkdir()
    library = Library(plain, plan.media, key.public_key(), plan.seed)
    options = {
        "timeout": f"{plan.timeout:g}",
        "refresh": "2",
        "connections": str(CONNECTIONS),
        "cache_size": f"{CACHE_MIB}M",
        "attr_timeout": "1",
        "api_rate": "80",
    }
    with customer(folder, library.account, key, url_ttl=URL_SECONDS) as place, mounted(place, **options) as mount:
        manifest = library.write_manifest(mount.path)
        # The kernel looks up one name of a folder at a time (libfuse tells it to, before 3.17): while media are looked
        # at for the first time one reader waits for the other, each as long as `timeout`.
        _expect(mount, outcome, "after the first look", lambda catalog: catalog["probes_pending"] == 0)
        begin_storm(place.simulator)
        with Observer(mount.process.pid, max(0.1, plan.seconds / 500)) as observer:
            _read(plan, manifest, outcome)
        outcome.samples = observer.samples
        outcome.requests = sum(place.simulator.count(kind) for kind in ("api", "s3"))
        outcome.faults = place.simulator.strikes()
        outcome.bytes_sent = place.simulator.bytes_sent("s3")
        place.simulator.clear_faults()
        _judge(plan, outcome)
        _judge_operations(plan, mount, outcome)
        _judge_aftermath(library, place, mount, outcome)
        outcome.log_lines = len(mount.log.splitlines())
        outcome.problems += [f"the log shows {word}" for word in ("X-Amz-", "Traceback") if word in mount.log]
    return outcome


def _read(plan: Plan, manifest: Path, outcome: Outcome) -> None:
    """All readers, to their ends."""
    habits = [list(HABITS)[number % len(HABITS)] for number in range(plan.readers)]
    command = [sys.executable, "-m", "tests.soak.reader", str(manifest)]
    processes = [
        subprocess.Popen(
            [*command, habit, f"{plan.seed}-{number}", str(plan.seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        for number, habit in enumerate(habits)
    ]
    with ThreadPoolExecutor(len(processes)) as pool:
        ends = [pool.submit(_end_of, process, plan) for process in processes]
        for end in ends:
            _add(outcome, *end.result())


def _end_of(process: "subprocess.Popen[bytes]", plan: Plan) -> tuple[bytes, bytes]:
    try:
        return process.communicate(timeout=plan.seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return b"", b"it hangs"


def _add(outcome: Outcome, report: bytes, complaint: bytes) -> None:
    if complaint or not report:
        outcome.problems.append(f"a reader ended with: {complaint.decode()[-500:]}")
        return
    seen = json.loads(report)
    outcome.seen.reads += seen["reads"]
    outcome.seen.bytes += seen["bytes"]
    outcome.seen.errors = dict(Counter(outcome.seen.errors) + Counter(seen["errors"]))
    outcome.seen.wrong += seen["wrong"]
    for call, seconds in seen["slowest"].items():
        outcome.seen.note_time(call, seconds)


def _judge(plan: Plan, outcome: Outcome) -> None:
    """What readers saw, and how the daemon fared."""
    outcome.problems += outcome.seen.wrong[:20]
    for call, seconds in outcome.seen.slowest.items():
        limit = plan.timeout * (2 if call in _IN_TURN else 1) + 1
        if seconds > limit:
            outcome.problems.append(f"{call} took {seconds:.1f} s, more than {limit:g}")
    outcome.problems += growth(outcome.samples)
    if max(sample.descriptors for sample in outcome.samples) > _MOST_DESCRIPTORS:
        outcome.problems.append(f"more than {_MOST_DESCRIPTORS} descriptors")
    if max(sample.resident for sample in outcome.samples) > _MOST_RESIDENT:
        outcome.problems.append(f"more than {_MOST_RESIDENT // MIB} MiB of memory")
    if not outcome.faults or not outcome.seen.errors:
        outcome.problems.append("nothing went wrong, so nothing is proven")


def _judge_operations(plan: Plan, mount: Mounted, outcome: Outcome) -> None:
    """None took the mount longer than a second beyond `timeout`, however many of them a system call consists of."""
    limit = min(bound for bound in BOUNDS if bound >= plan.timeout + 1)
    for name, (count, in_time) in operations((mount.path / ".twfs" / "metrics").read_text(), limit).items():
        outcome.operations += count
        if in_time < count:
            outcome.problems.append(f"{count - in_time} times {name} took more than {limit:g} s")


def operations(metrics: str, limit: float) -> dict[str, tuple[int, int]]:
    """How many the mount had of each, and how many of them took `limit` seconds at most, one of `BOUNDS`."""
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    counts = {one.labels["operation"]: int(one.value) for one in samples if one.name == f"{_DURATION}_count"}
    in_time = {
        one.labels["operation"]: int(one.value)
        for one in samples
        if one.name == f"{_DURATION}_bucket" and float(one.labels["le"]) == limit
    }
    return {name: (count, in_time[name]) for name, count in counts.items()}


def _judge_aftermath(library: Library, place: Customer, mount: Mounted, outcome: Outcome) -> None:
    """The weather is fine: everything is read, the status says what is, also of an outage."""
    unread = [
        piece.path
        for piece in library.pieces
        if not piece.refusal and not _comes_right(mount, piece.path, piece.reference, piece.size)
    ]
    outcome.problems += [f"{path} cannot be read although all is well again" for path in unread]
    by_kind = {kind.value: len(library.account.media(kind)) for kind in Kind}
    expected = {
        "media": by_kind,
        "states": {**library.states, "unknown": 0},
        "plain_bytes": sum((mount.path / piece.path).stat().st_size for piece in library.pieces),
        "refresh_error": None,
    }
    _expect(mount, outcome, "in fine weather", lambda catalog: {name: catalog[name] for name in expected} == expected)
    outage = Fault("api", status=503, times=None)
    place.simulator.inject(outage)
    _expect(mount, outcome, "in an outage", lambda catalog: catalog["refresh_error"] is not None)
    place.simulator.remove_fault(outage)
    _expect(mount, outcome, "after an outage", lambda catalog: catalog["refresh_error"] is None)
    status = _status(mount)
    if status["pid"] != mount.process.pid or status["fetched"]["bytes"] > place.simulator.bytes_sent("s3"):
        outcome.problems.append("the status tells another process, or more bytes fetched than were sent")


def _comes_right(mount: Mounted, path: str, reference: str, size: int) -> bool:
    """Whether the file has its bytes, at the latest when nothing that was begun in the storm is under way any more."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            return (mount.path / path).read_bytes() == Path(reference).read_bytes()[:size]
        except OSError:
            time.sleep(0.2)
    return False


def _expect(mount: Mounted, outcome: Outcome, when: str, holds: Callable[[dict[str, Any]], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds(_catalog(mount)):
        if time.monotonic() > end:
            outcome.problems.append(f"the status is not true {when}: {_catalog(mount)}")
            return
        time.sleep(0.2)


def _catalog(mount: Mounted) -> dict[str, Any]:
    catalog: dict[str, Any] = _status(mount)["catalog"]
    return catalog


def _status(mount: Mounted) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((mount.path / ".twfs" / "status").read_bytes())
    return status
