import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from twfs.cli.install import HELPERS
from twfs.cli.main import COMMANDS, main

SOURCE = "twilio:AC" + "1" * 32
UNITS = "usr/local/lib/systemd/system"
SHARE = "usr/local/share"
MARKED = {
    *(f"sbin/{name}" for name in HELPERS),
    f"{UNITS}/twfs@.service",
    f"{SHARE}/man/man1/twfs.1",
    f"{SHARE}/bash-completion/completions/twfs",
    f"{SHARE}/zsh/site-functions/_twfs",
    f"{SHARE}/fish/vendor_completions.d/twfs.fish",
}
CONFIGURATION = {"etc/twfs/config.toml", "etc/twfs/credentials"}
UPDATEDB = 'PRUNEFS="NFS afs"\n'


def install(prefix: Path, *words: str) -> int:
    return main(["install", "--prefix", str(prefix), *words])


def files(prefix: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of all files."""
    return {
        str(path.relative_to(prefix)): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in prefix.rglob("*")
        if path.is_file()
    }


def test_there_and_back_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    assert files(tmp_path).keys() == MARKED | CONFIGURATION
    assert capsys.readouterr().out.count(": installed\n") == len(MARKED | CONFIGURATION)
    assert install(tmp_path, "--uninstall") == 0
    assert capsys.readouterr().out.count(": removed\n") == len(MARKED | CONFIGURATION)
    assert list(tmp_path.iterdir()) == []


def test_all_commands_are_told_of(tmp_path: Path) -> None:
    install(tmp_path)
    for name in (f"{SHARE}/man/man1/twfs.1", f"{SHARE}/bash-completion/completions/twfs"):
        told = (tmp_path / name).read_text().replace("\\-", "-")
        assert [command for command in COMMANDS if command not in told] == []


def test_what_others_have_there_stays(tmp_path: Path) -> None:
    for name in ("sbin/mount.nfs", f"{SHARE}/man/man1/other.1", "etc/fstab"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("of others\n")
    before = files(tmp_path)
    install(tmp_path)
    install(tmp_path, "--uninstall")
    assert files(tmp_path) == before


def test_twice_is_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    capsys.readouterr()
    assert install(tmp_path) == 0
    assert capsys.readouterr().out.count(": was there already\n") == len(MARKED | CONFIGURATION)
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before


def test_uninstalling_nothing_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path, "--uninstall") == 0
    assert capsys.readouterr().out.count(": was not there\n") == len(MARKED | CONFIGURATION)
    assert list(tmp_path.iterdir()) == []


def test_modes_hold_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        install(tmp_path)
    finally:
        os.umask(before)
    modes = {name: mode for name, (mode, _) in files(tmp_path).items()}
    assert {name for name, mode in modes.items() if mode == 0o755} == {f"sbin/{name}" for name in HELPERS}
    assert {name for name, mode in modes.items() if mode == 0o600} == {"etc/twfs/credentials"}
    assert set(modes.values()) == {0o755, 0o644, 0o600}
    folders = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*/")}
    assert folders.pop("etc/twfs/keys") == 0o700
    assert set(folders.values()) == {0o755}


@pytest.mark.parametrize("name", sorted(MARKED))
def test_older_file_is_replaced(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    path = tmp_path / name
    new = path.read_text()
    path.write_text(f"{new}# older\n")
    path.chmod(0o600)
    capsys.readouterr()
    assert install(tmp_path) == 0
    assert path.read_text() == new
    assert path.stat().st_mode & 0o777 == (0o755 if name.startswith("sbin/") else 0o644)
    assert f"{path}: replaced\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(CONFIGURATION))
def test_configuration_is_the_administrators(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    (tmp_path / name).write_text("# mine\n")
    (tmp_path / "etc/twfs/keys/private_key.pem").touch()
    assert install(tmp_path) == 0
    assert (tmp_path / name).read_text() == "# mine\n"
    capsys.readouterr()
    assert install(tmp_path, "--uninstall") == 0
    assert "kept, for it was changed" in capsys.readouterr().out
    assert files(tmp_path).keys() == {name, "etc/twfs/keys/private_key.pem"}


@pytest.mark.parametrize("words", [[], ["--uninstall"]])
@pytest.mark.parametrize("name", sorted(MARKED))
def test_file_of_others_is_left_alone(
    tmp_path: Path, name: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing else is done: a half installation is worse than none."""
    foreign = tmp_path / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("#!/bin/sh\n")
    assert install(tmp_path, *words) == 2
    assert "not from twfs install" in capsys.readouterr().err
    assert files(tmp_path) == {name: (0o644, b"#!/bin/sh\n")}


def test_updatedb_passes_over_twfs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "etc/updatedb.conf"
    conf.parent.mkdir()
    conf.write_text(UPDATEDB)
    conf.chmod(0o640)
    for _ in range(2):
        install(tmp_path)
        assert conf.read_text() == 'PRUNEFS="NFS afs fuse.twfs"\n'
        assert conf.stat().st_mode & 0o777 == 0o640
    for _ in range(2):
        install(tmp_path, "--uninstall")
        assert conf.read_text() == UPDATEDB
    out = capsys.readouterr().out
    assert [out.count(word) for word in ("passes over twfs", "looks into twfs", "is as it should be")] == [1, 1, 2]


def test_enabled_instances_go_with_the_unit(tmp_path: Path) -> None:
    install(tmp_path)
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "twfs@clinic.service").symlink_to(f"/{UNITS}/twfs@.service")
    (wants / "ssh.service").symlink_to("/lib/systemd/system/ssh.service")
    install(tmp_path, "--uninstall")
    assert [path.name for path in wants.iterdir()] == ["ssh.service"]


def test_what_units_made_goes_with_them(tmp_path: Path) -> None:
    install(tmp_path)
    for name in ("var/cache/twfs/clinic/AC1.sqlite3", "var/cache/other", "srv/twfs/used/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "srv/twfs/clinic").mkdir()
    install(tmp_path, "--uninstall")
    assert files(tmp_path).keys() == {"var/cache/other", "srv/twfs/used/file"}
    assert not (tmp_path / "srv/twfs/clinic").exists()


def test_unit_runs_this_very_python(tmp_path: Path) -> None:
    install(tmp_path)
    unit = (tmp_path / UNITS / "twfs@.service").read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    program = line.removeprefix("ExecStart=").split(" mount ")[0]
    assert "/usr/bin/twfs" not in unit
    done = subprocess.run([*program.split(), "--version"], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout.startswith("twfs ")


def test_layout_of_a_package(tmp_path: Path) -> None:
    """Its files are known as the package's: `twfs install` neither replaces nor removes them."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/updatedb.conf").write_text(UPDATEDB)
    (tmp_path / "sbin").symlink_to("usr/sbin")
    assert install(tmp_path, "--package", "/usr/lib/twfs") == 0
    found = files(tmp_path)
    assert found["usr/bin/twfs"][0] == 0o755
    assert b"exec /usr/lib/twfs/bin/python3 -I -X twfs=/usr/bin/twfs -m twfs " in found["usr/bin/twfs"][1]
    assert b"\nExecStart=/usr/bin/twfs mount " in found["usr/lib/systemd/system/twfs@.service"][1]
    assert "usr/share/doc/twfs/examples/srv-recordings.automount" in found
    assert found["etc/updatedb.conf"][1] == UPDATEDB.encode()
    assert not any(name.startswith("usr/local/") for name in found)
    assert install(tmp_path) == 2
    assert install(tmp_path, "--uninstall") == 2
    assert files(tmp_path) == found


@pytest.mark.parametrize("name", HELPERS)
def test_installed_helper_runs_in_any_folder_and_environment(tmp_path: Path, name: str) -> None:
    """A folder twfs in the working directory must not be what root runs."""
    install(tmp_path)
    (tmp_path / "twfs").mkdir()
    (tmp_path / "twfs/__init__.py").write_text("raise SystemExit(99)\n")
    helper = tmp_path / "sbin" / name
    assert os.access(helper, os.X_OK)
    done = subprocess.run(
        [helper, SOURCE, "/mnt", "-f", "-o", "ro,cache_size=1G"],
        cwd=tmp_path,
        env={"HOME": "", "PATH": "/sbin", "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
