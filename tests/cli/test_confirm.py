import os
import pty
import subprocess
import sys

import pytest

from tests.cli.running import SECONDS, python
from twfs.cli.confirm import Declined, confirm
from twfs.cli.outcome import ExitCodes, UsageError, run_reported

ASK = "from twfs.cli.confirm import confirm; confirm('Sure?', assume_yes=False); print('done')"


def answered(text: str) -> tuple[int, str]:
    """What a question at a terminal leads to: exit code and standard output."""
    own, terminal = pty.openpty()
    try:
        os.write(own, text.encode())
        done = subprocess.run(
            [sys.executable, "-c", ASK], stdin=terminal, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    finally:
        os.close(terminal)
        os.close(own)
    assert "Sure? [y/N] " in done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("text", ["y\n", "yes\n", " YES \n"])
def test_yes_at_a_terminal(text: str) -> None:
    assert answered(text) == (0, "done\n")


@pytest.mark.parametrize("text", ["\n", "n\n", "yesterday\n", "\x04"])
def test_anything_else_is_no(text: str) -> None:
    code, out = answered(text)
    assert (code, out) == (1, "")


def test_without_a_terminal_nothing_is_asked_and_nothing_done() -> None:
    run = python("-c", ASK)
    assert run.code == 1
    assert run.out == ""
    assert "UsageError: Sure? Nothing was done, for there is no terminal to ask at; say --yes" in run.err


def test_with_yes_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    confirm("Sure?", assume_yes=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("error", "code"), [(Declined("nothing was done"), 1), (UsageError("say --yes"), 2)])
def test_exit_codes(error: Exception, code: int) -> None:
    def fail() -> int:
        raise error

    assert run_reported(fail, "twfs", ExitCodes()) == code
