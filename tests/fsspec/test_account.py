"""Sessions: shared while in use, ended after, never carried into another process."""

import errno
import gc
import hashlib
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.simulator.twin import under_etag_of
from twfs.cli.simulated import Simulated
from twfs.fsspec import TwilioFileSystem
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.samples import sample_bytes
from twfs.simulator.sealing import seal

SCREEN = sample_bytes("screen-h264.mkv")
SECONDS = 60

READ_IN_ANOTHER_PROCESS = """
import hashlib, pickle, sys
fs, name = pickle.loads(sys.stdin.buffer.read())
with fs.open(name) as file:
    print(hashlib.sha256(file.read()).hexdigest(), fs.ukey(name))
"""


def screen(fs: TwilioFileSystem) -> str:
    """The name of a recording of 760,194 bytes."""
    (name,) = fs.glob("by-date/**/*_erin-screen_*")
    return str(name)


def fetching_threads() -> int:
    return sum(thread.name == "network" for thread in threading.enumerate())


def test_instances_share_one_session_and_the_last_ends_it(simulated: Simulated) -> None:
    options: dict[str, Any] = {
        "account": "demo",
        "config": str(simulated.config_file),
        "connections": "3",
        "skip_instance_cache": True,
    }
    one, other = TwilioFileSystem(**options), TwilioFileSystem(**options)
    assert fetching_threads() == 0
    with one.open(screen(one)) as file:
        assert file.read() == SCREEN
    assert other.cat_file(screen(other)) == SCREEN
    assert simulated.simulator.count("api.list") == 2
    fetched = simulated.simulator.count("s3")
    assert fetching_threads() == 1
    del one, file
    gc.collect()
    assert other.cat_file(screen(other)) == SCREEN
    assert simulated.simulator.count("s3") == fetched
    held = other.open(screen(other))
    del other
    gc.collect()
    assert held.read() == SCREEN
    held.close()
    del held
    gc.collect()
    assert fetching_threads() == 0


def test_instances_of_several_threads_share_it_too(simulated: Simulated) -> None:
    contents = []

    def read() -> None:
        fs = TwilioFileSystem(account="demo", config=str(simulated.config_file))
        contents.append(fs.cat_file(screen(fs)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents == [SCREEN] * 4
    assert simulated.simulator.count("api.list") == 2


def test_old_listing_is_renewed_for_a_name_that_is_not_there(simulated: Simulated) -> None:
    fs = TwilioFileSystem(account="demo", config=str(simulated.config_file), refresh=1)
    fs.find("")
    sid = simulated.simulator.account.add_recording(None)
    account = fs._connected()
    account._listed_at -= 2
    assert fs.exists(f"recordings/{sid}.mkv")
    listings = simulated.simulator.count("api.list")
    account._listed_at -= 2
    assert fs.exists(f"recordings/{sid}.mkv")
    assert simulated.simulator.count("api.list") == listings  # known names need no new one


def test_long_lived_file_system_sees_what_is_new_and_lists_no_more_than_that(simulated: Simulated) -> None:
    fs = TwilioFileSystem(account="demo", config=str(simulated.config_file))
    before = fs.find("")
    simulator = simulated.simulator
    sid = simulator.account.add_recording(None, date_created=datetime.now(UTC))
    deleted = before[0].partition("/")[2].partition(".")[0]
    simulator.account.delete(deleted)
    simulator.clear_requests()
    fs._connected()._listed_at -= 100
    # By itself: what is new, asked for as such.
    assert set(fs.find("")) == {*before, f"recordings/{sid}.mkv"}
    queries = [request.query_string for request in simulator.requests if request.kind == "api.list"]
    assert len(queries) == 2
    assert all("DateCreatedAfter=" in query for query in queries)
    # On demand: everything, what is gone included.
    fs.invalidate_cache()
    assert set(fs.find("")) == {*before[1:], f"recordings/{sid}.mkv"}


def test_outage_keeps_what_is_known_and_says_so_once(simulated: Simulated, caplog: pytest.LogCaptureFixture) -> None:
    fs = TwilioFileSystem(account="demo", config=str(simulated.config_file), timeout=3)
    names = fs.find("")
    account = fs._connected()
    simulated.simulator.inject(Fault("api.list", status=503, times=None))
    for _ in range(2):
        account._listed_at -= 100
        assert fs.find("") == names
    (said,) = caplog.messages
    assert "the list of media may be old" in said


def test_what_an_earlier_session_learnt_is_known(simulated: Simulated) -> None:
    options: dict[str, Any] = {"account": "demo", "config": str(simulated.config_file), "skip_instance_cache": True}
    sizes = {info["name"]: info["size"] for info in TwilioFileSystem(**options).ls("recordings")}
    gc.collect()
    requests = len(simulated.simulator.requests)
    later = TwilioFileSystem(**options)
    # The muted track has no media now and may have some later: that is not remembered.
    assert {name: size for name, size in sizes.items() if size} == {
        name: later.size(name) for name, size in sizes.items() if size
    }
    assert len(simulated.simulator.requests) == requests


def environment(simulated: Simulated, home: Path) -> dict[str, str]:
    """How a worker may be configured: by nothing but its environment."""
    account = simulated.simulator.account
    return {
        "TWILIO_ACCOUNT_SID": account.account_sid,
        "TWILIO_API_KEY": account.api_key,
        "TWILIO_API_SECRET": account.api_secret,
        "TWFS_API_URL": simulated.simulator.url,
        "TWFS_PRIVATE_KEY": str(simulated.folder / "private_key.pem"),
        "HOME": str(home),
        "PATH": os.environ["PATH"],
    }


def test_pickle_holds_no_secret_and_is_read_where_there_are_credentials(
    simulated: Simulated, fs: TwilioFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = simulated.simulator.account
    for name, value in environment(simulated, tmp_path).items():
        monkeypatch.setenv(name, value)
    mine = TwilioFileSystem(account=account.account_sid)
    name = screen(mine)
    file = mine.open(name)
    pickles = [pickle.dumps(fs), pickle.dumps(mine), pickle.dumps(file), fs.to_json().encode(), mine.to_json().encode()]
    file.close()
    pem = (simulated.folder / "private_key.pem").read_bytes()
    for pickled in pickles:
        for secret in (account.api_secret, account.api_key, account.auth_token, pem.splitlines()[1].decode()):
            assert secret.encode() not in pickled
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_ANOTHER_PROCESS],
        input=pickle.dumps((mine, name)),
        capture_output=True,
        env=environment(simulated, tmp_path / "elsewhere"),
        timeout=SECONDS,
        check=False,
    )
    digest = hashlib.sha256(SCREEN).hexdigest()
    assert (done.stdout.decode().split(), done.stderr) == ([digest, mine.ukey(name)], b"")


def test_pickle_is_useless_where_there_are_no_credentials(simulated: Simulated, tmp_path: Path) -> None:
    fs = TwilioFileSystem(account=simulated.simulator.account.account_sid)
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_ANOTHER_PROCESS],
        input=pickle.dumps((fs, "recordings/x")),
        capture_output=True,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert b"NotConfigured" in done.stderr.splitlines()[-1]
    assert b"no credentials for AC" in done.stderr


def test_json_gives_the_same_file_system(fs: TwilioFileSystem) -> None:
    again = TwilioFileSystem.from_json(fs.to_json())
    assert again == fs
    assert json.loads(fs.to_json())["account"] == "demo"


def read_whole(fs: TwilioFileSystem, name: str) -> bytes:
    return bytes(fs.cat_file(name))


def test_spawned_workers_read(fs: TwilioFileSystem) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        contents = pool.starmap(read_whole, [(fs, screen(fs))] * 2)
        pool.close()
        pool.join()
    assert contents == [SCREEN] * 2


FORK = """
import os, sys, threading
from twfs.fsspec import TwilioFileSystem
fs = TwilioFileSystem(account="demo", config=sys.argv[1], skip_instance_cache=True)
(name,) = fs.glob("by-date/**/*_erin-screen_*")
file = fs.open(name)
head = file.read(1000)
rest, write = os.pipe()
child = os.fork()
if child == 0:
    # With the parent's file and file system, and a new one: none may wait for threads that are not there.
    file.seek(1000)
    tail = file.read()
    assert len(head) + len(tail) == fs.size(name), len(tail)
    assert fs.cat_file(name) == head + tail
    assert TwilioFileSystem(account="demo", config=sys.argv[1]).cat_file(name, 0, 1000) == head
    file.close()
    os.write(write, b"child read it; ")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
# The child's end has closed nothing of the parent's.
file.seek(0)
assert file.read() == fs.cat_file(name)
assert fs.size("recordings/" + name[-38:]) == file.size
file.close()
print(os.read(rest, 100).decode() + "parent too")
"""


def test_forked_child_reads_on_its_own(simulated: Simulated) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(simulated.config_file)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("child read it; parent too\n", "")


def test_object_that_changed_is_no_part_of_an_open_file(simulated: Simulated, fs: TwilioFileSystem) -> None:
    name = screen(fs)
    with fs.open(name) as file:
        file.seek(1000)
        pickled = pickle.dumps(file)
    sid = name.rpartition("_")[2][:34]
    simulated.simulator.account.replace(sid, simulated.simulator.account.medium(sid).stored)
    with pickle.loads(pickled) as again:
        assert again.read() == SCREEN[1000:]
    with pytest.raises(OSError, match="changed while open"):
        fs.open(name, size=1)


@pytest.mark.parametrize("is_known_elsewhere", [True, False])
def test_a_file_goes_on_elsewhere_only_if_it_is_the_same_object(
    simulated: Simulated, *, is_known_elsewhere: bool
) -> None:
    options: dict[str, Any] = {"account": "demo", "config": str(simulated.config_file), "skip_instance_cache": True}
    fs = TwilioFileSystem(**options)
    name = screen(fs)
    account, sid = simulated.simulator.account, name.rpartition("_")[2][:34]
    stored = account.medium(sid).stored
    assert isinstance(stored, StoredObject)
    with fs.open(name) as file:
        pickled = pickle.dumps(file)
    key = load_pem_private_key((simulated.folder / "private_key.pem").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    twin = seal(SCREEN[::-1], key.public_key())
    account.replace(sid, under_etag_of(stored, twin))
    if is_known_elsewhere:
        with pytest.raises(OSError, match="changed while open"):
            fs.cat_file(name)
        assert fs.cat_file(name) == SCREEN[::-1]
    with pytest.raises(OSError, match=r"was replaced|changed while open") as stale, pickle.loads(pickled) as again:
        again.read()
    assert stale.value.errno == errno.ESTALE
    assert fs.cat_file(name) == SCREEN[::-1]


def test_object_that_was_replaced_is_known_after_one_failure(simulated: Simulated) -> None:
    options: dict[str, Any] = {"account": "demo", "config": str(simulated.config_file), "skip_instance_cache": True}
    fs = TwilioFileSystem(**options)
    name = screen(fs)
    assert fs.size(name) == len(SCREEN)
    account, sid = simulated.simulator.account, name.rpartition("_")[2][:34]
    (other,) = fs.glob("by-date/**/*_erin-voice_*")
    account.replace(sid, account.medium(other.rpartition("_")[2][:34]).stored)
    with pytest.raises(OSError, match="changed while open") as stale:
        fs.cat_file(name)
    assert stale.value.errno == errno.ESTALE
    assert fs.cat_file(name) == account.plain(sid)
    assert fs.size(name) == len(account.plain(sid))
    # For good.
    assert TwilioFileSystem(**options).cat_file(name) == account.plain(sid)
