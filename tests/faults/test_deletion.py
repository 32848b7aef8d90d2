"""What becomes of a medium that is to be deleted while something is wrong: it stays unless every byte is proven."""

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.faults.cases import DELETION
from tests.mount.harness import Customer, customer, mounted, needs_fuse, wait_for
from tests.mount.test_delete import errno_of, left
from tests.transfer.rig import Corrupted
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.exchange import Request
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

SIZE = 300_000
TIMEOUT = 4
LONG_AGO = datetime(2017, 11, 23, tzinfo=UTC)


@dataclass(frozen=True)
class Scene:
    """A customer with one recording, whose record claims no size."""

    place: Customer
    sid: str
    sealed: StoredObject

    def replace(self, stored: StoredObject | Corrupted) -> None:
        self.place.account.replace(self.sid, stored)

    @property
    def is_kept(self) -> bool:
        return left(self.place) == {self.sid}


def is_read(request: Request) -> bool:
    """Whether it is for a reader: a look asks for the last bytes, whichever they are."""
    return not request.headers.get("range", "").startswith("bytes=-")


Act = Callable[[Scene], None]


def fault(on: str, *, times: int | None = None, **disturbance: object) -> Act:
    return lambda scene: scene.place.simulator.inject(Fault(on, times=times, **disturbance))  # type: ignore[arg-type]


BEFORE: dict[str, Act] = {
    "a bit of it is flipped, under an ETag that is an MD5": lambda scene: scene.replace(
        Corrupted(scene.sealed, SIZE // 2)
    ),
    "S3 sends no ETag with it": fault("s3.get", headers={"ETag": None}),
    "404 for media whose record claims no size": fault("api.media", status=404),
    "the answer to DELETE is 500": fault("api.delete", status=500),
    "the answer to DELETE is lost": fault("api.delete", reset_after=0, times=1),
}
"""What is wrong from the beginning."""

AFTER_IT_WAS_READ: dict[str, Act] = {
    "it was replaced since it was read": lambda scene: scene.replace(StoredObject(b"another object")),
}

AFTER_IT_WAS_LOOKED_AT: dict[str, Act] = {
    "it cannot be read to its end": fault("s3.get", match=is_read, status=503),
    "it takes longer than `timeout` to read": fault("s3.get", match=is_read, delay=TIMEOUT * 0.75, times=1),
}


def nothing(scene: Scene) -> None:
    assert scene.is_kept


def test_every_row_is_acted_out() -> None:
    assert set(DELETION) == {*BEFORE, *AFTER_IT_WAS_READ, *AFTER_IT_WAS_LOOKED_AT}


@pytest.mark.parametrize("title", DELETION)
def test_a_deletion(title: str, tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, sealed = SimulatedAccount(), seal(bytes(SIZE), private_key.public_key())
    sid = account.add_recording(sealed, date_created=LONG_AGO, size=0)
    expected = [getattr(errno, name) for name in re.findall("`(E[A-Z]+)`", DELETION[title])]
    with customer(tmp_path, account, private_key) as place:
        scene = Scene(place, sid, sealed)
        BEFORE.get(title, nothing)(scene)
        with mounted(place, allow_delete="yes", timeout=str(TIMEOUT)) as mount:
            path = mount.file(sid)
            assert path.stat().st_size in (SIZE, 0)
            AFTER_IT_WAS_LOOKED_AT.get(title, nothing)(scene)
            if title not in AFTER_IT_WAS_LOOKED_AT:
                path.read_bytes()
                AFTER_IT_WAS_READ.get(title, nothing)(scene)
            if not expected:
                path.unlink()
            else:
                assert [errno_of(path.unlink)] == expected
                assert scene.is_kept
                assert sid in mount.log
            if "later it goes" in DELETION[title]:
                wait_for(lambda: f"{sid}: all of it was read and proven" in mount.log)
                path.unlink()
        assert scene.is_kept == ("stays" in DELETION[title])
