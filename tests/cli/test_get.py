import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import Account, twfs
from tests.cli.terminal import all_shown
from tests.mount.harness import PATIENCE, customer, new_key, wait_for
from tests.transfer.generated import generated
from twfs.cli.main import main
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount, SimulatedMedium
from twfs.simulator.exchange import Answer, Request
from twfs.simulator.faults import Fault

MIB = 2**20


def readable(account: Account) -> list[SimulatedMedium]:
    """Those of the demo's account that its key opens."""
    simulated = account.simulated.simulator.account
    media = [medium for kind in Kind for medium in simulated.media(kind)]
    return [medium for medium in media if medium.has_media and medium.track_name != "dave-lost-key"]


def of_track(account: Account, name: str) -> str:
    simulated = account.simulated.simulator.account
    return next(medium.sid for medium in simulated.media(Kind.RECORDING) if medium.track_name == name)


def test_one_medium_under_its_own_name(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sid = of_track(account, "erin-screen")
    assert main(["get", account.source, sid, *account.flags]) == 0
    assert (tmp_path / f"{sid}.mkv").read_bytes() == account.simulated.simulator.account.plain(sid)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split() == [sid, "written", "742.4K", "md5", "ok", f"{sid}.mkv"]


@pytest.mark.parametrize(
    ("track", "encryption", "words"),
    [
        ("dave-screen", "AES256", "no MD5 to compare (uploaded in parts)"),
        ("erin-screen", "aws:kms", "no MD5 to compare (the bucket's own key)"),
        ("erin-screen", "AES256", "md5 ok"),
    ],
)
def test_what_the_etag_proves_is_said(
    account: Account, capsys: pytest.CaptureFixture[str], track: str, encryption: str, words: str
) -> None:
    headers = {"x-amz-server-side-encryption": encryption}
    account.simulated.simulator.inject(Fault("s3.get", headers=headers, times=None))
    assert main(["get", account.source, of_track(account, track), "-o", f"{Path.home()}/", *account.flags]) == 0
    assert f"  {words}  " in capsys.readouterr().out


def test_one_medium_under_another_name(account: Account, tmp_path: Path) -> None:
    sid = of_track(account, "erin-voice")
    assert main(["get", account.source, sid, "-o", str(tmp_path / "voice.mka"), *account.flags]) == 0
    assert (tmp_path / "voice.mka").read_bytes() == account.simulated.simulator.account.plain(sid)


def test_a_private_key_is_never_replaced(account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = account.simulated.folder / "private_key.pem"
    before = key.read_bytes()
    (tmp_path / "same").hardlink_to(key)
    for output in (key, tmp_path / "same"):
        assert main(["get", account.source, of_track(account, "erin-voice"), "-o", str(output), *account.flags]) == 2
        assert "is a private key" in capsys.readouterr().err
        assert output.read_bytes() == before


@pytest.mark.parametrize("output", ["new/folder/", "here"])
def test_one_medium_into_a_folder(account: Account, tmp_path: Path, output: str) -> None:
    (tmp_path / "here").mkdir()
    sid = of_track(account, "erin-voice")
    assert main(["get", account.source, sid, "-o", f"{tmp_path}/{output}", *account.flags]) == 0
    assert [path.name for path in (tmp_path / output).iterdir()] == [f"{sid}.mka"]


def test_everything_at_once_and_again(account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["get", account.source, "--all", "-o", str(out), "--json", *account.flags]
    assert main(words) == 1  # one is locked
    first = json.loads(capsys.readouterr().out)
    assert first["endings"] == {"absent": 1, "locked": 1, "written": 11}
    media = readable(account)
    assert len(list(out.iterdir())) == len(media)
    for medium in media:
        path = out / f"{medium.sid}.{medium.container}"
        assert path.read_bytes() == account.simulated.simulator.account.plain(medium.sid)
        assert path.stat().st_mtime == int((medium.date_completed or medium.date_created).timestamp())
    simulator = account.simulated.simulator
    sent = simulator.bytes_sent("s3")
    assert sent <= 1.02 * sum(medium.stored.size for medium in media if medium.stored) + 32 * (len(media) + 1)
    assert main(words) == 1
    second = json.loads(capsys.readouterr().out)
    assert second["endings"] == {"absent": 1, "locked": 1, "unchanged": 11}
    assert simulator.bytes_sent("s3") == sent


def test_filters(account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["get", account.source, "--all", "--kind", "compositions", "-o", str(tmp_path / "out"), *account.flags]
    assert main(words) == 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".mp4", ".webm"}
    assert "2 written; 509.6K in" in capsys.readouterr().out


def test_what_cannot_be_had_is_said(account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    muted, lost = of_track(account, "dave-muted"), of_track(account, "dave-lost-key")
    assert main(["get", account.source, muted, lost, "-o", str(tmp_path / "out"), *account.flags]) == 1
    lines = sorted(capsys.readouterr().err.splitlines())
    assert lines[0].startswith(f"twfs: {muted}: absent: ")
    assert lines[1].startswith(f"twfs: {lost}: locked: the private key at hand does not fit")
    assert list((tmp_path / "out").iterdir()) == []


def test_track_without_media_is_a_failure_only_by_name(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    muted = of_track(account, "dave-muted")
    simulated = account.simulated.simulator.account
    for kind in Kind:
        for medium in simulated.media(kind):
            if medium.sid != muted:
                simulated.delete(medium.sid)
    assert main(["get", account.source, muted, "-o", str(tmp_path), *account.flags]) == 1
    assert f"{muted}: absent: Twilio has no media for it" in capsys.readouterr().err
    assert main(["get", account.source, "--all", "-o", str(tmp_path), *account.flags]) == 0
    shown = capsys.readouterr()
    # It is counted and shown, and cron has nothing to write home about.
    assert shown.err == ""
    assert shown.out.splitlines()[0].startswith(f"{muted}  absent  Twilio has no media for it")
    assert shown.out.splitlines()[1].startswith("1 absent; ")


@pytest.mark.parametrize("command", ["get", "verify", "export"])
@pytest.mark.parametrize("deleted_at", ["api.list", "api.media"])
def test_what_is_deleted_after_it_was_listed_is_no_failure(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, deleted_at: str
) -> None:
    """One medium that nothing was known of, and one whose envelope, size and ETag were."""
    simulator, sid = account.simulated.simulator, of_track(account, "erin-screen")
    simulator.account.delete(of_track(account, "dave-lost-key"))
    if deleted_at == "api.media":
        assert main(["verify", account.source, sid, *account.flags]) == 0

    def deleting(answer: Answer) -> Answer:
        simulator.account.delete(sid)
        return answer

    match = "Recordings" if deleted_at == "api.list" else sid
    simulator.inject(fault := Fault(deleted_at, alter=deleting, match=match))
    capsys.readouterr()
    words = {"get": ["--all", "-o", str(tmp_path / "out")], "verify": ["--all"], "export": [str(tmp_path / "out")]}
    assert main([command, account.source, *words[command], *account.flags]) == 0
    assert simulator.strikes(fault) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    counted = "2 skipped (2 without media)" if command == "export" else "2 absent, "
    assert counted in shown.out.splitlines()[-1]


SID = "RT" + "1" * 32


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name either SIDs, or --all"),
        (["twilio:demo"], "name either SIDs, or --all"),
        (["--all", SID], "name either SIDs, or --all"),
        (["RT1"], "'RT1' is no SID"),
        ([SID, "-o", ""], "a path is needed"),
        ([SID, "--kind", "recordings"], "--kind selects among --all"),
        (["--all", "--since", "yesterday"], "option since"),
    ],
)
@pytest.mark.usefixtures("home")
def test_usage(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_unknown_sid(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", account.source, SID, *account.flags]) == 1
    assert f"{SID}: Twilio lists no completed" in capsys.readouterr().err


@pytest.mark.parametrize(("output", "complaint"), [("-", "name one"), ("/dev/null", "/dev/null is no regular file")])
def test_goals_that_are_no_files(
    account: Account, capsys: pytest.CaptureFixture[str], output: str, complaint: str
) -> None:
    sid = of_track(account, "erin-voice")
    assert main(["get", account.source, sid, "-o", output, *account.flags]) != 0
    assert complaint in capsys.readouterr().err
    assert not Path("/dev/null").is_file()


def test_several_media_do_not_fit_into_a_file(account: Account, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    assert main(["get", account.source, "--all", "-o", str(tmp_path / "file"), *account.flags]) == 2
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_no_progress_line_where_there_is_no_terminal(account: Account, tmp_path: Path) -> None:
    run = twfs("get", account.source, of_track(account, "erin-screen"), "-o", tmp_path / "a", *account.flags)
    assert (run.code, run.err) == (0, "")
    assert len(run.out.splitlines()) == 1


def test_progress_on_a_terminal_is_written_over_and_gone_at_the_end(account: Account, tmp_path: Path) -> None:
    account.simulated.simulator.inject(Fault("s3.get", rate=1_000_000, times=None))
    sid = of_track(account, "erin-screen")
    command = [sys.executable, "-m", "twfs", "get", account.source, sid, "-o", str(tmp_path / "a"), *account.flags]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=os.environ)
    os.close(theirs)
    shown = all_shown(ours)
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(ours)
    assert process.returncode == 0
    assert len(out.splitlines()) == 1
    assert re.search(r"[0-9.]+K of 742\.4K  [0-9]+%", shown)
    assert shown.endswith("\r\x1b[K")
    assert "\n" not in shown


def test_memory_does_not_grow_with_the_medium(tmp_path: Path) -> None:
    key = new_key()

    def peak(size: int) -> int:
        folder = tmp_path / str(size)
        folder.mkdir()
        large = generated(size, key.public_key())
        simulated = SimulatedAccount()
        sid = simulated.add_recording(large)
        command = (
            "import resource, sys; from twfs.cli.main import main; code = main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
        )
        with customer(folder, simulated, key) as place:
            flags = [f"--{name.replace('_', '-')}={value}" for name, value in place.options.items()]
            words = ["get", place.source, sid, "-o", str(folder / "a"), "--cache-size", "16M", *flags]
            done = subprocess.run([sys.executable, "-c", command, *words], capture_output=True, check=True, text=True)
        with (folder / "a").open("rb") as file:
            assert hashlib.file_digest(file, "md5").hexdigest() == large.plain_md5()
        return int(done.stdout.splitlines()[-1]) * 1024

    assert peak(160 * MIB) < peak(32 * MIB) + 16 * MIB


def test_refused_credentials_are_not_tried_for_every_medium(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    account.simulated.simulator.inject(Fault("api.media", status=401, times=None))
    words = ["get", account.source, "--all", "-o", str(tmp_path), "--connections", "1", *account.flags]
    assert main(words) == 1
    assert account.simulated.simulator.count("api.media") == 1
    assert "12 of 13 media were not begun" in capsys.readouterr().err


def is_of_bytes(request: Request) -> bool:
    """Whether it is no probe."""
    return not request.headers["range"].startswith("bytes=-")


def test_ctrl_c_leaves_the_beginning_only_and_is_gone_on_from(account: Account, tmp_path: Path) -> None:
    sid = of_track(account, "erin-screen")
    simulator = account.simulated.simulator
    simulator.inject(slow := Fault("s3.get", stall_after=200_000, times=None, match=is_of_bytes))
    # Whoever runs the tests in the background has SIGINT ignored, and so would this command.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "twfs", "get", account.source, sid]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "a"), *account.flags, "--cache-size", "8M"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    wait_for(lambda: bool(simulator.strikes(slow)))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=PATIENCE)
    # Sooner than `timeout`, 30 s.
    assert time.monotonic() - began < 20
    assert (process.returncode, out) == (130, "")
    assert err == "twfs: interrupted; run the same command again to go on; what was fetched is kept\n"
    assert not (tmp_path / "a").exists()
    assert all(path.name.startswith(".a.") and path.suffix == ".part" for path in tmp_path.glob(".a*"))
    simulator.clear_faults()
    assert twfs("get", account.source, sid, "-o", tmp_path / "a", *account.flags).code == 0
    assert (tmp_path / "a").read_bytes() == simulator.account.plain(sid)
    assert list(tmp_path.glob(".a*")) == []


def test_killed_download_is_gone_on_from(tmp_path: Path, account: Account) -> None:
    sid = of_track(account, "erin-screen")
    simulator = account.simulated.simulator
    plain = simulator.account.plain(sid)
    assert main(["get", account.source, sid, "-o", str(tmp_path / "whole"), *account.flags]) == 0
    simulator.inject(Fault("s3.get", stall_after=200_000, times=None, match=is_of_bytes))
    command = [sys.executable, "-m", "twfs", "get", account.source, sid, "-o", str(tmp_path / "a"), *account.flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    wait_for(lambda: bool(list(tmp_path.glob(".a.*"))))
    process.kill()
    process.wait(PATIENCE)
    assert not (tmp_path / "a").exists()
    (part,) = tmp_path.glob(".a*")
    # What a longer download would have left.
    part.write_bytes(plain[:500_000])
    simulator.clear_faults()
    simulator.clear_requests()
    assert main(["get", account.source, sid, "-o", str(tmp_path / "a"), *account.flags]) == 0
    assert (tmp_path / "a").read_bytes() == plain
    assert simulator.bytes_sent("s3") < len(plain) - 500_000 + 2 * 128 * 1024


def test_complaints_that_nobody_takes_do_not_end_it(account: Account, tmp_path: Path) -> None:
    words = ["get", account.source, "--all", "-o", str(tmp_path), "--connections", "1", *account.flags]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "twfs", *words],
            stdout=subprocess.DEVNULL,
            stderr=full,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert {path.stem for path in tmp_path.glob("[RC]*")} == {medium.sid for medium in readable(account)}
