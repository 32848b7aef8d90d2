"""Ctrl-C before a command has begun."""

import signal
import subprocess
import sys

import pytest

_CODE = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "twfs.config.load":
            print("in the middle", flush=True)
            os.kill(os.getpid(), signal.SIGINT)
        return None

sys.meta_path.insert(0, Interrupting())
sys.argv = ["twfs", "--version"]
{}
from {} import main
sys.exit(main())
"""


ANSWERED = "signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Python's own beginning, unless who starts it has SIGINT ignored, as a shell does in the background."""


def started(module: str, before: str = ANSWERED) -> subprocess.CompletedProcess[str]:
    """`twfs --version`, interrupted while it imports what it is made of."""
    code = _CODE.format(before, module)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ["twfs.cli.start", "twfs.__main__"])
def test_ctrl_c_while_it_starts_ends_it_without_a_word(module: str) -> None:
    done = started(module)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "in the middle\n", "")


def test_where_it_is_ignored_it_stays_ignored() -> None:
    done = started("twfs.cli.start", "signal.signal(signal.SIGINT, signal.SIG_IGN)")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("in the middle\ntwfs ")


def test_once_it_has_begun_it_is_answered_as_ever() -> None:
    code = f"import signal; {ANSWERED}; from twfs.cli.start import main; main()"
    code += "; print(signal.getsignal(signal.SIGINT).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.endswith("default_int_handler\n")
