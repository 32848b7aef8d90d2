"""What libfuse and fusermount say on standard error, heard so that it can be said in one line with the rest."""

import os

_STANDARD_ERROR = 2
_MOST_BYTES = 64 * 2**10
"""What a pipe holds (pipe(7)); nobody waits for room, what is said beyond is lost."""


class Overheard:
    """Listens from the beginning to `end`; nothing else should write to standard error meanwhile."""

    def __init__(self) -> None:
        """Standard error leads here from now on, that of programs which are started too."""
        self._before = os.dup(_STANDARD_ERROR)
        self._read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.dup2(write_end, _STANDARD_ERROR)
        os.close(write_end)
        self._is_over = False

    def end(self) -> str:
        """Standard error is as before; what was said, in one line, at the first call, and nothing at later ones."""
        if self._is_over:
            return ""
        self._is_over = True
        try:
            said = os.read(self._read_end, _MOST_BYTES)
        except BlockingIOError:
            said = b""
        os.dup2(self._before, _STANDARD_ERROR)
        os.close(self._before)
        os.close(self._read_end)
        return "; ".join(line.strip() for line in said.decode(errors="replace").splitlines() if line.strip())
