import json
import re
from pathlib import Path

import pytest
from distributed import LocalCluster

from tests.cli.running import Account
from twfs.cli.export import _need
from twfs.cli.main import main
from twfs.errors import ConfigError
from twfs.invocation import pip_remedy
from twfs.simulator.faults import Fault


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_lines_summary_and_exit_code(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", account.source, str(tmp_path / "x"), *account.flags]) == 1
    shown = capsys.readouterr()
    *lines, summary = shown.out.splitlines()
    assert sorted(line.split("  ")[2] for line in lines) == files(tmp_path / "x")
    assert all(line.startswith("written") and line.isprintable() for line in lines)
    assert summary.startswith("11 written, 1 skipped (1 without media), 1 failed; ")
    (complaint,) = shown.err.splitlines()
    assert "dave-lost-key" in complaint
    assert "the private key at hand does not fit" in complaint


def test_report_in_json_of_a_selection(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", account.source, str(tmp_path / "x"), "--json", "--kind", "compositions", *account.flags]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["destination"], report["written"], report["failed"]) == (str(tmp_path / "x"), 2, 0)
    assert [row["name"] for row in report["media"]] == files(tmp_path / "x")
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == 2


@pytest.mark.filterwarnings("ignore:Creating scratch directories is taking a surprisingly long time")  # on a slow disk
def test_on_a_cluster(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        words = ["export", account.source, str(tmp_path / "x"), "--dask", cluster.scheduler_address, *account.flags]
        assert main(words) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("11 written, 1 skipped (1 without media), 1 failed; ")
    assert len(files(tmp_path / "x")) == 11


def test_outage_exports_nothing_and_says_so(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.simulated.simulator.inject(Fault("api.list", status=500, times=None))
    assert main(["export", account.source, str(tmp_path / "x"), *account.flags, "--timeout", "1"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["export"], "required: DEST"),
        (["export", ""], "argument DEST: a path is needed"),
        (["export", "twilio:clinic"], "argument DEST: 'twilio:clinic' is a source; say where to copy it to, too"),
        (["export", "nonsense://x"], "nonsense://x: no destination: Protocol not known"),
        (["export", "ftp://me:hunter2@host/x"], "DEST holds a password"),
        (["export", "/d", "--since", "yesterday"], "option since"),
    ],
)
def test_usage(words: list[str], complaint: str, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    with_source = [words[0], account.source, *words[1:], *account.flags] if len(words) > 1 else words
    assert main(with_source) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert "hunter2" not in line


def test_no_scheduler(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", account.source, str(tmp_path), "--dask", "nonsense://x", *account.flags]) == 2
    assert "no Dask scheduler at nonsense://x" in capsys.readouterr().err


def test_library_that_is_missing() -> None:
    with pytest.raises(ConfigError, match=re.escape(pip_remedy("no_such_library"))):
        _need("no_such_library")
