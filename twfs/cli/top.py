"""`twfs top`: what a mount does, live."""

import argparse
import json
import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.paths import a_path
from twfs.cli.signalled import Ending, until_signalled
from twfs.cli.values import parsed_by
from twfs.errors import TwfsError
from twfs.invocation import twfs_command
from twfs.mount.system import answer_of, is_mounted, is_stale
from twfs.option import number

_STATUS = ".twfs/status"
_LOOKS = 5
"""Rates are those since so many looks: a player's reads come in bursts."""
_END_KEYS = (b"q", b"Q", b"")
"""Nothing: the terminal has gone."""


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "top",
        help="show live what a mount does",
        description="Show open files, who reads them, how far and how fast, the cache and the network. q ends it.",
    )
    parser.add_argument("directory", metavar="DIR", type=a_path, help="where it is mounted")
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=parsed_by(number(float, 0.1, 3600)),
        default=1.0,
        help="between two looks [1]",
    )
    parser.add_argument("--once", action="store_true", help="show one interval and end")
    add_verbose_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show until it is told to end, or one interval."""
    if arguments.once or not sys.stdout.isatty():
        _show_once(arguments.directory, arguments.interval)
    else:
        _show(arguments.directory, arguments.interval)
    return 0


def _show_once(place: Path, interval: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - no other command waits for rich

    from twfs.cli.top_view import frame  # noqa: PLC0415 - as above

    before = state_of(place)
    time.sleep(interval)
    Console().print(frame(before, state_of(place)))


def _show(place: Path, interval: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - no other command waits for rich

    from twfs.cli.top_view import frame  # noqa: PLC0415 - as above

    past = deque([state_of(place)], maxlen=_LOOKS)
    with (
        until_signalled() as ending,
        _keyboard() as keyboard,
        Live(frame(past[0], past[0]), auto_refresh=False, screen=True) as screen,
    ):
        while not _told_to_end(ending, keyboard, interval):
            now = state_of(place)
            screen.update(frame(past[0], now), refresh=True)
            past.append(now)


@contextmanager
def _keyboard() -> Iterator[int | None]:
    """The keyboard's descriptor, on which each key comes at once and is not shown; None if there is no keyboard."""
    if not sys.stdin.isatty():
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _told_to_end(ending: Ending, keyboard: int | None, seconds: float) -> bool:
    """Whether `q` is pressed, or a signal comes, within some seconds."""
    watched: list[Ending | int] = [ending] if keyboard is None else [ending, keyboard]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ready = select.select(watched, [], [], left)[0]
        if ending in ready:
            return True
        if keyboard is not None and ready and os.read(keyboard, 1) in _END_KEYS:
            return True
    return False


def state_of(place: Path) -> dict[str, Any]:
    """What the mount says of itself.

    Raises:
        TwfsError: no twfs that lives and answers is mounted there, or one that says nothing of open files.
    """
    if not is_mounted(place):
        raise TwfsError(f"{place}: no twfs is mounted there")
    if is_stale(place):
        raise TwfsError(f"{place}: the mount has lost its process; run: {twfs_command('umount', '-l', place)}")
    try:
        state: dict[str, Any] = json.loads(answer_of(place, (place / _STATUS).read_bytes))
    except OSError as error:
        raise TwfsError(f"{place / _STATUS} cannot be read: {error.strerror}") from None
    if "open_files" not in state:
        raise TwfsError(f"{place}: an older twfs is mounted there; mount it anew")
    return state
