import ctypes
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.mount.harness import needs_root
from twfs.errors import ConfigError
from twfs.ownership import complaint_about, make_private_folders, refuse_foreign

NOBODY = 65534
USERS = 100
"""A group of the system's, as Debian has them."""
SOMEBODYS_GROUP = 12345


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "a folder"
    place.mkdir()
    path = place / "file"
    path.touch(0o600)
    return path


def test_ones_own_file_is_believed(file: Path) -> None:
    refuse_foreign(file)
    refuse_foreign(file.parent)
    refuse_foreign(file.parent / "missing" / "too")
    refuse_foreign(Path(os.devnull))


def test_relative_paths_and_those_with_dots_are_followed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    refuse_foreign(Path("file"))
    file.chmod(0o666)
    assert complaint_about(Path("../a folder/./file"))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_to_is_refused_with_the_command_that_mends_it(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigError) as refused:
        refuse_foreign(file)
    assert str(refused.value).endswith(f"; run: chmod go-w '{file}'")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_is_believed_itself_must_not_be_writable_not_even_sticky(file: Path, mode: int) -> None:
    file.parent.chmod(mode)
    assert "can be changed by" in str(complaint_about(file.parent))


@pytest.mark.parametrize("mode", [0o777, 0o707])
def test_nor_may_a_folder_on_the_way(file: Path, mode: int) -> None:
    file.parent.chmod(mode)
    assert f"{file.parent} can be changed by everybody" in str(complaint_about(file))
    assert complaint_about(file.parent / "missing")


def test_a_sticky_folder_on_the_way_is_well_for_others_cannot_replace_what_is_mine(file: Path) -> None:
    file.parent.chmod(0o1777)
    refuse_foreign(file)
    refuse_foreign(file.parent / "missing")


@needs_root
def test_what_belongs_to_somebody_else_is_refused(file: Path) -> None:
    os.chown(file, NOBODY, -1)
    file.parent.chmod(0o1777)
    complaint = str(complaint_about(file))
    assert "belongs to nobody, who can change it at any time; run as root: chown root " in complaint
    os.chown(file, 0, -1)
    os.chown(file.parent, NOBODY, -1)
    assert complaint_about(file) == (
        f"{file.parent} belongs to nobody, who can change what is in it at any time;"
        f" give {file} a place in a folder of root's"
    )


@needs_root
@pytest.mark.parametrize(("gid", "is_well"), [(SOMEBODYS_GROUP, False), (USERS, True), (0, False)])
def test_groups_of_the_system_may_write_to_folders_on_the_way(file: Path, gid: int, is_well: bool) -> None:
    os.chown(file.parent, 0, gid)
    file.parent.chmod(0o775)
    assert (complaint_about(file) is None) == is_well


@needs_root
def test_people_in_a_group_of_the_system_are_somebody_else(file: Path, tmp_path: Path) -> None:
    os.chown(file.parent, 0, USERS)
    file.parent.chmod(0o775)
    groups, people = tmp_path / "group", tmp_path / "passwd"
    groups.write_text(f"users:x:{USERS}:\n")
    people.write_text("root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n")
    assert judged(file, groups, people) == "None"
    groups.write_text(f"users:x:{USERS}:alice\n")
    assert (
        judged(file, groups, people)
        == f"{file.parent} can be changed by the group users; run: chmod go-w '{file.parent}'"
    )
    groups.write_text(f"users:x:{USERS}:\n")
    people.write_text(f"root:x:0:0::/:/bin/sh\nalice:x:1000:{USERS}::/:/bin/sh\n")
    assert "by the group users" in judged(file, groups, people)


def judged(file: Path, groups: Path, people: Path) -> str:
    """What is said of a file on a machine with these groups and users."""
    in_place = f"mount --bind {groups} /etc/group && mount --bind {people} /etc/passwd"
    ask = [sys.executable, "-c", _ASK, str(file)]
    command = ["unshare", "--mount", "sh", "-c", f'{in_place} && exec "$@"', "sh", *ask]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


_ASK = "import sys, pathlib; from twfs.ownership import complaint_about as ask; print(ask(pathlib.Path(sys.argv[1])))"


@needs_root
@pytest.mark.parametrize(("user", "is_private"), [("daemon", True), ("nobody", False)])
@pytest.mark.parametrize("name", ["", "config.toml"])
def test_what_ones_private_group_may_write_to_is_ones_own(user: str, name: str, *, is_private: bool) -> None:
    entry = pwd.getpwnam(user)  # Of `nogroup` there are others on every Debian, such as `sync`.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Path(folder) / "open"
        place.mkdir()
        (place / "config.toml").touch()
        for each, mode in ((place, 0o775), (place / "config.toml", 0o664)):
            os.chown(each, entry.pw_uid, entry.pw_gid)
            each.chmod(mode)
        os.seteuid(entry.pw_uid)
        try:
            found = complaint_about(place / name)
        finally:
            os.seteuid(0)
    assert (found is None) == is_private, found


def test_ones_own_links_are_followed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("a folder")
    refuse_foreign(link / "file")
    file.chmod(0o666)
    assert complaint_about(link / "file")
    (tmp_path / "absolute").symlink_to(file)
    assert complaint_about(tmp_path / "absolute")
    (tmp_path / "circle").symlink_to("circle")
    refuse_foreign(tmp_path / "circle")


@needs_root
def test_those_of_others_are_not(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    os.chown(link, NOBODY, -1, follow_symlinks=False)
    assert f"{link} is a symbolic link of nobody, who can change it at any time; run as root: rm {link}" == str(
        complaint_about(link)
    )


def test_missing_folders_are_made_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private_folders(tmp_path / "a/b/c")
    finally:
        os.umask(before)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")} == {0o700}
    make_private_folders(tmp_path / "a/b/c")


@needs_root
def test_in_a_sandbox_without_root_its_folders_are_believed_still() -> None:
    """As in rootless containers: `/` seems to belong to the overflow user there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place in (folder, folder / "state"):
            place.mkdir(exist_ok=True)
            place.chmod(0o700)
            os.chown(place, SOMEBODYS_GROUP, SOMEBODYS_GROUP)
        child = os.fork()
        if child == 0:
            os._exit(_in_user_namespace(SOMEBODYS_GROUP, folder / "state"))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _in_user_namespace(uid: int, folder: Path) -> int:
    """0 if all is as it should be."""
    os.setresuid(uid, uid, uid)
    libc = ctypes.CDLL(None)
    libc.prctl(4, 1, 0, 0, 0)  # or /proc/self would be root's
    if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER
        return 3
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    if Path("/").stat().st_uid in (0, uid):
        return 4
    return 0 if complaint_about(folder) is None and complaint_about(Path("/etc/passwd")) is not None else 5
