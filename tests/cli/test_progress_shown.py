"""The progress that commands show on a terminal, and nowhere else."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Account, twfs
from tests.cli.terminal import lines_of, on_a_terminal
from tests.cli.test_get import is_of_bytes, of_track
from tests.mount.harness import PATIENCE, wait_for
from twfs.simulator.faults import Fault

COMMANDS = {
    "ls": ["ls", "SOURCE"],
    "get": ["get", "SOURCE", "--all", "-o", "OUT"],
    "verify": ["verify", "SOURCE", "--all"],
    "export": ["export", "SOURCE", "OUT"],
    "rm": ["rm", "SOURCE", "--unverified", "SID"],
}


def words_of(command: str, account: Account, out: Path) -> list[str]:
    places = {"SOURCE": account.source, "OUT": str(out), "SID": of_track(account, "erin-screen")}
    return [*(places.get(word, word) for word in COMMANDS[command]), *account.flags]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_listing_that_takes_long_is_shown_as_it_comes(account: Account, tmp_path: Path, command: str) -> None:
    account.simulated.simulator.inject(Fault("api.list", delay=1, match="Compositions"))
    shown = on_a_terminal(*words_of(command, account, tmp_path / "out"))
    assert re.search(r"\r\x1b\[Klisting the account: [1-9][0-9]* media so far", shown)
    assert not any("so far" in line for line in lines_of(shown))


@pytest.mark.parametrize("command", ["get", "verify", "export"])
def test_media_and_bytes_are_counted(account: Account, tmp_path: Path, command: str) -> None:
    account.simulated.simulator.inject(Fault("s3.get", rate=400_000, times=None))
    shown = on_a_terminal(*words_of(command, account, tmp_path / "out"))
    assert re.search(r"\r\x1b\[K[0-9]+ of 13 media", shown)
    assert re.search(r"of 13 media, 1 failed  [0-9.]+[KM] of [0-9.]+M  [0-9]+%", shown)
    assert not any("of 13 media" in line for line in lines_of(shown))


@pytest.mark.parametrize("command", COMMANDS)
def test_no_progress_where_standard_error_is_no_terminal(account: Account, tmp_path: Path, command: str) -> None:
    account.simulated.simulator.inject(Fault("api.list", delay=0.5, match="Compositions"))
    run = twfs(*words_of(command, account, tmp_path / "out"))
    assert "media so far" not in run.err + run.out
    assert "\r" not in run.err + run.out
    assert "\x1b" not in run.err + run.out


def test_decrypt_shows_how_far_it_is(account: Account, tmp_path: Path) -> None:
    """Here to standard output, which is no terminal."""
    stored = account.simulated.simulator.account.medium(of_track(account, "erin-screen")).stored
    assert stored is not None
    with (tmp_path / "encrypted").open("wb") as file:
        # All but its end is a hole: what that decrypts to is of no interest here.
        file.seek(2**29)
        file.write(stored.read(stored.size - 32, stored.size))
    key, iv = (stored.metadata[name] for name in ("x-amz-key", "x-amz-iv"))
    words = ["decrypt", str(tmp_path / "encrypted"), "-o", "-", "--key", key, "--iv", iv]
    with Path(os.devnull).open("wb") as nowhere:
        private_key = str(account.simulated.folder / "private_key.pem")
        shown = on_a_terminal(*words, "--private-key", private_key, stdout=nowhere)
    assert re.search(r"\r\x1b\[K[0-9.]+M of 512\.0M  [0-9]+%", shown)
    assert lines_of(shown) == [""]


@pytest.mark.parametrize("command", ["get", "export"])
def test_ctrl_c_says_how_to_go_on(account: Account, tmp_path: Path, command: str) -> None:
    simulator = account.simulated.simulator
    simulator.inject(slow := Fault("s3.get", stall_after=1000, times=None, match=is_of_bytes))
    # Whoever runs the tests in the background has SIGINT ignored, and so would this command.
    line = ["env", "--default-signal=INT", sys.executable, "-m", "twfs", *words_of(command, account, tmp_path / "out")]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: bool(simulator.strikes(slow)))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "twfs: interrupted; run the same command again to go on; what was fetched is kept"
    simulator.clear_faults()
    assert "11 written" in twfs(*words_of(command, account, tmp_path / "out")).out


def test_what_is_complained_of_meanwhile_stands_in_lines_of_its_own(account: Account, tmp_path: Path) -> None:
    """The log during the listing, and a medium that cannot be had among others that come slowly."""
    simulator = account.simulated.simulator
    simulator.inject(Fault("api.list", delay=0.6, match="Compositions"))
    simulator.inject(Fault("s3.get", rate=400_000, times=None))
    shown = on_a_terminal(*words_of("get", account, tmp_path / "out"), "--log-level", "debug")
    complaints = [line for line in lines_of(shown) if "locked" in line and "absent" not in line]
    assert [line.partition(":")[0] for line in complaints] == ["twfs"]
    assert not any(re.search("media so far.|left.|%.", line) for line in lines_of(shown))
    assert on_a_terminal("ls", account.source, *account.flags, TERM="dumb").count("\x1b") == 0
