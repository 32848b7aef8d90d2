"""Some seconds of what `python -m tests.soak` does for ten minutes, and that its measures measure."""

import json
import mmap
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from tests.mount.harness import both_bindings, customer, mounted, needs_fuse, new_key
from tests.soak.health import MIB, Sample, growth
from tests.soak.reader import Piece, one_page_each
from tests.soak.soak import REPOSITORY, Plan, operations, soak
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject

TIMEOUT = 2.0
SLACK = 0.8


@needs_fuse
def test_nothing_wrong_is_read_nothing_hangs_and_nothing_grows(tmp_path: Path) -> None:
    outcome = soak(Plan(seconds=4, timeout=3), tmp_path)
    assert outcome.problems == [], outcome.report()
    assert outcome.faults > 20
    assert outcome.seen.reads > 200
    assert outcome.operations > 200
    assert outcome.seen.bytes > 10 * MIB


def test_growth_is_noticed_and_a_plateau_is_none() -> None:
    flat = [Sample(30 + number % 3, 60, 90 * MIB) for number in range(40)]
    assert growth(flat) == []
    leaking = [Sample(30 + 10 * number, 60 + 3 * number, (90 + 5 * number) * MIB) for number in range(40)]
    assert [problem.split()[0] for problem in growth(leaking)] == ["descriptors", "threads", "resident"]


def test_operations_that_took_too_long_are_counted() -> None:
    metrics = "# TYPE twfs_operation_duration_seconds histogram\n"
    for name, durations in {"read": (0.1, 4.9, 5.0, 5.1), "open": (0.1,)}.items():
        for bound in (0.5, 5.0, float("inf")):
            count = sum(duration <= bound for duration in durations)
            metrics += f'twfs_operation_duration_seconds_bucket{{operation="{name}",le="{bound}"}} {count}\n'
        metrics += f'twfs_operation_duration_seconds_count{{operation="{name}"}} {len(durations)}\n'
    assert operations(metrics, 5.0) == {"read": (4, 3), "open": (1, 1)}


@needs_fuse
@both_bindings
def test_who_waits_for_what_does_not_come_waits_for_timeout_once(fuse: str, tmp_path: Path) -> None:
    account = SimulatedAccount()
    plain = random.Random(0).randbytes(100_000)
    sid = account.add_recording(StoredObject(plain))
    (tmp_path / "plain").write_bytes(plain)
    with customer(tmp_path, account, new_key()) as place, mounted(place, timeout=f"{TIMEOUT:g}", fuse=fuse) as mount:
        path = str(mount.file(sid).relative_to(mount.path))
        (mount.path / path).stat()
        stall = Fault("s3.get", stall_after=0, times=None)
        place.simulator.inject(stall)
        piece = Piece(path, str(tmp_path / "plain"), len(plain))
        seen = readers(tmp_path, mount.path, piece, 4 * ("mmap", "sequential"))
        assert place.simulator.strikes(stall)
    assert all(each["errors"] for each in seen), seen
    assert max(max(each["slowest"].values()) for each in seen) < TIMEOUT + SLACK, seen


def readers(folder: Path, mountpoint: Path, piece: Piece, habits: tuple[str, ...]) -> list[dict[str, Any]]:
    """What readers of one medium saw who began at about the same moment."""
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"mountpoint": str(mountpoint), "pieces": [asdict(piece)]}))
    command = [sys.executable, "-m", "tests.soak.reader", str(manifest)]
    processes = [
        subprocess.Popen([*command, habit, str(number), "0.1"], stdout=subprocess.PIPE, cwd=REPOSITORY)
        for number, habit in enumerate(habits)
    ]
    return [json.loads(process.communicate(timeout=60)[0]) for process in processes]


@given(start=st.integers(0, 20_000), size=st.integers(1, 20_000))
def test_each_page_is_touched_by_itself(start: int, size: int) -> None:
    parts = one_page_each(start, start + size)
    assert [at for part in parts for at in part] == list(range(start, start + size))
    assert all(part and part[0] // mmap.PAGESIZE == part[-1] // mmap.PAGESIZE for part in parts)
    assert len({part[0] // mmap.PAGESIZE for part in parts}) == len(parts)
