"""One large encrypted file as a local copy: `twfs get`, `cp` from a mount, and `cp` with as much hashing as `get`.

All over https: once at the speed of loopback, the processor being the limit; and once as from S3, 30 ms away.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.customer import Customer, recording
from tests.benchmarks.dataplane import HTTPS, S3_LIKE, Shape
from tests.benchmarks.figures import GIB, MIB, Figures, Row, at_least, ratio, value_of
from tests.benchmarks.objects import digest
from tests.benchmarks.processes import Failed, clean_environment
from tests.benchmarks.readers import children_cpu_seconds
from tests.benchmarks.service import numbered_sid

_GET = "get"
_UNPROVEN = "get --no-md5"
_CP = "cp"
_HASHED_CP = "cp and md5sum"
_CP_IN_FULL = "cp from the mount, which compares no MD5"
_HASHED_CP_IN_FULL = "cp from the mount and md5sum, get's start included"
_TITLES = {HTTPS: "https", S3_LIKE: "S3-like"}


def _rows(work: str, contestant: str, shape: Shape, least: float) -> tuple[Row, ...]:
    speed, whole, cp = (f"{shape.name} {name}" for name in (f"{contestant} MB/s", f"{contestant} whole MB/s", _CP))
    cpu = f"{shape.name} {contestant} CPU s/GiB"
    return (
        Row(work, _CP_IN_FULL, ratio(speed, f"{cp} MB/s"), target=at_least(least)),
        Row(work, f"{_CP_IN_FULL}, get's start included", ratio(whole, f"{cp} MB/s")),
        Row(work, f"{_CP_IN_FULL}, CPU seconds, start included", ratio(cpu, f"{cp} CPU s/GiB")),
        Row(work, "itself", value_of(speed), "MB/s"),
    )


class Download(Contest):
    """`twfs get`, proof by MD5 included, once it runs; `cp` from a mount, once it stands."""

    name = "download"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        rows: list[Row] = []
        for shape, title in _TITLES.items():
            work = f"get of {scale.object // MIB} MiB, {title}"
            hashed_cp = ratio(f"{shape.name} {_GET} whole MB/s", f"{shape.name} {_HASHED_CP} MB/s")
            rows += _rows(work, _GET, shape, least=1.0)
            rows += [Row(work, _HASHED_CP_IN_FULL, hashed_cp, target=at_least(1.0))]
            rows += _rows(f"{work}, --no-md5", _UNPROVEN, shape, least=1.3)
        return tuple(rows)

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._bench = bench
        # Beside what nginx serves, which is in memory if there is room: no disk is to be measured.
        folder = Path(mkdtemp(prefix="download-", dir=bench.plane.plain.parent))
        stack.callback(shutil.rmtree, folder)
        media = [("mkv", bench.object)]
        self._customers = {shape: stack.enter_context(bench.customers.with_media(shape, media)) for shape in _TITLES}
        self._goal = folder / "copy"
        for contestant in self.contestants().values():
            contestant()
            if digest(self._goal) != digest(bench.plane.plain / "object"):
                raise Failed("what was downloaded is not what was encrypted")

    def contestants(self) -> Mapping[str, Contestant]:
        return {
            f"{shape.name} {name}": partial(measure, customer)
            for shape, customer in self._customers.items()
            for name, measure in self._ways.items()
        }

    @property
    def _ways(self) -> Mapping[str, Callable[[Customer], Figures]]:
        return {
            _GET: self._get,
            _CP: self._cp,
            _UNPROVEN: partial(self._get, flags=("--no-md5",)),
            _HASHED_CP: partial(self._cp, is_hashed=True),
        }

    def _get(self, customer: Customer, flags: tuple[str, ...] = ()) -> Figures:
        self._prepare()
        words = [sys.executable, "-m", "twfs", "get", f"twilio:{customer.spec.account_sid}", numbered_sid(0)]
        before = children_cpu_seconds()
        began = time.perf_counter()
        report = _run([*words, *_account_flags(customer), "-o", str(self._goal), "--json", *flags])
        whole = time.perf_counter() - began
        cpu = children_cpu_seconds() - before
        seconds: float = json.loads(report)["media"][0]["seconds"]
        return self._figures(seconds, cpu) | {"whole MB/s": self._bench.scale.object / whole / 1e6}

    def _cp(self, customer: Customer, *, is_hashed: bool = False) -> Figures:
        self._prepare()
        with customer.mounted() as mount:
            before = mount.cpu_seconds + children_cpu_seconds()
            began = time.perf_counter()
            _run(["cp", str(recording(mount, 0)), str(self._goal)])
            if is_hashed:
                _run(["md5sum", str(self._goal)])
            seconds = time.perf_counter() - began
            return self._figures(seconds, mount.cpu_seconds + children_cpu_seconds() - before)

    def _prepare(self) -> None:
        self._goal.unlink(missing_ok=True)
        self._bench.cool_down()

    def _figures(self, seconds: float, cpu_seconds: float) -> Figures:
        size = self._bench.scale.object
        return {"MB/s": size / seconds / 1e6, "CPU s/GiB": cpu_seconds * GIB / size}


def _account_flags(customer: Customer) -> list[str]:
    return [
        *("--credentials", str(customer.folder / "credentials")),
        *("--private-key", str(customer.folder / "key.pem")),
        *("--api-url", customer.api_url),
        *("--state-dir", str(customer.state)),
    ]


def _run(command: list[str]) -> str:
    """What it prints.

    Raises:
        Failed: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
