"""A terminal for programs that want one."""

import os
import pty
import select
import subprocess
import termios
import time
from pathlib import Path

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
