"""`twfs umount`."""

import argparse
from pathlib import Path
from typing import Any

from twfs.mount.system import unmount


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser("umount", help="end a mount", description="End a mount of twfs.")
    parser.add_argument("directory", metavar="DIR", type=Path, help="where it is mounted")
    parser.add_argument("-l", "--lazy", action="store_true", help="detach it at once, even if it is in use or dead")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error comes from")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Unmount."""
    unmount(arguments.directory, lazy=arguments.lazy)
    return 0
