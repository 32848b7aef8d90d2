"""Objects that others sealed, in an S3 that others made, as files of a real mount."""

import os
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.moto_s3 import MotoBucket
from tests.mount.harness import both_bindings, customer, mounted, needs_fuse
from tests.mount.test_reading import content
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault

pytestmark = needs_fuse

SIZES = (0, 1, 15, 16, 17, 100_001, 2**20, 6 * 2**20 + 5)


@both_bindings
@pytest.mark.parametrize("with_length", [True, False])
def test_files_equal_what_others_sealed(
    tmp_path: Path, private_key: RSAPrivateKey, fuse: str, *, with_length: bool
) -> None:
    account = SimulatedAccount()
    with MotoBucket() as bucket, customer(tmp_path, account, private_key) as place:
        sids = {}
        for size in SIZES:
            sid = sids[size] = account.add_recording(None)
            in_parts = size == max(SIZES)
            bucket.seal(sid, content(size, sid), private_key.public_key(), with_length=with_length, in_parts=in_parts)
            redirect = {"Location": bucket.presign(sid)}
            # The simulator has no media for it; its answer becomes the redirect that Twilio would give.
            place.simulator.inject(Fault(on="api.media", status=302, headers=redirect, match=sid, times=None))
        with mounted(place, fuse=fuse) as mount:
            for size, sid in sids.items():
                assert mount.file(sid).stat().st_size == size
                assert mount.file(sid).read_bytes() == content(size, sid)
            assert_random_reads(mount.file(sids[SIZES[-1]]), content(SIZES[-1], sids[SIZES[-1]]))


def assert_random_reads(path: Path, original: bytes) -> None:
    """500 reads somewhere in a file give what stands there in the original."""
    chance = random.Random(len(original))
    handle = os.open(path, os.O_RDONLY)
    try:
        for _ in range(500):
            start, size = chance.randrange(len(original)), chance.choice((1, 100, 70_000))
            assert os.pread(handle, size, start) == original[start : start + size]
    finally:
        os.close(handle)
