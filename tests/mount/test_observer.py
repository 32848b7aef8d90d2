"""A real mount, seen by all that shows what it does."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from prometheus_client.parser import text_string_to_metric_families

from tests.mount.harness import (
    PATIENCE,
    Customer,
    Mounted,
    both_bindings,
    customer,
    mounted,
    needs_fuse,
    run_twfs,
    wait_for,
)
from twfs.mount.system import is_mounted, unmount
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

DATA = os.urandom(3_000_000)


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey) -> Iterator[Customer]:
    account = SimulatedAccount()
    account.add_recording(seal(DATA, private_key.public_key()))
    with customer(tmp_path, account, private_key) as found:
        yield found


def only_file(mount: Mounted) -> Path:
    (path,) = (mount.path / "recordings").iterdir()
    return path


def status(mount: Mounted) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((mount.path / ".twfs/status").read_bytes())
    return found


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their labels, which are in the order of their names."""
    families = text_string_to_metric_families(text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def metrics(mount: Mounted) -> dict[tuple[str, ...], float]:
    return figures((mount.path / ".twfs/metrics").read_text())


@both_bindings
def test_status_shows_who_reads_what_and_how_far(place: Customer, fuse: str) -> None:
    with mounted(place, fuse=fuse) as mount:
        with only_file(mount).open("rb", buffering=0) as file:
            assert file.read(4096) == DATA[:4096]
            now = status(mount)
            (shown,) = now["open_files"]
            assert shown["sid"] == only_file(mount).stem
            assert (shown["size"], shown["uid"], shown["pid"]) == (len(DATA), os.getuid(), os.getpid())
            assert shown["command"] == Path("/proc/self/comm").read_text().strip()
            assert 4096 <= shown["bytes_read"] <= len(DATA)
            assert shown["bytes_read"] == shown["position"] == now["read"]["bytes"]
        assert only_file(mount).read_bytes() == DATA
        wait_for(lambda: not status(mount)["open_files"])


@both_bindings
def test_figures_agree_with_what_the_services_were_asked(place: Customer, fuse: str) -> None:
    with mounted(place, fuse=fuse) as mount:
        assert only_file(mount).read_bytes() == DATA
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                (mount.path / "nothing").stat()
        found, state = metrics(mount), status(mount)
        assert found["twfs_fetched_bytes_total",] == len(DATA) == state["fetched"]["bytes"]
        assert found["twfs_read_bytes_total",] == len(DATA) == state["read"]["bytes"]
        assert found["twfs_opened_files_total",] == 1
        assert found["twfs_media", "recordings"] == 1
        assert found["twfs_media_states", "readable"] == 1
        assert found["twfs_media_bytes",] == len(DATA)
        assert found["twfs_operation_errors_total", "ENOENT", "getattr"] >= 2
        assert 0 < found["twfs_operation_duration_seconds_count", "read"] <= state["operations"]["read"]["count"]
        assert found["twfs_http_request_outcomes_total", "range", "206"] == place.simulator.count("s3") - 1
        assert found["twfs_presigned_urls_total",] == 1 == state["presigned_urls"]
        assert found["twfs_cache_bytes", "ready"] >= len(DATA)
        assert 0 <= found["twfs_refresh_age_seconds",] < PATIENCE
        assert found["twfs_catalogue_failing", "refresh"] == 0
        assert found["process_resident_memory_bytes",] > 10_000_000
        assert state["memory_bytes"] > 10_000_000


def test_no_secret_and_no_medium_is_in_the_metrics(place: Customer) -> None:
    with mounted(place) as mount:
        with only_file(mount).open("rb") as file:
            file.read(1)
            shown = (mount.path / ".twfs/metrics").read_text()
            state = (mount.path / ".twfs/status").read_text()
        assert only_file(mount).stem not in shown
        assert only_file(mount).stem in state
        for text in (shown, state):
            assert place.account.api_secret not in text
            assert "Signature" not in text
            assert "PRIVATE KEY" not in text


def test_an_outage_shows_in_the_figures(place: Customer) -> None:
    with mounted(place, timeout="2", refresh="1") as mount:
        place.simulator.inject(Fault(on="api", status=503, times=None))
        wait_for(lambda: metrics(mount)["twfs_catalogue_failing", "refresh"] == 1)
        found = metrics(mount)
        assert found["twfs_http_request_outcomes_total", "list", "503"] >= 1
        assert found["twfs_media", "recordings"] == 1


def test_the_same_figures_over_http(place: Customer) -> None:
    with mounted(place, metrics="127.0.0.1:0") as mount:
        port = re.search(r"metrics: http://127\.0\.0\.1:([0-9]+)/metrics", mount.log)
        assert port is not None
        assert only_file(mount).read_bytes() == DATA
        connection = HTTPConnection("127.0.0.1", int(port[1]), timeout=PATIENCE)
        connection.request("GET", "/metrics")
        over_http = figures(connection.getresponse().read().decode())
        connection.close()
        assert over_http["twfs_media", "recordings"] == 1
        assert {key[0] for key in over_http} == {key[0] for key in metrics(mount)}


def test_a_mount_whose_port_is_taken_does_not_come_about(place: Customer) -> None:
    taken = place.simulator.url.removeprefix("http://")
    failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(metrics=taken))
    assert failed.returncode == 32
    assert f"metrics={taken}: cannot listen there: Address already in use" in failed.stderr
    assert not is_mounted(place.mountpoint)


@both_bindings
def test_signals_log_the_status_and_look_for_new_media(place: Customer, private_key: RSAPrivateKey, fuse: str) -> None:
    with mounted(place, fuse=fuse, refresh="3600", attr_timeout="0") as mount:
        place.account.add_recording(seal(DATA[:100], private_key.public_key()))
        mount.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(list((mount.path / "recordings").iterdir())) == 2)
        mount.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: "info: status {" in mount.log)
        (line,) = [line for line in mount.log.splitlines() if "status {" in line]
        assert json.loads(line.partition(" status ")[2])["catalog"]["media"]["recordings"] == 2
        assert is_mounted(mount.path)


@both_bindings
def test_each_opening_is_recorded_with_what_was_read(place: Customer, fuse: str) -> None:
    log = place.folder / "audit"
    with mounted(place, audit=str(log), fuse=fuse) as mount:
        sid = only_file(mount).stem
        for _ in range(2):
            assert only_file(mount).read_bytes() == DATA
        wait_for(lambda: log.read_text().count("\n") == 2)
        left_open = os.open(only_file(mount), os.O_RDONLY)
        os.pread(left_open, 1, 0)
        wait_for(lambda: len(status(mount)["open_files"]) == 1)
        mount.process.terminate()
        wait_for(lambda: log.read_text().count("\n") == 3)
    with suppress(OSError):  # the mount has gone: close(2) says so, and closes
        os.close(left_open)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["sid"] for record in records] == [sid] * 3
    assert [record["bytes_read"] for record in records[:2]] == [len(DATA)] * 2
    assert 1 <= records[2]["bytes_read"] <= len(DATA)
    for record in records:
        assert (record["uid"], record["pid"]) == (os.getuid(), os.getpid())
        assert (record["path"], record["mountpoint"]) == (f"/recordings/{sid}.mkv", str(place.mountpoint))
        assert record["account_sid"] == place.account.account_sid
        assert record["opened"] <= record["closed"]


def test_a_record_that_cannot_be_written_costs_no_read(place: Customer) -> None:
    folder = place.folder / "audit"
    folder.mkdir()
    with mounted(place, audit=str(folder / "log")) as mount:
        (folder / "log").unlink()
        folder.rmdir()
        assert only_file(mount).read_bytes() == DATA
        wait_for(lambda: "audit: cannot be written" in mount.log)
        assert metrics(mount)["twfs_audit_records_total", "failed"] == 1
    (line,) = [line for line in mount.log.splitlines() if "audit:" in line]
    assert json.loads(line.partition("the record: ")[2])["bytes_read"] == len(DATA)


def test_in_the_background_too(place: Customer, private_key: RSAPrivateKey) -> None:
    log = place.folder / "audit"
    options = place.option_text(refresh="3600", attr_timeout="0", audit=str(log), metrics="127.0.0.1:0")
    assert run_twfs("mount", place.source, str(place.mountpoint), "-o", options).returncode == 0
    try:
        pid = json.loads((place.mountpoint / ".twfs/status").read_bytes())["pid"]
        place.account.add_recording(seal(DATA[:100], private_key.public_key()))
        os.kill(pid, signal.SIGUSR1)
        os.kill(pid, signal.SIGHUP)
        wait_for(lambda: len(list((place.mountpoint / "recordings").iterdir())) == 2)
        for path in (place.mountpoint / "recordings").iterdir():
            path.read_bytes()
        wait_for(lambda: log.read_text().count("\n") == 2)
    finally:
        unmount(place.mountpoint)
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
