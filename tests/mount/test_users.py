import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.harness import needs_root
from twfs.mount.processes import Process
from twfs.mount.system import MountEntry, find_mount
from twfs.mount.users import users_of

pytestmark = needs_root

HOLD = {
    "folder": "import os; os.chdir({0!r})",
    "root": "import os; os.chroot({0!r})",
    "file": "file = open({0!r} + '/file')",
    "mapping": "import mmap; f = open({0!r} + '/file'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); f.close()",
    "deleted file": "import os; f = open({0!r} + '/gone', 'w'); os.unlink({0!r} + '/gone')",
}


@pytest.fixture
def entry(tmp_path: Path) -> Iterator[MountEntry]:
    """A file system, at a path that is hard to write."""
    place = tmp_path / os.fsdecode(b"a \xff\n\\b")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "test", place], check=True)
    (place / "file").write_text("words")
    try:
        found = find_mount(place)
        assert found is not None
        yield found
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("how", HOLD)
def test_whoever_holds_it_is_found(entry: MountEntry, how: str) -> None:
    script = f"{HOLD[how].format(str(entry.mountpoint))}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        users = users_of(entry)
        holder.communicate(b"\n")
    assert [user.pid for user in users] == [holder.pid]
    assert isinstance(users[0], Process)


def test_others_are_not(entry: MountEntry, tmp_path: Path) -> None:
    beside = tmp_path / f"{entry.mountpoint.name} beside"
    beside.mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=beside) as other:
        assert users_of(entry) == []
        other.terminate()
