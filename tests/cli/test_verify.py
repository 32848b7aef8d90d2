import json

import pytest

from tests.cli.running import Account
from tests.cli.test_get import of_track
from twfs.cli.main import main
from twfs.cli.verify import record_of, table_of
from twfs.crypto.key_file import parse_key_file
from twfs.crypto.keypair import generate_key_pair
from twfs.resources import Kind, Medium
from twfs.simulator.faults import Fault
from twfs.transfer.outcome import Ending, Outcome
from twfs.transfer.proof import Md5

MEDIUM = Medium("RT" + "1" * 32, Kind.RECORDING)


def test_everything(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", account.source, "--all", *account.flags]) == 1  # one is locked
    *rows, sums = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["SID", "SIZE", "OUTCOME", "LENGTH", "PADDING", "MD5", "KEY", "REASON"]
    assert len(rows) == 1 + 13
    assert sums.startswith("1 absent, 1 locked, 11 verified; 2.5M in ")
    of = {row.split()[0]: row for row in rows}
    assert " locked " in of[of_track(account, "dave-lost-key")]
    assert " absent " in of[of_track(account, "dave-muted")]
    assert " multipart " in of[of_track(account, "dave-screen")]
    assert "private_key.pem (" in of[of_track(account, "erin-screen")]
    assert "not encrypted" in of[of_track(account, "bob-phone")]


def test_costs_and_report(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sids = [of_track(account, "erin-screen"), of_track(account, "bob-phone")]
    assert main(["verify", account.source, *sids, "--json", *account.flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["endings"] == {"verified": 2}
    screen, phone = report["media"]
    assert (screen["sid"], screen["size"], screen["stored_size"]) == (sids[0], 760194, 760208)
    assert (screen["length"], screen["padding"], screen["md5"]) == ("ok", "ok", "ok")
    assert len(screen["key_fingerprint"]) == 64
    assert (phone["padding"], phone["key"], phone["md5"]) == ("not encrypted", None, "ok")
    simulator = account.simulated.simulator
    assert simulator.bytes_sent("s3") <= 1.02 * (760208 + 66286)
    assert simulator.count("api.media") == 2


def test_a_track_without_media_is_nothing_bad_by_its_name_either(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    sid = of_track(account, "dave-muted")
    assert main(["verify", account.source, sid, *account.flags]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1].split()[:3] == [sid, "-", "absent"]
    assert "1 absent; " in shown.out
    assert shown.err == ""


def test_without_md5(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    sid = of_track(account, "erin-screen")
    assert main(["verify", account.source, sid, "--no-md5", "--json", *account.flags]) == 0
    assert json.loads(capsys.readouterr().out)["media"][0]["md5"] == "unasked"


def test_failures_do_not_spoil_the_others(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = of_track(account, "erin-voice"), of_track(account, "erin-screen")
    account.simulated.simulator.inject(Fault("api.media", status=500, times=None, match=bad))
    assert main(["verify", account.source, bad, good, "--json", "--timeout", "3", *account.flags]) == 1
    first, second = json.loads(capsys.readouterr().out)["media"]
    assert (first["outcome"], second["outcome"]) == ("failed", "verified")
    assert first["reason"]


@pytest.mark.usefixtures("home")
def test_nothing_to_do_is_said(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", account.source, "--all", "--until", "2000-01-01", *account.flags]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("nothing to do; 0 in 0:00")


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 2
    assert "name either SIDs, or --all" in capsys.readouterr().err


def test_table_and_record() -> None:
    (key,) = parse_key_file(generate_key_pair(1024).private, None, "/keys/a\x1b.pem").keys
    good = Outcome(MEDIUM, Ending.VERIFIED, plain_size=1536, md5=Md5.OK, private_key=key)
    bad = Outcome(MEDIUM, Ending.DAMAGED, "its MD5 is not the ETag")
    _, first, second = table_of([good, bad]).splitlines()
    assert first.split()[1:6] == ["1.5K", "verified", "ok", "ok", "ok"]
    assert f"/keys/a\\x1b.pem ({key.fingerprint[:16]})" in first
    assert second.split()[1:7] == ["-", "damaged", "-", "-", "-", "-"]
    assert second.endswith("its MD5 is not the ETag")
    assert record_of(bad)["length"] is None
