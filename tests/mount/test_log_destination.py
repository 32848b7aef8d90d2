"""No line of a mount in the background vanishes, and everybody is told where they are."""

import io
import json
import logging
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.config.builders import Home
from tests.mount.harness import Customer, customer, needs_fuse, needs_root, run_twfs, wait_for
from twfs.config.config import Config
from twfs.errors import ConfigError
from twfs.log_limit import LimitedHandler
from twfs.mount.log_destination import SYSLOG, describe, log_destination, log_place, redirect
from twfs.mount.system import unmount
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import seal

PLACE = Path("/srv/recordings")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    home = tmp_path / "home"
    home.mkdir()
    return replace(Home(home).load(), state_dir=tmp_path / "state")


def record(message: str) -> logging.LogRecord:
    made = logging.LogRecord("twfs", logging.WARNING, __file__, 1, message, None, None)
    made.created = 1511455637.9
    return made


@contextmanager
def syslog(path: Path) -> Iterator[socket.socket]:
    """One that listens while the block runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(20)
        yield listening


def test_syslog_goes_first_and_has_the_number_of_the_process(config: Config, tmp_path: Path) -> None:
    with syslog(tmp_path / "log") as listening:
        sockets = (tmp_path / "nothing", tmp_path / "log")
        assert log_place(config, sockets) == f"syslog ({tmp_path}/log)"
        handler = log_destination(config, PLACE, sockets)
        assert describe(handler) == f"syslog ({tmp_path}/log)"
        handler.handle(record("a\nb"))
        said = listening.recv(1000)
    assert said == f"<28>twfs[{os.getpid()}]: 2017-11-23T16:47:17Z warning: a\\nb\0".encode()
    assert not config.state_dir.exists()
    handler.close()


def test_what_syslog_does_not_take_any_more_is_in_the_file(config: Config, tmp_path: Path) -> None:
    with syslog(tmp_path / "log"):
        handler = log_destination(config, PLACE, [tmp_path / "log"])
    handler.handle(record("while it was away"))
    (tmp_path / "log").unlink()
    with syslog(tmp_path / "log") as listening:
        handler.handle(record("back again"))
        assert b"back again" in listening.recv(1000)
    assert "while it was away" in (config.state_dir / "srv%2Frecordings.log").read_text()
    handler.close()


def test_a_syslog_that_hangs_stops_nobody(config: Config, tmp_path: Path) -> None:
    with syslog(tmp_path / "log"):
        handler = log_destination(config, PLACE, [tmp_path / "log"])
        for number in range(3000):
            handler.handle(record(f"{number} {'x' * 200}"))
        handler.close()
    assert " 2999 " in (config.state_dir / "srv%2Frecordings.log").read_text()


def test_without_one_the_log_is_in_a_file_that_is_bounded_and_private(config: Config, tmp_path: Path) -> None:
    (tmp_path / "dead").touch()
    assert log_place(config, [tmp_path / "dead"]) == f"{config.state_dir}/MOUNTPOINT.log"
    handler = log_destination(config, PLACE, [tmp_path / "dead"])
    assert describe(handler) == f"{config.state_dir}/srv%2Frecordings.log"
    for number in range(9000):
        handler.handle(record(f"{number} {'x' * 1000}"))
    handler.close()
    files = sorted(config.state_dir.iterdir())
    assert [file.name for file in files] == [f"srv%2Frecordings.log{end}" for end in ("", ".1", ".2", ".3")]
    assert sum(file.stat().st_size for file in files) < 4.2 * 2**20
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert " 8999 " in files[0].read_text()[-1100:]


def test_a_state_folder_that_cannot_be_written_keeps_no_mount_away(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").touch()
    assert describe(log_destination(config, PLACE, ())) == "nowhere"
    assert "the log will be lost" in caplog.text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_log_file_of_ones_own_may_be_renamed_at_any_time(config: Config, tmp_path: Path, log_format: str) -> None:
    path = tmp_path / "twfs.log"
    handler = log_destination(replace(config, log_file=path, log_format=log_format), PLACE)
    handler.handle(record("before \udc80"))
    path.rename(tmp_path / "twfs.log.1")
    handler.handle(record("after"))
    handler.close()
    assert "before" in (tmp_path / "twfs.log.1").read_text()
    (line,) = path.read_text().splitlines()
    assert line == "2017-11-23T16:47:17Z warning: after" or json.loads(line)["message"] == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_file_that_cannot_be_is_told(config: Config, tmp_path: Path) -> None:
    for options, why in (
        ({"log_file": tmp_path / "nothing/log"}, "cannot be written: .* No such file|cannot be written: No such file"),
        ({"log_file": PLACE / "log"}, "is in the mount itself"),
        ({"log_file": tmp_path / "log", "log_format": "journal"}, "exclude each other"),
    ):
        with pytest.raises(ConfigError, match=why):
            log_destination(replace(config, **options), PLACE)
    with pytest.raises(ConfigError, match="is no folder that you may write to"):
        log_place(replace(config, log_file=tmp_path / "nothing/log"))


@needs_root
def test_nor_is_one_that_somebody_else_has_put_there(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    os.chown(path, 65534, -1)
    for ask in (lambda given: log_destination(given, PLACE), log_place):
        with pytest.raises(ConfigError, match="belongs to nobody"):
            ask(replace(config, log_file=path))


def test_the_limit_stays_when_the_log_goes_elsewhere() -> None:
    before, after = io.StringIO(), io.StringIO()
    limited = LimitedHandler(logging.StreamHandler(before), lambda: 0.0)
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers[:] = [limited]
    try:
        redirect(logging.StreamHandler(after))
        assert root.handlers == [limited]
        limited.handle(record("there"))
    finally:
        root.handlers[:] = handlers
    assert (before.getvalue(), after.getvalue()) == ("", "there\n")


@contextmanager
def in_background(place: Customer, **options: str) -> Iterator[Mapping[str, object]]:
    """Its status, while it is mounted by a command that has returned."""
    done = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(**options))
    assert (done.returncode, done.stderr) == (0, "")
    try:
        yield json.loads((place.mountpoint / ".twfs/status").read_bytes())
    finally:
        unmount(place.mountpoint)


@needs_fuse
@pytest.mark.skipif(any(path.exists() for path in SYSLOG), reason="this machine has a syslog")
@pytest.mark.parametrize("gives_file", [False, True])
def test_the_log_of_a_background_mount_can_be_found(
    tmp_path: Path, private_key: RSAPrivateKey, gives_file: bool
) -> None:
    account = SimulatedAccount()
    account.add_recording(seal(b"words" * 100, private_key.public_key()))
    with customer(tmp_path, account, private_key) as place:
        options = {"refresh": "1", "timeout": "2"} | ({"log_file": str(tmp_path / "own.log")} if gives_file else {})
        with in_background(place, **options) as status:
            log = Path(str(status["log"]))
            assert log == (tmp_path / "own.log" if gives_file else next((tmp_path / "state").glob("*.log")))
            place.simulator.inject(Fault("api.list", status=500, times=None))
            wait_for(lambda: "warning: " in log.read_text())
        wait_for(lambda: "unmounted" in log.read_text())
