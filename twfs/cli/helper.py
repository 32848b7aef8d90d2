"""`mount.twfs` and `mount.fuse.twfs`: what mount(8) runs, by its conventions (mount(8), "EXTERNAL HELPERS")."""

import argparse
import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from twfs.cli.flags import account_words
from twfs.cli.mount import configured
from twfs.cli.outcome import MOUNT_CODES, Parser, run_reported
from twfs.cli.output import say
from twfs.cli.paths import a_path
from twfs.cli.utf8_mode import ensure_utf8_mode
from twfs.config.mount_options import parse_mount_options
from twfs.config.profiles import parse_source
from twfs.mount.lifecycle import mount
from twfs.transfer.mounted_proof import MountedProver

PROGRAM = "mount.twfs"
_CLONE_NEWNS = 0x00020000
"""setns(2): the descriptor must be of a mount namespace."""


def main(argv: Sequence[str] | None = None) -> int:
    """Mount as mount(8) asks for it; its exit code."""
    if argv is None:
        ensure_utf8_mode()
    words = list(sys.argv[1:] if argv is None else argv)
    return run_reported(lambda: _run(words), PROGRAM, MOUNT_CODES)


def build_parser() -> argparse.ArgumentParser:
    """What mount(8) passes."""
    parser = Parser(prog=PROGRAM, usage=f"{PROGRAM} SOURCE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("directory", metavar="DIR", type=a_path)
    parser.add_argument("-s", dest="sloppy", action="store_true", help="ignore unknown options")
    parser.add_argument("-f", dest="fake", action="store_true", help="check the arguments, mount nothing")
    parser.add_argument("-n", dest="no_mtab", action="store_true", help="nothing: there is no mtab to write")
    parser.add_argument("-v", dest="verbose", action="store_true", help="say what is done")
    parser.add_argument("-N", dest="namespace", type=a_path, help="mount namespace, as a file of /proc")
    parser.add_argument("-o", dest="mount_options", action="append", default=[])
    parser.add_argument("-t", dest="type", help="nothing: the type is known")
    return parser


def _run(words: Sequence[str]) -> int:
    try:
        arguments = build_parser().parse_args(words)
    except SystemExit as done:  # --help has printed and ends here
        return int(done.code or 0)
    parse_source(arguments.source)
    overrides = parse_mount_options(",".join(arguments.mount_options), sloppy=arguments.sloppy)
    if arguments.verbose:
        say(f"{PROGRAM}: {arguments.source} on {arguments.directory}{' (not really)' if arguments.fake else ''}")
    if not arguments.fake:
        config = configured(arguments.source, overrides, verbose=False)
        if arguments.namespace is not None:
            enter_mount_namespace(arguments.namespace)
        account = account_words(arguments.source, overrides)
        mount(config, arguments.source, arguments.directory, account, foreground=False, prover_of=MountedProver)
    return 0


def enter_mount_namespace(path: Path) -> None:
    """Have the mount appear in that namespace: mount -N leaves it to its helpers.

    Raises:
        OSError: it is none, or may not be entered.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNS) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
