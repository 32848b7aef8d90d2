import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from twfs.cli.install import HELPERS
from twfs.cli.main import main

SOURCE = "twilio:AC" + "1" * 32


def install(prefix: Path, *words: str) -> int:
    return main(["install", "--prefix", str(prefix), *words])


def test_there_and_back_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    assert sorted(path.name for path in (tmp_path / "sbin").iterdir()) == sorted(HELPERS)
    assert capsys.readouterr().out.count(": installed\n") == 2
    assert install(tmp_path, "--uninstall") == 0
    assert capsys.readouterr().out.count(": removed\n") == 2
    assert list(tmp_path.iterdir()) == []


def test_twice_is_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    before = [(path.name, path.stat().st_ino) for path in sorted((tmp_path / "sbin").iterdir())]
    capsys.readouterr()
    assert install(tmp_path) == 0
    assert capsys.readouterr().out.count(": was there already\n") == 2
    assert [(path.name, path.stat().st_ino) for path in sorted((tmp_path / "sbin").iterdir())] == before


def test_uninstalling_nothing_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path, "--uninstall") == 0
    assert capsys.readouterr().out.count(": was not there\n") == 2


def test_older_helper_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    path = tmp_path / "sbin/mount.twfs"
    new = path.read_text()
    path.write_text(new.replace("exec ", "exec /old/bin/"))
    capsys.readouterr()
    assert install(tmp_path) == 0
    assert path.read_text() == new
    assert f"{path}: installed\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--uninstall"]])
def test_file_of_others_is_left_alone(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sbin").mkdir()
    foreign = tmp_path / "sbin/mount.twfs"
    foreign.write_text("#!/bin/sh\n")
    assert install(tmp_path, *words) == 2
    assert "not from twfs install" in capsys.readouterr().err
    assert foreign.read_text() == "#!/bin/sh\n"


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
