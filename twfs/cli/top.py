"""`twfs top`: what a mount does, live."""

import argparse
import importlib
import json
import time
from pathlib import Path
from typing import Any

from twfs.errors import ConfigError, TwfsError
from twfs.mount.system import is_mounted, is_stale
from twfs.option import number

_STATUS = ".twfs/status"


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "top",
        help="show live what a mount does",
        description="Show open files, who reads them, how far and how fast, the cache and the network. Ctrl-C ends it.",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="where it is mounted")
    parser.add_argument("--interval", metavar="SECONDS", default="1", help="between two looks (default 1)")
    parser.add_argument("--once", action="store_true", help="show one interval and end")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error comes from")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show until Ctrl-C, or one interval."""
    interval = number(float, 0.1, 3600)(arguments.interval)
    if arguments.once:
        _show_once(arguments.directory, interval)
    else:
        _show(arguments.directory, interval)
    return 0


def _show_once(place: Path, interval: float) -> None:
    view, console = _rich()
    before = state_of(place)
    time.sleep(interval)
    console.Console().print(view.frame(before, state_of(place)))


def _show(place: Path, interval: float) -> None:
    view, _ = _rich()
    live = importlib.import_module("rich.live")
    before = state_of(place)
    try:
        with live.Live(view.frame(before, before), auto_refresh=False, screen=True) as screen:
            while True:
                time.sleep(interval)
                now = state_of(place)
                screen.update(view.frame(before, now), refresh=True)
                before = now
    except KeyboardInterrupt:
        return


def state_of(place: Path) -> dict[str, Any]:
    """What the mount says of itself.

    Raises:
        TwfsError: no twfs that lives is mounted there, or one that says nothing of open files.
    """
    if not is_mounted(place):
        raise TwfsError(f"{place}: no twfs is mounted there")
    if is_stale(place):
        raise TwfsError(f"{place}: the mount has lost its process; run: twfs umount -l {place}")
    try:
        state: dict[str, Any] = json.loads((place / _STATUS).read_bytes())
    except OSError as error:
        raise TwfsError(f"{place / _STATUS} cannot be read: {error.strerror}") from None
    if "open_files" not in state:
        raise TwfsError(f"{place}: an older twfs is mounted there; mount it anew")
    return state


def _rich() -> tuple[Any, Any]:
    """Only this command needs rich; it is an extra.

    Raises:
        ConfigError: it is not there.
    """
    try:
        return importlib.import_module("twfs.cli.top_view"), importlib.import_module("rich.console")
    except ImportError:
        raise ConfigError("twfs top needs the Python package rich; run: pip install 'twfs[top]'") from None
