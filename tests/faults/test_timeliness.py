"""No system call takes longer than `timeout`, whatever else is slow."""

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import customer, mounted, needs_fuse, wait_for
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject

pytestmark = needs_fuse

TIMEOUT = 6.0
SLACK = 3.0
"""Seconds by which a machine that does much else may be late: half of what waiting twice would take longer."""


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, to its end or its error."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        work()
    return time.monotonic() - began


def test_a_read_that_fails_is_not_tried_twice_over(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(StoredObject(bytes(2**20)))
    with customer(tmp_path, account, private_key) as place, mounted(place, timeout=f"{TIMEOUT:g}") as mount:
        path = mount.file(sid)
        path.stat()
        # One attempt of 5 s: there is no time for the pause that is asked for before another.
        fault = Fault("s3.get", status=503, delay=5, headers={"Retry-After": "60"}, times=None)
        place.simulator.inject(fault)
        assert seconds(path.read_bytes) < TIMEOUT + SLACK


def test_names_that_are_slow_to_look_up_do_not_queue(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sids = [account.add_recording(StoredObject(b"x")) for _ in range(3)]
    with customer(tmp_path, account, private_key) as place:
        place.simulator.inject(Fault("api.media", delay=3600, times=None))
        with mounted(place, timeout=f"{TIMEOUT:g}") as mount:
            paths = [mount.path / "recordings" / f"{sid}.mkv" for sid in sids]
            with ThreadPoolExecutor(len(paths)) as pool:
                took = list(pool.map(lambda path: seconds(lambda: os.stat(path)), paths))  # noqa: PTH116
        assert max(took) < TIMEOUT + SLACK, took


def test_a_list_and_known_files_wait_for_nobody(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    slow = account.add_recording(StoredObject(b"x"))
    known = account.add_composition(StoredObject(b"known"))
    with customer(tmp_path, account, private_key) as place:
        place.simulator.inject(fault := Fault("api.media", delay=3600, times=None, match=slow))
        with mounted(place, timeout="12") as mount, ThreadPoolExecutor(1) as pool:
            stalled = pool.submit(seconds, (mount.path / "recordings" / f"{slow}.mkv").stat)
            wait_for(lambda: place.simulator.strikes(fault) > 0)
            assert mount.file(known).read_bytes() == b"known"
            assert seconds(lambda: list(mount.path.iterdir())) < SLACK
            assert seconds(lambda: os.statvfs(mount.path)) < SLACK
            assert not stalled.done()
            assert stalled.result() < 12 + SLACK
