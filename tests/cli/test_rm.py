import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import SECONDS, Account, twfs
from tests.transfer.rig import Corrupted
from twfs.cli.main import main
from twfs.resources import Kind
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject


def left(account: Account) -> set[str]:
    """SIDs of completed media that Twilio still has."""
    simulated = account.simulated.simulator.account
    return {medium.sid for kind in Kind for medium in simulated.media(kind) if medium.status == "completed"}


def readable(account: Account) -> list[str]:
    """Some that this account's key opens."""
    simulated = account.simulated.simulator.account
    return [medium.sid for medium in simulated.media(Kind.COMPOSITION)]


def told(account: Account) -> str:
    """By which words a command is about this account."""
    return shlex.join([account.source, *account.flags])


def rm(account: Account, *words: str) -> int:
    return main(["rm", account.source, *words, *account.flags])


def deletions(account: Account) -> int:
    return account.simulated.simulator.count("api.delete")


def test_what_was_not_verified_stays(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sid, before = readable(account)[0], left(account)
    assert rm(account, sid, "--yes") == 1
    assert (left(account), deletions(account)) == (before, 0)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"twfs: {sid} is not deleted: nothing proves that all of it can be read; run `")
    assert f"twfs verify {told(account)} {sid}` first" in first
    assert f"twfs rm {told(account)} {sid} --unverified`" in first
    assert second == "twfs: 1 of 1 media were not deleted"


def test_what_it_suggests_can_be_pasted_in_any_folder(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(account.simulated.folder)
    assert main(["rm", account.source, readable(account)[0], "--yes", "--config", "config.toml", "--timeout=20"]) == 1
    verify, rm_all_the_same = re.findall("`([^`]+)`", capsys.readouterr().err)
    assert deletions(account) == 0
    subprocess.run(verify, shell=True, cwd=tmp_path, check=True)
    subprocess.run(f"{rm_all_the_same} --yes", shell=True, cwd=tmp_path, check=True)
    assert deletions(account) == 1


def test_one_404_deletes_nothing(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sid, before = readable(account)[0], left(account)
    account.simulated.simulator.inject(Fault("api.media", status=404))
    assert rm(account, sid, "--yes") == 1
    assert (left(account), deletions(account)) == (before, 0)
    assert f"twfs rm {told(account)} {sid} --unverified` deletes it all the same" in capsys.readouterr().err


def test_what_verify_found_damaged_stays_and_is_said_to_be_damaged(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    sid, before = readable(account)[0], left(account)
    account.simulated.simulator.account.replace(sid, Corrupted(StoredObject(b"x" * 101), 7))
    assert main(["verify", account.source, sid, *account.flags]) == 1
    capsys.readouterr()
    assert rm(account, sid, "--yes") == 1
    assert (left(account), deletions(account)) == (before, 0)
    refusal = capsys.readouterr().err
    assert "reading it whole found it damaged (its MD5 is not the ETag" in refusal
    assert f"twfs verify {told(account)} {sid}` reads it anew" in refusal
    assert rm(account, sid, "--yes", "--unverified") == 0
    assert f"twfs: {sid}: reading it whole found it damaged: its MD5 is not the ETag" in capsys.readouterr().err


def test_what_was_replaced_since_it_was_verified_stays(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sid, before = readable(account)[0], left(account)
    assert main(["verify", account.source, sid, *account.flags]) == 0
    account.simulated.simulator.account.replace(sid, StoredObject(b"another object"))
    assert rm(account, sid, "--yes") == 1
    assert (left(account), deletions(account)) == (before, 0)
    assert f"{sid} is not deleted: it was replaced since" in capsys.readouterr().err
    assert rm(account, sid, "--yes") == 1
    assert f"{sid} is not deleted: nothing proves" in capsys.readouterr().err


def test_what_s3_names_by_no_etag_goes_only_without_proof(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sid, before = readable(account)[0], left(account)
    account.simulated.simulator.inject(Fault("s3.get", headers={"ETag": None}, times=None))
    assert main(["verify", account.source, sid, *account.flags]) == 0
    assert rm(account, sid, "--yes") == 1
    assert (left(account), deletions(account)) == (before, 0)
    assert "S3 sends no ETag" in capsys.readouterr().err


def test_what_verify_has_proven_is_deleted(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sid, before = readable(account)[0], left(account)
    assert main(["verify", account.source, sid, *account.flags]) == 0
    capsys.readouterr()
    assert rm(account, sid, "--yes") == 0
    assert left(account) == before - {sid}
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert f"{sid}: deleted at Twilio, asked for by twfs rm (uid {os.getuid()}, pid {os.getpid()})" in line
    assert shown.out == ""
    assert rm(account, sid, "--yes") == 1
    assert f"{sid}: Twilio lists no completed recording" in capsys.readouterr().err


def test_anything_is_deleted_without_proof_if_told_so(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sids = sorted(left(account))
    assert rm(account, *sids, "--yes", "--unverified") == 0
    assert left(account) == set()
    assert capsys.readouterr().err.count("deleted at Twilio without proof that it was read") == len(sids)


def test_one_that_cannot_be_deleted_spares_no_other(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = readable(account)
    assert main(["verify", account.source, second, *account.flags]) == 0
    before = left(account)
    assert rm(account, first, second, "--yes") == 1
    assert left(account) == before - {second}
    assert "1 of 2 media were not deleted" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "requests"), [(401, 1), (400, 2)])
def test_what_twilio_refuses_is_said_and_refused_credentials_end_it(
    account: Account, capsys: pytest.CaptureFixture[str], status: int, requests: int
) -> None:
    before = left(account)
    account.simulated.simulator.inject(Fault("api.delete", status=status, times=None))
    assert rm(account, *readable(account)[:2], "--yes", "--unverified") == 1
    assert (left(account), deletions(account)) == (before, requests)
    assert f"HTTP {status}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["RT1"], ["AC" + "0" * 32], [], ["--all"], ["--room", "RM" + "0" * 32]])
def test_what_is_no_sid_is_refused(account: Account, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert rm(account, *words, "--yes", "--unverified") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--all" not in line or "--all" in words
    assert account.simulated.simulator.count("api") == 0


def test_one_unknown_medium_and_nothing_is_deleted(account: Account) -> None:
    assert rm(account, readable(account)[0], "RT" + "0" * 32, "--yes", "--unverified") == 1
    assert deletions(account) == 0


def test_without_a_terminal_it_does_not_ask_and_does_nothing(account: Account) -> None:
    done = twfs("rm", account.source, readable(account)[0], "--unverified", *account.flags)
    assert done.code == 2
    assert "say --yes" in done.err
    assert deletions(account) == 0


def at_a_terminal(account: Account, answer: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`twfs rm`; what it says stands in `stdout`, in its order."""
    command = [sys.executable, "-m", "twfs", "rm", account.source, *words, *account.flags]
    own, terminal = pty.openpty()
    try:
        os.write(own, answer.encode())
        return subprocess.run(
            command,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
            env=dict(os.environ),
        )
    finally:
        os.close(terminal)
        os.close(own)


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_what_is_not_proven_is_said_before_it_asks_for_the_others(account: Account, answer: str) -> None:
    verified, other, *_ = readable(account)
    assert main(["verify", account.source, verified, *account.flags]) == 0
    done = at_a_terminal(account, answer, other, verified)
    assert done.returncode == 1
    before, question, after = done.stdout.partition("Delete this medium at Twilio for good? [y/N] ")
    assert question
    assert f"{other} is not deleted: nothing proves" in before
    assert re.search(rf"^{verified} .* verified$", before, re.MULTILINE)
    assert f"{other} " not in after
    assert deletions(account) == (1 if answer == "y\n" else 0)


def test_where_nothing_is_proven_it_does_not_ask(account: Account) -> None:
    done = at_a_terminal(account, "y\n", *readable(account)[:2])
    assert (done.returncode, deletions(account)) == (1, 0)
    assert "[y/N]" not in done.stdout
    assert "2 of 2 media were not deleted" in done.stdout


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_at_a_terminal_it_shows_and_asks(account: Account, answer: str, code: int) -> None:
    sids = readable(account)[:2]
    done = at_a_terminal(account, answer, *sids, "--unverified")
    assert done.returncode == code
    before, question, _ = done.stdout.partition("Delete these 2 media at Twilio for good, even unverified? [y/N] ")
    assert question
    assert all(re.search(rf"^{sid} .* not verified$", before, re.MULTILINE) for sid in sids)
    assert all(len(line) <= 80 for line in before.splitlines())
    assert deletions(account) == (2 if code == 0 else 0)
