import os
import stat
from pathlib import Path

import pytest

from tests.mount.harness import needs_root
from twfs.catalog.state_file import check_state, make_private
from twfs.errors import ConfigError

NOBODY = 65534


def test_a_new_file_is_private_with_its_folders_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a/b/state.sqlite3"
    before = os.umask(0)
    try:
        make_private(path)
    finally:
        os.umask(before)
    check_state(path)
    assert {stat.S_IMODE(place.stat().st_mode) for place in path.parents[:2]} == {0o700}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "state.sqlite3", "state.sqlite3-wal", "state.sqlite3-shm"])
def test_what_others_can_write_to_is_refused_and_never_used(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "state"
    make_private(folder / "state.sqlite3")
    place = folder / name
    if name:
        place.touch()
    place.chmod(place.stat().st_mode | 0o022)
    with pytest.raises(ConfigError, match=r"^state_dir: .*; run: chmod go-w .*; or give another folder"):
        check_state(folder / "state.sqlite3")
    with pytest.raises(PermissionError, match="can be changed by everybody"):
        make_private(folder / "state.sqlite3")


@needs_root
def test_so_is_what_belongs_to_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "state/state.sqlite3"
    make_private(path)
    for place in (path, path.parent):
        os.chown(place, NOBODY, -1)
        with pytest.raises(ConfigError, match=f"^state_dir: {place} belongs to nobody"):
            check_state(path)
        os.chown(place, 0, -1)
    check_state(path)
