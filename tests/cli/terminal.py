"""A terminal for programs that want one."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.mount.harness import PATIENCE


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *command: str | Path) -> None:
        self.shown = b""
        self._master, self._slave = pty.openpty()
        environ = os.environ | {"COLUMNS": "160", "LINES": "30", "TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=self._slave, stdout=self._slave, stderr=self._slave, env=environ, start_new_session=True
        )

    def wait_for(self, words: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self._master], [], [], 0.1)[0]:
                self.shown += os.read(self._master, 65536)

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def is_as_before(self) -> bool:
        """Whether keys are shown again, and the screen is the one from before."""
        self.wait_for(b"\x1b[?1049l")
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)


def all_shown(terminal: int) -> str:
    """All that is written to a terminal until nobody can write to it any more: then Linux answers EIO."""
    shown = b""
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            shown += piece
    return shown.decode()


_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_a_terminal(*words: str, columns: int = 80, stdout: IO[bytes] | None = None, **environ: str) -> str:
    """All that a command writes to a terminal, as it is written; to standard error alone, if `stdout` is elsewhere."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "twfs", *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout or theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm"} | environ,
    )
    os.close(theirs)
    shown = all_shown(ours)
    process.wait(PATIENCE)
    os.close(ours)
    return shown


def lines_of(shown: str) -> list[str]:
    """As they stand there in the end."""
    lines = _ESCAPE.sub("", shown).removesuffix("\r\n").split("\r\n")
    return [line.rpartition("\r")[2] for line in lines]
