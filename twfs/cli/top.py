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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.outcome import UsageError
from twfs.cli.paths import a_path, a_place
from twfs.cli.signalled import Ending, until_signalled
from twfs.cli.tables import console, is_terminal, show
from twfs.cli.values import parsed_by
from twfs.config.profiles import is_source
from twfs.errors import TwfsError
from twfs.invocation import twfs_command
from twfs.mount.system import FSTYPE, MountEntry, answer_of, is_mounted, is_stale, mounts
from twfs.option import number

_STATUS = ".twfs/status"
_WIDTH_OF_A_PIPE = 160
"""Columns in which no name is cut."""
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
    parser.add_argument(
        "mount",
        metavar="SOURCE|DIR",
        nargs="?",
        type=a_place,
        help="what is mounted, or where [the only twfs that is mounted]",
    )
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
    place = place_of(arguments.mount, mounts())
    if arguments.once or not sys.stdout.isatty():
        _show_once(place, arguments.interval)
    else:
        _show(place, arguments.interval)
    return 0


def place_of(word: str | None, entries: Iterable[MountEntry]) -> Path:
    """Where the mount is that is meant by SOURCE, by DIR, or by nothing if there is but one.

    Raises:
        TwfsError: no twfs of that source is mounted.
        UsageError: several are.
    """
    if word is not None and not is_source(word):
        return a_path(word)
    ours = (entry for entry in entries if entry.fstype == FSTYPE and word in (None, entry.source))
    places = sorted({entry.mountpoint for entry in ours})
    if not places:
        what = f"{word} is not mounted" if word else "no twfs is mounted"
        raise TwfsError(f"{what}; how to mount it says: {twfs_command('help', 'mount')}")
    if len(places) > 1:
        raise UsageError(f"several are mounted, at {', '.join(map(str, places))}; name one DIR")
    return places[0]


def _show_once(place: Path, interval: float) -> None:
    from twfs.cli.top_view import frame  # noqa: PLC0415 - needs rich, which no other command waits for

    before = state_of(place)
    time.sleep(interval)
    show(frame(before, state_of(place)), width=None if is_terminal() else _WIDTH_OF_A_PIPE)


def _show(place: Path, interval: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - no other command waits for rich

    from twfs.cli.top_view import frame  # noqa: PLC0415 - as above

    past = deque([state_of(place)], maxlen=_LOOKS)
    with (
        until_signalled() as ending,
        _keyboard() as keyboard,
        Live(frame(past[0], past[0]), console=console(), auto_refresh=False, screen=True) as screen,
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
