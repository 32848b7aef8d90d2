"""An outage is an error or the last known truth: never an empty folder, never a shorter listing."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Mounted, customer, mounted, needs_fuse, run_twfs, wait_for
from twfs.mount.system import is_mounted, unmount
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject

pytestmark = needs_fuse

SOON = 20.0
"""Seconds, on a machine that does much else; the background has some of them to end by itself."""


def account_of(count: int) -> SimulatedAccount:
    """So many small plain recordings."""
    account = SimulatedAccount()
    for number in range(count):
        account.add_recording(StoredObject(b"%d" % number))
    return account


def names(mount: Mounted) -> set[str]:
    """What the recordings' folder lists."""
    return {path.name for path in (mount.path / "recordings").iterdir()}


def status(mount: Mounted) -> dict[str, object]:
    """The catalogue's part of `.twfs/status`."""
    found: dict[str, object] = json.loads((mount.path / ".twfs" / "status").read_bytes())["catalog"]
    return found


def test_a_first_mount_without_an_answer_fails_and_says_why(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    with customer(tmp_path, account_of(3), private_key) as place:
        place.simulator.inject(Fault(on="api", reset_after=0, times=None))
        failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(timeout="2"))
        assert failed.returncode == 32
        assert not is_mounted(place.mountpoint)
        assert len(failed.stderr.strip().splitlines()) == 1, failed.stderr
        assert "nothing is known of this account" in failed.stderr


def test_refused_credentials_fail_the_first_mount(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    with customer(tmp_path, account_of(3), private_key) as place:
        credentials = Path(place.options["credentials"])
        credentials.write_text(credentials.read_text().replace("api_secret=", "api_secret=wrong"))
        failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text())
        assert failed.returncode == 32
        assert "401" in failed.stderr
        assert "wrong" not in failed.stderr
        assert not is_mounted(place.mountpoint)


def test_one_page_failing_fails_the_first_mount(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    with customer(tmp_path, account_of(250), private_key) as place:
        place.simulator.inject(Fault(on="api.list", status=500, times=None, match="PageToken"))
        failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(timeout="2"))
        assert failed.returncode == 32
        assert not is_mounted(place.mountpoint)


def test_an_api_that_is_down_at_a_later_start_shows_the_last_known_truth(
    tmp_path: Path, private_key: RSAPrivateKey
) -> None:
    with customer(tmp_path, account_of(5), private_key) as place:
        with mounted(place) as mount:
            before = names(mount)
            wait_for(lambda: status(mount)["probes_pending"] == 0)
        place.simulator.inject(Fault(on="api", status=503, times=None))
        with mounted(place, timeout="2") as mount:
            assert names(mount) == before
            assert len(before) == 5
            assert all((mount.path / "recordings" / name).stat().st_size == 1 for name in before)
            wait_for(lambda: status(mount)["refresh_error"] is not None)
            assert names(mount) == before


def test_an_api_that_goes_down_later_and_a_failing_page_take_nothing_away(
    tmp_path: Path, private_key: RSAPrivateKey
) -> None:
    account = account_of(250)
    with customer(tmp_path, account, private_key) as place, mounted(place, refresh="1", timeout="2") as mount:
        before = names(mount)
        assert len(before) == 250
        place.simulator.inject(Fault(on="api.list", status=500, times=None, match="PageToken"))
        wait_for(lambda: status(mount)["refresh_error"] is not None)
        assert names(mount) == before
        place.simulator.clear_faults()
        place.simulator.inject(Fault(on="api", reset_after=0, times=None))
        seen = place.simulator.count("api")
        wait_for(lambda: place.simulator.count("api") > seen + 3)
        assert names(mount) == before
        place.simulator.clear_faults()
        new = account.add_recording(StoredObject(b"new"))
        wait_for(lambda: any(name.startswith(new) for name in names(mount)))
        assert before < names(mount)
        assert mount.file(new).read_bytes() == b"new"


@pytest.mark.parametrize("on", ["api.list", "api.fetch", "api.media"])
@pytest.mark.parametrize("way", ["signal", "umount"])
def test_a_mount_ends_soon_though_the_api_does_not_answer(
    tmp_path: Path, private_key: RSAPrivateKey, on: str, way: str
) -> None:
    account = account_of(3)
    account.add_recording(None, status="processing", date_created=datetime(2015, 1, 1, tzinfo=UTC))
    with customer(tmp_path, account, private_key) as place:
        with mounted(place):
            pass
        account.add_recording(StoredObject(b"new"))
        silence = Fault(on, delay=86_400, times=None)
        place.simulator.inject(silence)
        with mounted(place, timeout="60") as mount:
            wait_for(lambda: place.simulator.strikes(silence) > 0)
            if way == "signal":
                mount.process.send_signal(signal.SIGTERM)
            else:
                unmount(mount.path, lazy=False)
            mount.process.wait(SOON)


def test_what_the_server_no_longer_has_after_it_stops_is_an_error(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(StoredObject(bytes(3 * 2**20)))
    with customer(tmp_path, account, private_key) as place, mounted(place, timeout="2") as mount:
        path = mount.file(sid)
        size = path.stat().st_size
        place.simulator.stop()
        started = time.monotonic()
        try:
            got = path.read_bytes()
        except OSError:
            got = None
        assert got is None
        assert time.monotonic() - started < 20
        assert path.stat().st_size == size
        assert names(mount) == {path.name}
        place.simulator.start()
