"""`twfs install`: the helpers that make `mount -t twfs` and fstab work."""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from twfs.cli.output import say
from twfs.errors import ConfigError

HELPERS = ("mount.twfs", "mount.fuse.twfs")
_MARK = "# Written by `twfs install`; `twfs install --uninstall` takes it away."
_IMPORT_SECONDS = 60


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "install",
        help="make mount -t twfs and fstab work",
        description="Put mount.twfs and mount.fuse.twfs into /sbin, where mount(8) looks for them.",
    )
    parser.add_argument("--prefix", type=Path, default=Path("/"), metavar="DIR", help="install below DIR, not below /")
    parser.add_argument("--uninstall", action="store_true", help="take away what was installed")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error comes from")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Install or uninstall, saying what was done."""
    folder = arguments.prefix / "sbin"
    if arguments.uninstall:
        _uninstall(folder)
    else:
        _check_isolated_import()
        folder.mkdir(parents=True, exist_ok=True)
        for name in HELPERS:
            _install(folder / name)
    return 0


def helper_text() -> str:
    """The helper: a shell script that runs this very Python.

    `-I` keeps the working directory and the caller's environment out of what root runs.
    """
    return f'#!/bin/sh\n{_MARK}\nexec {shlex.quote(sys.executable)} -I -m twfs.cli.helper "$@"\n'


def _check_isolated_import() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import twfs.cli.helper"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_IMPORT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigError(
            f"mount(8) could not import twfs by {sys.executable}; install twfs into a virtual environment"
        )


def _install(path: Path) -> None:
    _refuse_foreign(path)
    if path.exists() and path.read_text() == helper_text():
        say(f"{path}: was there already")
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(helper_text())
    new.chmod(0o755)
    new.replace(path)
    say(f"{path}: installed")


def _uninstall(folder: Path) -> None:
    for path in (folder / name for name in HELPERS):
        _refuse_foreign(path)
        if path.exists():
            path.unlink()
            say(f"{path}: removed")
        else:
            say(f"{path}: was not there")
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _refuse_foreign(path: Path) -> None:
    if path.is_symlink() or (path.exists() and _MARK.encode() not in path.read_bytes()):
        raise ConfigError(f"{path} is there and not from twfs install; move it away first")
