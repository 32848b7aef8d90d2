"""`twfs install`: what makes `mount -t twfs`, fstab, systemd, man and the shells know twfs."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.grammar import commands_of
from twfs.cli.output import say
from twfs.cli.paths import a_path
from twfs.cli.pieces import HELPERS as HELPERS  # noqa: PLC0414 - others know the helpers from here
from twfs.cli.pieces import KEY_FOLDER, SERVICE, Piece, local_layout, package_layout, pieces
from twfs.cli.prunefs import with_twfs, without_twfs
from twfs.errors import ConfigError
from twfs.mount.hardening import childs_environment
from twfs.mount.system import is_mounted
from twfs.option import from_here
from twfs.threads import starting
from twfs.transfer.replacing import replacing

_UPDATEDB_CONF = PurePath("etc/updatedb.conf")
_WANTED_BY = "etc/systemd/system/*.wants"
_CACHE = PurePath("var/cache/twfs")
_MOUNTPOINTS = PurePath("srv/twfs")
"""As the unit has them."""
_SYSTEMS_OWN = frozenset(
    Path("/", name)
    for name in ("etc", "sbin", "srv", "usr", "usr/local", "usr/local/lib", "usr/local/share", "usr/local/share/man")
)
"""Folders that a system has even if they are empty."""
_SYSTEMD_RUNS = Path("/run/systemd/system")
"""sd_booted(3)."""
_SECONDS = 60


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "install",
        help="make mount(8), fstab, systemd, man and the shells know twfs",
        description="Install the helpers of mount(8), the unit twfs@.service, completions for bash, zsh and fish, "
        "this manual page and templates in /etc/twfs; have updatedb(8) pass over mounts of twfs.",
    )
    parser.add_argument(
        "--prefix", type=a_path, default=Path("/"), metavar="DIR", help="install below DIR, not below /"
    )
    parser.add_argument("--uninstall", action="store_true", help="take away what was installed")
    parser.add_argument(
        "--package",
        type=a_path,
        metavar="DIR",
        help="lay out a distribution's package, whose virtual environment is in DIR",
    )
    add_verbose_flag(parser)
    parser.set_defaults(run=partial(run, commands))


def run(subparsers: Any, arguments: argparse.Namespace) -> int:
    """Install or uninstall, saying what was done."""
    prefix = from_here(arguments.prefix)
    layout = package_layout(arguments.package) if arguments.package else local_layout()
    parts = list(pieces(layout, commands_of(subparsers)))
    for piece in parts:
        _refuse_foreign(prefix / piece.path, piece)
    if arguments.uninstall:
        _uninstall(prefix, parts)
    else:
        if not layout.is_package:
            _check_isolated_import()
        _install(prefix, parts)
    if not layout.is_package:
        _edit_updatedb_conf(prefix, without_twfs if arguments.uninstall else with_twfs)
        _have_systemd_look(prefix)
    return 0


def _check_isolated_import() -> None:
    done = _run([sys.executable, "-I", "-c", "import twfs.cli.helper"])
    if done.returncode != 0:
        raise ConfigError(
            f"mount(8) could not import twfs by {sys.executable}; install twfs into a virtual environment"
        )


def _refuse_foreign(path: Path, piece: Piece) -> None:
    if piece.mark is None:
        return
    if path.is_symlink() or (path.exists() and piece.mark.encode() not in path.read_bytes()):
        raise ConfigError(f"{path} is there and not from twfs install; move it away first")


def _install(prefix: Path, parts: Sequence[Piece]) -> None:
    for piece in parts:
        _write(prefix / piece.path, piece)
    keys = prefix / KEY_FOLDER
    if not keys.exists():
        keys.mkdir(mode=0o700)
        say(f"{keys}: made")


def _write(path: Path, piece: Piece) -> None:
    is_there = path.exists()
    if is_there and (piece.mark is None or _is_same(path, piece)):
        say(f"{path}: was there already")
        return
    _make_folders(path.parent)
    _replace(path, piece.content, piece.mode)
    say(f"{path}: {'replaced' if is_there else 'installed'}")


def _make_folders(place: Path) -> None:
    """The folder and those above it; open to all, whatever root's umask is."""
    for folder in reversed([folder for folder in (place, *place.parents) if not folder.exists()]):
        folder.mkdir()
        folder.chmod(0o755)


def _is_same(path: Path, piece: Piece) -> bool:
    return path.read_text() == piece.content and path.stat().st_mode & 0o777 == piece.mode


def _replace(path: Path, content: str, mode: int) -> None:
    """The file anew, whole at every moment."""
    with replacing(path) as file:
        file.write(content.encode())
        os.fchmod(file.fileno(), mode)


def _uninstall(prefix: Path, parts: Sequence[Piece]) -> None:
    _disable_instances(prefix)
    for piece in parts:
        _remove(prefix / piece.path, piece)
    _remove_what_units_made(prefix)
    places = [*(prefix / piece.path.parent for piece in parts), prefix / KEY_FOLDER]
    for place in sorted(places, key=lambda place: len(place.parts), reverse=True):
        _remove_empty(place, prefix)


def _remove(path: Path, piece: Piece) -> None:
    if not path.exists():
        say(f"{path}: was not there")
    elif piece.mark is None and path.read_text() != piece.content:
        say(f"{path}: kept, for it was changed; remove it by hand")
    else:
        path.unlink()
        say(f"{path}: removed")


def _remove_what_units_made(prefix: Path) -> None:
    """Catalogues, which a later mount would fetch anew, and mountpoints where nothing is mounted."""
    cache = prefix / _CACHE
    if cache.is_dir():
        shutil.rmtree(cache)
        say(f"{cache}: removed")
    for place in (prefix / _MOUNTPOINTS).glob("*"):
        if not is_mounted(place):
            _remove_empty(place, prefix)
    _remove_empty(prefix / _MOUNTPOINTS, prefix)


def _remove_empty(place: Path, prefix: Path) -> None:
    """The folder and those above it, as far as nothing is in them, up to `prefix` or what belongs to the system."""
    while place != prefix and place not in _SYSTEMS_OWN:
        if place.is_dir():
            if any(place.iterdir()):
                return
            place.rmdir()
        place = place.parent


def _disable_instances(prefix: Path) -> None:
    """End and disable what `systemctl enable twfs@NAME` made of the unit."""
    links = sorted(prefix.glob(f"{_WANTED_BY}/{SERVICE.replace('@', '@*')}"))
    if links and _is_this_system(prefix):
        _systemctl(["disable", "--now", *(link.name for link in links)])
    for link in links:
        link.unlink(missing_ok=True)
        say(f"{link}: removed")


def _edit_updatedb_conf(prefix: Path, edited: Callable[[str], str]) -> None:
    path = prefix / _UPDATEDB_CONF
    if not path.exists():
        say(f"{path}: is not there, and needs no change")
        return
    before = path.read_text()
    after = edited(before)
    if before == after:
        say(f"{path}: is as it should be")
        return
    _replace(path, after, path.stat().st_mode & 0o777)
    say(
        f"{path}: PRUNEFS changed, so that updatedb(8) {'looks into' if edited is without_twfs else 'passes over'} twfs"
    )


def _have_systemd_look(prefix: Path) -> None:
    if _is_this_system(prefix):
        _systemctl(["daemon-reload"])


def _is_this_system(prefix: Path) -> bool:
    return prefix == Path("/") and _SYSTEMD_RUNS.is_dir()


def _systemctl(words: Iterable[str]) -> None:
    command = ["systemctl", *words]
    done = _run(command)
    said = " ".join(done.stderr.decode(errors="replace").split())
    say(f"{' '.join(command)}: {'done' if done.returncode == 0 else said or f'exit code {done.returncode}'}")


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
    with starting():
        return subprocess.run(  # noqa: S603 - fixed commands
            command,
            env=childs_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
