"""`twfs decrypt`: a file that was fetched by other means, decrypted without any network."""

import argparse
import base64
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from twfs.cli.flags import add_md5_flag, add_verbose_flag, output
from twfs.cli.logging import set_up_logging
from twfs.cli.outcome import UsageError
from twfs.cli.output import escaped, say
from twfs.cli.paths import a_path, is_one_of
from twfs.cli.progress import Progress
from twfs.cli.signalled import Ending, until_signalled
from twfs.cli.transfers import in_words
from twfs.clock import SystemClock
from twfs.config.keys import read_private_keys, tell_what_was_passed_over
from twfs.config.layers import home_folder
from twfs.config.secrets import is_folder, read_passphrase
from twfs.config.table import parse_paths
from twfs.crypto.keyring import Keyring
from twfs.errors import ConfigError
from twfs.invocation import pasteable
from twfs.option import parse_path
from twfs.transfer.offline import Decrypted, EncryptedFile, appearing_whole
from twfs.transfer.saved_headers import SavedHeaders, read_saved_headers

Write = Callable[[memoryview], object]

_OPTIONS = ("private_key", "private_key_passphrase_file")
"""Those of the table that it has flags for."""

_LARGEST_VALUE = 4096
"""More than the raw wrapped key of any RSA key in use, or an IV."""


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "decrypt",
        help="decrypt a file that was downloaded by other means",
        description="Decrypt a stored object that is at hand as a file. Key, padding and length are proven first; "
        "without saved headers, a file that was cut at a whole block passes once in 256 times.",
    )
    parser.add_argument("encrypted", metavar="ENCRYPTED", type=a_path, help="the object as S3 stores it")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=output(_OPTIONS), required=True, help="where to; - is standard output"
    )
    parser.add_argument(
        "--headers", metavar="FILE", type=a_path, help="its headers, as wget -S, curl -D or curl -v print them"
    )
    parser.add_argument("--key", metavar="B64", help="x-amz-meta-x-amz-key")
    parser.add_argument("--key-file", metavar="FILE", type=a_path, help="the same, decoded (key.bin.enc)")
    parser.add_argument("--iv", metavar="B64", help="x-amz-meta-x-amz-iv")
    parser.add_argument("--iv-file", metavar="FILE", type=a_path, help="the same, decoded (iv.bin)")
    parser.add_argument("--private-key", metavar="PATH", action="append", help="PEM files [~/.config/twfs/keys/]")
    parser.add_argument("--private-key-passphrase-file", metavar="FILE", help="opens encrypted private keys")
    add_md5_flag(parser)
    add_verbose_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decrypt; there is a new file only if all went well."""
    headers = _headers(arguments)
    set_up_logging("debug" if arguments.verbose else "info", "text", os.environ)
    keyring = _keyring(arguments)
    tell_what_was_passed_over(keyring)
    with _opened(arguments.encrypted) as file:
        encrypted = EncryptedFile(file, headers, keyring, with_md5=not arguments.no_md5)
        if arguments.output == "-":
            with _counted(file, sys.stdout.buffer.write) as write:
                encrypted.decrypt(write)
            sys.stdout.buffer.flush()
            return 0
        _refuse_folder(arguments.output)
        _refuse_inputs(arguments, keyring)
        with (
            until_signalled() as ending,
            appearing_whole(Path(arguments.output)) as part,
            _counted(file, part.write) as write,
        ):
            done = encrypted.decrypt(_unless_signalled(ending, write))
    say(_line(Path(arguments.output), done))
    return 0


@contextmanager
def _counted(file: BinaryIO, write: Write) -> Iterator[Write]:
    """`write`, with the progress through `file` shown meanwhile."""
    progress = Progress(os.fstat(file.fileno()).st_size, SystemClock())

    def write_and_count(view: memoryview) -> None:
        write(view)
        progress.advanced(len(view))

    try:
        yield write_and_count
    finally:
        progress.erase()


def _headers(arguments: argparse.Namespace) -> SavedHeaders:
    """The envelope, from where it was given.

    Raises:
        UsageError: it was given twice, or not at all.
    """
    key_given = [name for name in ("key", "key_file") if getattr(arguments, name) is not None]
    iv_given = [name for name in ("iv", "iv_file") if getattr(arguments, name) is not None]
    if arguments.headers is not None:
        if key_given or iv_given:
            raise UsageError("--headers has key and IV; give either it, or these")
        return read_saved_headers(arguments.headers)
    if len(key_given) != 1 or len(iv_given) != 1:
        raise UsageError("give --headers FILE, or one of --key and --key-file with one of --iv and --iv-file")
    key = "".join(arguments.key.split()) if arguments.key is not None else _encoded(arguments.key_file)
    iv = "".join(arguments.iv.split()) if arguments.iv is not None else _encoded(arguments.iv_file)
    return SavedHeaders({"x-amz-key": key, "x-amz-iv": iv})


def _encoded(path: Path) -> str:
    with _opened(path) as file:
        content = file.read(_LARGEST_VALUE + 1)
    if len(content) > _LARGEST_VALUE:
        raise ConfigError(f"{path} has more than {_LARGEST_VALUE} bytes; it is neither wrapped key nor IV")
    return base64.b64encode(content).decode("ascii")


def _keyring(arguments: argparse.Namespace) -> Keyring:
    passphrase_file = arguments.private_key_passphrase_file
    passphrase = read_passphrase(parse_path(passphrase_file)) if passphrase_file is not None else None
    paths = [path for text in arguments.private_key or () for path in parse_paths(text)]
    own_folder = home_folder(os.environ) / ".config/twfs/keys"
    if not paths and not is_folder(own_folder):
        raise ConfigError(f"no private key: give --private-key PEM, or put it into {own_folder}")
    return read_private_keys(paths or [own_folder], passphrase)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _refuse_folder(output: str) -> None:
    """To `Path`, a slash at the end is nothing, and `.` has no name.

    Raises:
        UsageError: the output is a folder, or can be nothing else.
    """
    if output.endswith("/") or Path(output).is_dir():
        raise UsageError(f"-o {pasteable(output)} is a folder; name the file in it that is to hold the plaintext")


def _refuse_inputs(arguments: argparse.Namespace, keyring: Keyring) -> None:
    """The plaintext replaces nothing that is read, least of all a private key, with which all its media would be lost.

    Raises:
        UsageError: the output is one of these files.
    """
    output = Path(arguments.output)
    given = (arguments.encrypted, arguments.headers, arguments.key_file, arguments.iv_file)
    read = [*given, arguments.private_key_passphrase_file, *(key.name for key in keyring)]
    if is_one_of(output, filter(None, read)):
        raise UsageError(f"{output} is itself one of the files to read; name another one for the plaintext")


def _unless_signalled(ending: Ending, write: Write) -> Write:
    """`write`, as long as no signal has come; at the first call after one it raises KeyboardInterrupt instead."""

    def write_or_end(view: memoryview) -> None:
        if ending.has_come():
            raise KeyboardInterrupt
        write(view)

    return write_or_end


def _line(path: Path, done: Decrypted) -> str:
    key = done.private_key
    return f"{escaped(str(path))}  {done.plain_size} bytes  {in_words(done.md5)}  key {escaped(key.name)}"
