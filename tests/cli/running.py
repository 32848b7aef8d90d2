"""Commands run as users run them: as processes of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from twfs.cli.simulated import PROFILE, Simulated

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Account:
    """A simulated account, and how commands are told of it."""

    simulated: Simulated
    source: str = f"twilio:{PROFILE}"

    @property
    def flags(self) -> list[str]:
        return ["--config", str(self.simulated.config_file)]


def python(*words: str | Path, environ: dict[str, str] | None = None, cwd: Path | None = None) -> "Run":
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=os.environ | (environ or {}),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def twfs(*words: str | Path, environ: dict[str, str] | None = None, cwd: Path | None = None) -> "Run":
    return python("-m", "twfs", *words, environ=environ, cwd=cwd)


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        return line
