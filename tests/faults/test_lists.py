"""Each fault of the lists: a first mount fails and says why, a mount that stands shows the last known list."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.faults.cases import HARMLESS_LISTS, LISTS, ListCase
from tests.faults.scene import assert_discreet, complaints
from tests.mount.harness import Customer, Mounted, clean, customer, mounted, needs_fuse, wait_for
from twfs.mount.system import is_mounted
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject

pytestmark = needs_fuse

MEDIA = 130
"""More than one page of 100."""
TIMEOUT = 2
STANDING_TIMEOUT = 4
"""Of the mount that stands: where one page in ten fails, that is time enough for another attempt on any machine."""
SLACK = 20.0
"""Seconds for a process to start and end, on a machine that does much else; what hangs would take for ever."""


class Elsewhere(ThreadingHTTPServer):
    """A server that is nobody's business, and remembers what it was asked."""

    def __init__(self) -> None:
        """Listening."""
        super().__init__(("127.0.0.1", 0), Recorder)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.server_port}"


class Recorder(BaseHTTPRequestHandler):
    """Notes a request, and lists nothing."""

    server: Elsewhere

    def do_GET(self) -> None:
        """Answer an empty page."""
        self.server.asked.append(f"{self.path} {self.headers}")
        body = b'{"meta": {"key": "recordings", "next_page_url": null}, "recordings": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@dataclass
class Stage:
    """An account's mount that stands."""

    place: Customer
    mount: Mounted
    elsewhere: Elsewhere

    def names(self) -> set[str]:
        """What is listed."""
        return {path.name for path in (self.mount.path / "recordings").iterdir()}

    def refresh_error(self) -> str | None:
        """As the status tells it."""
        status = json.loads((self.mount.path / ".twfs" / "status").read_bytes())
        error: str | None = status["catalog"]["refresh_error"]
        return error

    def strike(self, case: ListCase) -> Fault:
        """Let it begin."""
        fault = case.strike(self.place.simulator.url, self.elsewhere.url)
        self.place.simulator.inject(fault)
        return fault

    def another(self, folder: Path) -> Customer:
        """A customer of the same account who has never mounted it."""
        (folder / "mnt").mkdir(parents=True)
        options = {**self.place.options, "state_dir": str(folder / "state")}
        return replace(self.place, folder=folder, options=options)

    def failing_mount(self, folder: Path) -> str:
        """The one line of complaint of a first mount that fails."""
        place = self.another(folder)
        command = [sys.executable, "-m", "twfs", "mount", place.source, str(place.mountpoint), "-f"]
        process = subprocess.Popen(
            [*command, "-o", place.option_text(timeout=f"{TIMEOUT}")], stderr=subprocess.PIPE, text=True, env=clean()
        )
        try:
            _, said = process.communicate(timeout=SLACK + 2 * TIMEOUT)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 32, said
        assert not is_mounted(place.mountpoint)
        assert_discreet(said, place.account)
        (line,) = said.splitlines()
        return str(line)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, private_key: RSAPrivateKey) -> Iterator[Stage]:
    account = SimulatedAccount()
    for number in range(MEDIA):
        account.add_recording(StoredObject(b"%d" % number))
    with Elsewhere() as elsewhere:
        thread = Thread(target=elsewhere.serve_forever)
        thread.start()
        try:
            with (
                customer(tmp_path_factory.mktemp("lists"), account, private_key) as place,
                mounted(place, timeout=f"{STANDING_TIMEOUT}", refresh="1", api_rate="80") as mount,
            ):
                yield Stage(place, mount, elsewhere)
        finally:
            elsewhere.shutdown()
            thread.join()


def params(cases: tuple[ListCase, ...]) -> list[object]:
    """Those with a bug are expected to fail."""
    marks = [[pytest.mark.xfail(strict=True, reason=case.bug)] if case.bug else [] for case in cases]
    return [pytest.param(case, id=case.title, marks=mark) for case, mark in zip(cases, marks, strict=True)]


@pytest.mark.parametrize("case", params(LISTS))
def test_nothing_is_missing_and_a_first_mount_says_why(case: ListCase, stage: Stage, tmp_path: Path) -> None:
    before, said_before = stage.names(), len(stage.mount.log)
    assert len(before) == MEDIA
    try:
        stage.strike(case)
        line = stage.failing_mount(tmp_path)
        assert "nothing is known of this account yet" in line
        assert re.search(case.log, line), line
        wait_for(lambda: stage.refresh_error() is not None)
        assert re.search(case.log, stage.refresh_error() or "")
        assert stage.names() == before
    finally:
        stage.place.simulator.clear_faults()
    wait_for(lambda: stage.refresh_error() is None)
    assert stage.names() == before
    assert stage.elsewhere.asked == []
    log = stage.mount.log[said_before:]
    assert_discreet(log, stage.place.account)
    assert len(complaints(log, "the list of recordings does not come; the last known one is kept")) == 1, log


@pytest.mark.parametrize("case", params(HARMLESS_LISTS))
def test_a_list_comes_nevertheless(case: ListCase, stage: Stage, tmp_path: Path) -> None:
    said_before = len(stage.mount.log)
    try:
        fault = stage.strike(case)
        for number in count():
            with mounted(stage.another(tmp_path / str(number)), timeout="10") as mount:
                assert {path.name for path in (mount.path / "recordings").iterdir()} == stage.names()
            assert complaints(mount.log, "list") == []
            # What strikes by chance may have spared this one.
            if stage.place.simulator.strikes(fault):
                break
    finally:
        stage.place.simulator.clear_faults()
    assert complaints(stage.mount.log[said_before:], "list") == []
