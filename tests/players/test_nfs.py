"""NFS-Ganesha hands the mount on to other machines, as the README's export says; libnfs is the other machine."""

import grp
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.harness import PATIENCE
from tests.players.cinema import LOST, READERS, VOICE, Cinema
from tests.players.readme import example
from tests.players.servers import answers, free_port, is_installed, running
from twfs.simulator.samples import sample_bytes

pytestmark = [
    pytest.mark.skipif(
        not is_installed("ganesha.nfsd", "nfs-cat"),
        reason="needs NFS: Debian packages nfs-ganesha, nfs-ganesha-vfs and libnfs-utils",
    ),
    pytest.mark.parametrize("cinema", [{"noforget": "yes"}], indirect=True),
]

_SERVER = """\
NFS_CORE_PARAM {{
    Bind_addr = 127.0.0.1;
    NFS_Port = {port};
    Protocols = 4;
    Enable_NLM = false;
    Enable_RQUOTA = false;
}}
NFSV4 {{
    Graceless = true;
    RecoveryRoot = "{folder}";
}}
{export}
"""


@dataclass(frozen=True, slots=True)
class Export:
    """The mount as another machine sees it."""

    port: int

    def do(self, program: str, path: str) -> subprocess.CompletedProcess[bytes]:
        """What one of libnfs' programs makes of a path from the mountpoint on, for a user who may read."""
        reader = grp.getgrnam(READERS).gr_gid
        url = f"nfs://127.0.0.1/recordings/{path}?version=4&nfsport={self.port}&uid={reader}&gid={reader}"
        return subprocess.run([program, url], capture_output=True, timeout=PATIENCE, check=False)


@pytest.fixture
def export(cinema: Cinema, tmp_path: Path) -> Iterator[Export]:
    """The README's, with the mount behind it."""
    folder, port = tmp_path / "ganesha", free_port()
    folder.mkdir()
    configuration = folder / "ganesha.conf"
    text = example("ganesha").replace("/srv/recordings", str(cinema.mount.path))
    configuration.write_text(_SERVER.format(port=port, folder=folder, export=text))
    files = ["-f", str(configuration), "-p", str(folder / "pid"), "-L", str(folder / "log")]
    with running(["ganesha.nfsd", "-F", *files], folder, answers(port)):
        yield Export(port)


def test_films_are_the_originals(cinema: Cinema, export: Export) -> None:
    for name in ("mkv", "mp4"):
        copy = export.do("nfs-cat", cinema.name(name))
        assert copy.stdout == cinema.films[name].path.read_bytes(), copy.stderr


def test_what_the_kernel_has_forgotten_is_found_again(cinema: Cinema, export: Export) -> None:
    for _ in range(2):
        listed = export.do("nfs-ls", "recordings")
        assert listed.stdout.decode().count("RT") == 3, listed.stderr
        assert export.do("nfs-cat", cinema.name(VOICE)).stdout == sample_bytes("voice-opus.mka")
        # As when memory is short: names and inodes that nobody has open are dropped.
        Path("/proc/sys/vm/drop_caches").write_text("2")


def test_what_cannot_be_read_is_an_error(cinema: Cinema, export: Export) -> None:
    refused = export.do("nfs-cat", cinema.name(LOST))
    assert (refused.returncode, refused.stdout) != (0, b"")
    assert refused.stderr
