import base64
import os
import pickle
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from distributed import Client, LocalCluster

from tests.export.buckets import BUCKET, bucket
from tests.export.rig import SOURCE, expected, flags, is_of_bytes, listed, tree
from twfs.cli.simulated import Simulated
from twfs.errors import ConfigError
from twfs.export.cluster import WorkerSession, export_on_cluster
from twfs.export.job import Job, Order, examine, name_of
from twfs.export.outcome import Ending, Report
from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.simulator.faults import Fault
from twfs.simulator.journal import ServedRequest

# Distributed's own words on a slow disk.
pytestmark = pytest.mark.filterwarnings("ignore:Creating scratch directories is taking a surprisingly long time")

PATIENCE = 60.0
SLOW = 20_000
"""Bytes per second: the medium takes half a minute, in which a test finds and kills who fetches it."""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with bucket(monkeypatch) as fs:
        yield fs


@pytest.fixture
def cluster(s3: Any, simulated: Simulated) -> Iterator[LocalCluster]:
    """Two workers, processes of their own, whose environment alone knows the account."""
    assert s3
    account = simulated.simulator.account
    credentials = {
        "TWILIO_ACCOUNT_SID": account.account_sid,
        "TWILIO_API_KEY": account.api_key,
        "TWILIO_API_SECRET": account.api_secret,
        "TWFS_API_URL": simulated.simulator.url,
        "TWFS_PRIVATE_KEY": str(simulated.folder / "private_key.pem"),
    }
    # By `env` the nannies give it to workers that they start later, too.
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50, env=credentials
    ) as cluster:
        yield cluster


def exported(cluster: LocalCluster, session: Session, media: list[Medium], destination: str, source: str) -> Report:
    outcomes = export_on_cluster(
        session, media, Order(destination), scheduler=cluster.scheduler_address, source=source, overrides={}
    )
    return Report(destination, list(outcomes))


def wait_for(what: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def endings(report: Report) -> tuple[int, int, int]:
    return report.count(Ending.WRITTEN), report.count(Ending.SKIPPED), report.count(Ending.FAILED)


def fetches(sid: str, simulated: Simulated) -> list[ServedRequest]:
    """What was asked of a medium's bytes, without probes."""
    asked = [each for each in simulated.simulator.requests if each.kind == "s3.get" and sid in each.path]
    return [each for each in asked if not (each.range or "").startswith("bytes=-")]


def kill_who_works_on(sid: str, cluster: LocalCluster, simulated: Simulated) -> None:
    """Kill the worker that has begun to fetch a medium."""
    wait_for(lambda: any(each.bytes_sent for each in fetches(sid, simulated)))
    with Client(cluster, set_as_default=False) as client:
        tasks = client.processing()
        (address,) = [address for address, keys in tasks.items() if any(sid in str(key) for key in keys)]
        os.kill(client.run(os.getpid)[address], signal.SIGKILL)


def test_the_work_is_spread_and_a_killed_worker_loses_nothing(
    cluster: LocalCluster, simulated: Simulated, s3: Any
) -> None:
    source = f"twilio:{simulated.simulator.account.account_sid}"
    destination = f"s3://{BUCKET}/media"
    with listed(simulated) as (session, media), ThreadPoolExecutor(1) as aside:
        (medium,) = [medium for medium in media if medium.track_name == "erin-screen"]
        simulated.simulator.inject(Fault("s3.get", rate=SLOW, match=lambda r: medium.sid in r.path and is_of_bytes(r)))
        running = aside.submit(exported, cluster, session, media, destination, source)
        kill_who_works_on(medium.sid, cluster, simulated)
        report = running.result(PATIENCE)
        assert endings(report) == (11, 1, 1)
        there = expected(simulated, media)
        assert {path.removeprefix(f"{BUCKET}/media/"): s3.cat_file(path) for path in s3.find(BUCKET)} == there
        assert len(fetches(medium.sid, simulated)) == 2

        # Once more: all is there, nothing is fetched, no worker needs the media.
        objects = simulated.simulator.count("s3")
        again = exported(cluster, session, media, destination, source)
        assert endings(again) == (0, 12, 1)
        assert simulated.simulator.count("s3") == objects


def test_what_a_killed_worker_left_is_taken_away(cluster: LocalCluster, simulated: Simulated, tmp_path: Path) -> None:
    source = f"twilio:{simulated.simulator.account.account_sid}"
    with listed(simulated) as (session, media), ThreadPoolExecutor(1) as aside:
        (medium,) = [medium for medium in media if medium.track_name == "erin-screen"]
        simulated.simulator.inject(Fault("s3.get", rate=SLOW, match=lambda r: medium.sid in r.path and is_of_bytes(r)))
        running = aside.submit(exported, cluster, session, [medium], str(tmp_path / "x"), source)
        kill_who_works_on(medium.sid, cluster, simulated)
        assert list((tmp_path / "x").rglob(".*.part"))
        assert endings(running.result(PATIENCE)) == (1, 0, 0)
        assert tree(tmp_path / "x") == expected(simulated, [medium])


def test_object_that_was_replaced_is_looked_at_anew(
    cluster: LocalCluster, simulated: Simulated, tmp_path: Path
) -> None:
    account = simulated.simulator.account
    source = f"twilio:{account.account_sid}"
    with listed(simulated) as (session, media):
        names = ("erin-screen", "erin-voice", "dave-lost-key")
        chosen = [next(medium for medium in media if medium.track_name == name) for name in names]
        screen, voice, lost = chosen
        for medium in chosen:
            examine(session, medium)
        for medium, stored in ((screen, account.medium(voice.sid).stored), (voice, account.medium(lost.sid).stored)):
            account.replace(medium.sid, stored)
        report = exported(cluster, session, [screen, voice], str(tmp_path / "x"), source)
        assert endings(report) == (1, 0, 1)
        assert tree(tmp_path / "x") == {name_of(screen): account.plain(screen.sid)}
        assert endings(exported(cluster, session, [screen], str(tmp_path / "x"), source)) == (0, 1, 0)

        # Another one whenever it is read.
        simulated.simulator.inject(Fault("s3.get", status=412, times=None, match=is_of_bytes))
        report = exported(cluster, session, [screen], str(tmp_path / "y"), source)
        assert [outcome.reason for outcome in report.outcomes] == ["the object changed while open"]


def test_workers_that_are_not_configured_say_so(cluster: LocalCluster, simulated: Simulated, tmp_path: Path) -> None:
    with listed(simulated) as (session, media):
        # This process has the profile, in a file that the workers are not told of.
        report = exported(cluster, session, media, str(tmp_path / "x"), SOURCE)
    assert endings(report) == (0, 1, 12)
    assert all(
        "demo" in row.reason for row in report.outcomes if row.ending is Ending.FAILED and "lost" not in row.name
    )
    assert tree(tmp_path) == {}


def test_nothing_secret_travels(simulated: Simulated) -> None:
    account = simulated.simulator.account
    with listed(simulated) as (session, media):
        jobs = [found for medium in media if isinstance(found := examine(session, medium), Job)]
        plugin = WorkerSession(SOURCE, flags(simulated), account.account_sid)
        payload = pickle.dumps((plugin, jobs, Order("s3://b"), name_of(media[0])))
    private_pem = (simulated.folder / "private_key.pem").read_bytes()
    private_key = load_pem_private_key(private_pem, None)
    assert isinstance(private_key, RSAPrivateKey)
    wrapped = [job.info.facts.metadata["x-amz-key"] for job in jobs if job.info.facts and job.info.encrypted]
    content_keys = [private_key.decrypt(base64.b64decode(text), PKCS1v15()) for text in wrapped]
    assert len(jobs) == 11
    assert len(content_keys) == 7
    secrets = (account.api_secret.encode(), account.auth_token.encode(), private_pem.splitlines()[1], *content_keys)
    for secret in secrets:
        assert secret not in payload
    assert pickle.loads(payload)[1] == jobs


def test_no_scheduler(simulated: Simulated) -> None:
    with listed(simulated) as (session, media), pytest.raises(ConfigError, match="no Dask scheduler at nonsense"):
        list(export_on_cluster(session, media, Order("x"), scheduler="nonsense://x", source=SOURCE, overrides={}))
