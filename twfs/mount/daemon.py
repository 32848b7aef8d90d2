"""Going to the background: the command returns when the mount stands, or with the reason why it does not."""

import fcntl
import json
import logging
import os
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from twfs.errors import TwfsError
from twfs.log import log
from twfs.mount.system import MountFailed
from twfs.threads import starting

_LONGEST_REPORT = 64 * 2**10


def in_background(
    serve: Callable[[Callable[[], None]], None], log_elsewhere: Callable[[], None] = lambda: None
) -> None:
    """Run `serve(ready)` in a process of its own; return when it has called `ready`, and with that `log_elsewhere`.

    Must be called before any thread is started: only the calling thread lives on in the new process.

    Raises:
        MountFailed: `serve` ended before it was ready; its error's message.
    """
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with starting():
        pid = os.fork()
    if pid == 0:
        os.close(read_end)
        _child(serve, write_end, log_elsewhere)
    os.close(write_end)
    _await_report(read_end)


def _await_report(read_end: int) -> None:
    with os.fdopen(read_end, "rb") as pipe:
        text = pipe.read(_LONGEST_REPORT)
    if not text:
        raise MountFailed("the mounting process ended without a word; run with -f -v to see why")
    error = json.loads(text)["error"]
    if error is not None:
        raise MountFailed(error)


def _child(serve: Callable[[Callable[[], None]], None], write_end: int, log_elsewhere: Callable[[], None]) -> None:
    """Serve and exit; never returns into the caller's code, which is the parent's."""
    os.chdir("/")
    _give_up_control_by_the_terminal()
    reported = False

    def report(error: str | None) -> None:
        nonlocal reported
        if not reported:
            reported = True
            os.write(write_end, json.dumps({"error": error}).encode()[:_LONGEST_REPORT])
            os.close(write_end)

    def ready() -> None:
        # Not before: behind an automount autofs holds up all but systemd's own process group until the mount stands.
        os.setsid()
        log_elsewhere()
        _leave_the_terminal()
        report(None)

    code = 0
    try:
        serve(ready)
    except TwfsError as error:
        if reported:
            log.error("the mount ended: %s", error)
        report(str(error))
        code = 1
    except KeyboardInterrupt:
        report("interrupted")
        code = 1
    except BaseException as error:  # noqa: BLE001 - the end of the process
        # While somebody waits at the terminal the report is enough, and a traceback only for who asks for it.
        level = logging.ERROR if reported else logging.DEBUG
        log.log(level, "the mount ended", exc_info=True)
        report(f"unexpected {type(error).__name__}: {error}; run with -f -v to see where")
        code = 1
    finally:
        logging.shutdown()
        os._exit(code)


def _give_up_control_by_the_terminal() -> None:
    """Its end is no longer a SIGHUP here (TIOCNOTTY of ioctl_tty(2)); session and process group stay as they are."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # there is none
        return
    try:
        fcntl.ioctl(terminal, termios.TIOCNOTTY)
    finally:
        os.close(terminal)


def _leave_the_terminal() -> None:
    """Nobody reads the standard streams any more: they go nowhere."""
    with Path(os.devnull).open("r+b", buffering=0) as nowhere:
        for stream in (0, 1, 2):
            os.dup2(nowhere.fileno(), stream)
