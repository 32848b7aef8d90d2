"""`twfs keygen`: an RSA key pair, as Twilio's document has it made by openssl."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.output import say
from twfs.cli.paths import a_path
from twfs.cli.values import parsed_by
from twfs.config.secrets import read_passphrase
from twfs.crypto.keypair import KeyPairPem, generate_key_pair
from twfs.errors import ConfigError
from twfs.invocation import twfs_command
from twfs.option import number
from twfs.transfer.obstacle import told
from twfs.transfer.shortcomings import is_unsupported

_PRIVATE, _PUBLIC = "private_key.pem", "public_key.pem"
_FEWEST_BITS = 2048
_MOST_BITS = 8192
"""S3 keeps at most 2 KiB of metadata with an object: a content key wrapped for 16384 bits would not fit."""

_DIGITS_SHOWN = 16
"""Hexadecimal digits of a fingerprint by which people tell keys apart."""

_WARNING = (
    "Keep a copy of the private key in a safe place. Media encrypted for this key pair can be read with it alone:\n"
    "if it is lost they are lost for ever, and neither Twilio nor anybody else can bring them back."
)


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "keygen",
        help="make an RSA key pair",
        description=f"Make an RSA key pair: DIR/{_PRIVATE} and DIR/{_PUBLIC}. Nothing is ever overwritten.",
    )
    parser.add_argument("directory", metavar="DIR", type=a_path, help="where to; made if it is missing, for you alone")
    parser.add_argument(
        "--bits",
        type=parsed_by(number(int, _FEWEST_BITS, _MOST_BITS)),
        default=2048,
        metavar="N",
        help="size of the key [2048]",
    )
    parser.add_argument(
        "--passphrase-file", type=a_path, metavar="FILE", help="encrypt the private key with this file's first line"
    )
    add_verbose_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the pair, and say what must be known of it."""
    passphrase = read_passphrase(arguments.passphrase_file) if arguments.passphrase_file else None
    with _folder(arguments.directory) as folder:
        _refuse_existing(folder)
        pair = generate_key_pair(arguments.bits, passphrase)
        with told(folder):
            _write_pair(folder, pair)
    form = "PKCS#8, encrypted" if passphrase else "PKCS#1, not encrypted"
    public = folder / _PUBLIC
    say(
        f"private key  {folder / _PRIVATE} ({arguments.bits} bits, {form})\n"
        f"public key   {public}\n"
        f"fingerprint  {pair.fingerprint}\n"
        f"{_WARNING}\n"
        f"Next: {twfs_command('public-key', 'create', public, '--name', f'key-{pair.fingerprint[:_DIGITS_SHOWN]}')}"
    )
    return 0


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """The folder, made with mode 0700 if it is missing; what was made is taken away if the block fails."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with contextlib.ExitStack() as undoing:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700)
            undoing.callback(folder.rmdir)
        yield path
        undoing.pop_all()


def _refuse_existing(folder: Path) -> None:
    for path in (folder / _PRIVATE, folder / _PUBLIC):
        if os.path.lexists(path):
            raise ConfigError(f"{path} is there already and stays as it is; give another DIR")


def _write_pair(folder: Path, pair: KeyPairPem) -> None:
    """Both files, on the disk when this returns; neither, if it fails."""
    with contextlib.ExitStack() as undoing:
        for name, content, mode in ((_PRIVATE, pair.private, 0o600), (_PUBLIC, pair.public, 0o644)):
            path = folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            undoing.callback(path.unlink)
            with os.fdopen(descriptor, "wb") as file:
                _refuse_open(path, os.fstat(descriptor).st_mode & ~mode)
                file.write(content)
                file.flush()
                _sync(descriptor)
        _sync_folder(folder)
        undoing.pop_all()


def _refuse_open(path: Path, more: int) -> None:
    """Before there is anything in it: on FAT and the like files have the permissions that the mount says."""
    if more & 0o077:
        raise ConfigError(f"{path.parent} keeps no permissions: others could read the private key; give another DIR")


def _sync(descriptor: int) -> None:
    """Have it on the disk, where the file system can be told to.

    Raises:
        OSError: it is lost.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_unsupported(error):
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)
