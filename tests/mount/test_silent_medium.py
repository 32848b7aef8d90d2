"""A medium that falls silent, with many readers, takes nothing from those of another."""

import os
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import customer, mounted, needs_fuse, wait_for
from tests.mount.test_reading import content
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

MIB = 2**20
CONNECTIONS = 16
READERS = 20
"""More than connections, and fewer than reads that the kernel sends before it waits (MAX_BACKGROUND_OF_LIBFUSE3)."""
SIZE = 24 * MIB


def read_in_vain(path: Path, offset: int) -> None:
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        with pytest.raises(OSError, match=r"timed out|Input/output"):
            os.pread(file.fileno(), 4096, offset)


@pytest.mark.parametrize("silent_count", [1, 2])
def test_reads_of_a_healthy_medium_go_on(tmp_path: Path, private_key: RSAPrivateKey, silent_count: int) -> None:
    account, data = SimulatedAccount(), content(SIZE, "healthy")
    key = private_key.public_key()
    healthy = account.add_recording(seal(data, key))
    silent = [account.add_recording(seal(content(SIZE, name), key)) for name in range(silent_count)]
    with (
        customer(tmp_path, account, private_key) as place,
        mounted(place, timeout="8", connections=str(CONNECTIONS)) as mount,
    ):
        for sid in (healthy, *silent):
            mount.file(sid).stat()
        before = place.simulator.count("s3.get")
        for sid in silent:
            place.simulator.inject(Fault("s3", match=sid, stall_after=0, times=None))
        readers = [
            threading.Thread(target=read_in_vain, args=(mount.file(sid), number * MIB))
            for sid in silent
            for number in range(READERS // silent_count)
        ]
        for reader in readers:
            reader.start()
        wait_for(lambda: place.simulator.count("s3.get") - before >= CONNECTIONS)
        slowest = 0.0
        with mount.file(healthy).open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for offset in range(0, SIZE, 4 * MIB):
                began = time.monotonic()
                assert os.pread(file.fileno(), 4096, offset) == data[offset : offset + 4096]
                slowest = max(slowest, time.monotonic() - began)
        assert slowest < 3
        for reader in readers:
            reader.join()
