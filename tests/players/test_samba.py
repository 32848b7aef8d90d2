"""Samba hands the mount on to other machines, as the README's share says."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.harness import run
from tests.players.cinema import READERS, VOICE, Cinema
from tests.players.readme import example
from tests.players.servers import answers, free_port, is_installed, running
from twfs.simulator.faults import Fault
from twfs.simulator.samples import sample_bytes

pytestmark = pytest.mark.skipif(
    not is_installed("smbd", "smbclient"), reason="needs Samba: Debian packages samba and smbclient"
)

USER, PASSWORD = "www-data", "a password"
"""A user of the group that may read the mount."""

_SERVER = """\
[global]
    server role = standalone server
    server min protocol = SMB3
    disable netbios = yes
    load printers = no
    printcap name = /dev/null
    interfaces = lo
    bind interfaces only = yes
    smb ports = {port}
    passdb backend = tdbsam:{folder}/passdb.tdb
    private dir = {folder}
    lock directory = {folder}
    state directory = {folder}
    cache directory = {folder}
    pid directory = {folder}
    ncalrpc dir = {folder}/ncalrpc
    log file = {folder}/log
{share}
"""


@dataclass(frozen=True, slots=True)
class Share:
    """The mount as another machine sees it."""

    port: int
    folder: Path

    def do(self, *commands: str) -> str:
        """What smbclient prints when it is told these; it must succeed."""
        done = self.attempt(*commands)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *commands: str) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes of it."""
        address = ["smbclient", "//127.0.0.1/recordings", "--port", str(self.port), "--user", f"{USER}%{PASSWORD}"]
        return run([*address, "--configfile", str(self.folder / "smb.conf"), "--command", "; ".join(commands)])


@pytest.fixture
def share(cinema: Cinema, tmp_path: Path) -> Iterator[Share]:
    """The README's, with the mount behind it."""
    place = Share(free_port(), tmp_path / "samba")
    place.folder.mkdir()
    section = example("samba").replace("/srv/recordings", str(cinema.mount.path)).replace("@recordings", f"@{READERS}")
    configuration = place.folder / "smb.conf"
    configuration.write_text(_SERVER.format(port=place.port, folder=place.folder, share=section))
    passwords = f"printf '%s\\n%s\\n' '{PASSWORD}' '{PASSWORD}'"
    added = run(["sh", "-c", f"{passwords} | pdbedit -s {configuration} -a -t -u {USER}"])
    assert added.returncode == 0, added.stdout + added.stderr
    server = ["smbd", "--foreground", "--no-process-group", "--configfile", str(configuration)]
    with running(server, place.folder, answers(place.port)):
        yield place


def test_a_whole_film_is_the_original(cinema: Cinema, share: Share, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    share.do(f'get "{cinema.name("mkv")}" "{copy}"')
    assert copy.read_bytes() == cinema.films["mkv"].path.read_bytes()


def test_a_part_is_right_and_costs_what_it_is(cinema: Cinema, share: Share, tmp_path: Path) -> None:
    original, copy = cinema.films["mp4"].path.read_bytes(), tmp_path / "copy"
    copy.write_bytes(original[:-100_000])
    share.do(f'reget "{cinema.name("mp4")}" "{copy}"')
    assert copy.read_bytes() == original
    assert cinema.fetched() < 8 * 2**20


def test_names_and_sizes_are_those_of_the_mount(cinema: Cinema, share: Share) -> None:
    for name, film in cinema.films.items():
        assert f" {film.size} " in share.do(f'ls "{cinema.name(name)}"')


def test_the_status_is_nobodys_business(share: Share, tmp_path: Path) -> None:
    assert ".twfs" not in share.do("ls")
    assert share.attempt(f'get ".twfs/status" "{tmp_path}/copy"').returncode != 0


def test_nothing_can_be_changed(cinema: Cinema, share: Share, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    assert share.attempt(f'put "{tmp_path}/new" recordings/new.mkv').returncode != 0
    share.attempt(f'rm "{cinema.name("mkv")}"')
    assert cinema.path("mkv").exists()


def test_an_outage_is_an_error_not_a_short_film(cinema: Cinema, share: Share, tmp_path: Path) -> None:
    cinema.path("mkv").stat()
    cinema.simulator.inject(Fault("s3.get", status=403, times=None))
    assert share.attempt(f'get "{cinema.name("mkv")}" "{tmp_path}/copy"').returncode != 0


def test_links_lead_on(cinema: Cinema, share: Share, tmp_path: Path) -> None:
    share.do(f'get "{cinema.link(VOICE)}" "{tmp_path}/copy"')
    assert (tmp_path / "copy").read_bytes() == sample_bytes("voice-opus.mka")
