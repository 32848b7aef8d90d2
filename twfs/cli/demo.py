"""`twfs demo`: a simulated account, mounted, without any account."""

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.output import say
from twfs.cli.paths import a_path
from twfs.cli.signalled import Ending, until_signalled
from twfs.cli.simulated import Simulated, simulated_account
from twfs.errors import ConfigError
from twfs.invocation import pasteable, program_words, twfs_command
from twfs.mount.system import MountFailed, is_mounted, unmount
from twfs.option import from_here
from twfs.threads import starting

_MOUNT_SECONDS = 60
_UNMOUNT_SECONDS = 15
_LOOK_SECONDS = 0.1
# What would give the demo's mount other options than the demo's own.
_FOREIGN_VARIABLES = ("TWFS_", "TWILIO_", "CREDENTIALS_DIRECTORY", "CACHE_DIRECTORY")


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "demo",
        help="try it without an account",
        description="Mount a simulated account with real, encrypted sample media until interrupted.",
    )
    parser.add_argument(
        "directory", metavar="DIR", type=a_path, nargs="?", default=Path("twfs-demo"), help="where to [./twfs-demo]"
    )
    add_verbose_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate, mount, and take everything away again at the end."""
    place = from_here(arguments.directory)
    with (
        until_signalled() as ending,
        _folder(place),
        simulated_account() as simulated,
        _mounted(simulated, place, ending) as mounting,
    ):
        if mounting.poll() is None and not ending.has_come():
            say(_invitation(place, simulated))
        while mounting.poll() is None and not ending.wait(_LOOK_SECONDS):
            pass
    return 0


@contextmanager
def _folder(place: Path) -> Iterator[None]:
    """An empty folder; removed at the end if it was made here.

    Raises:
        ConfigError: something is there already.
    """
    is_new = not place.exists()
    if is_new:
        place.mkdir(parents=False)
    elif not place.is_dir() or any(place.iterdir()):
        raise ConfigError(f"{place} is no empty folder; give another DIR")
    try:
        yield
    finally:
        if is_new and not is_mounted(place):
            place.rmdir()


@contextmanager
def _mounted(simulated: Simulated, place: Path, ending: Ending) -> Iterator["subprocess.Popen[bytes]"]:
    """The mounting process, which stands when the block begins, or earlier if it is to end meanwhile.

    It is a process of its own session: Ctrl-C reaches this process only, which then ends things in their order.

    Raises:
        MountFailed: it ended before it stood; it has said why.
    """
    options = [*simulated.flags, "--log-level", "warning"]
    with starting():
        mounting = subprocess.Popen(  # noqa: S603 - this very twfs
            [*program_words(), "mount", "-f", simulated.source, str(place), *options],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=_own_environment(os.environ),
        )
    try:
        _await_mount(mounting, place, ending)
        yield mounting
    finally:
        _end(mounting, place)


def _await_mount(mounting: "subprocess.Popen[bytes]", place: Path, ending: Ending) -> None:
    doctor = twfs_command("doctor")
    for _ in range(int(_MOUNT_SECONDS / _LOOK_SECONDS)):
        if is_mounted(place) or ending.wait(_LOOK_SECONDS):
            return
        if mounting.poll() is not None:
            raise MountFailed(f"the demo could not be mounted, for the reason above; {doctor} may know more")
    raise MountFailed(f"the demo was not mounted within {_MOUNT_SECONDS} s; {doctor} may know more")


def _end(mounting: "subprocess.Popen[bytes]", place: Path) -> None:
    mounting.terminate()
    try:
        mounting.wait(_UNMOUNT_SECONDS)
    except subprocess.TimeoutExpired:
        mounting.kill()
        mounting.wait()
    if is_mounted(place):
        unmount(place, lazy=True)


def _own_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(_FOREIGN_VARIABLES)}


def _invitation(place: Path, simulated: Simulated) -> str:
    tried = "\n".join(f"  {command}" for command in _commands(place, simulated))
    return (
        f"A simulated Twilio account is mounted at {place}, decrypted while you read. In another terminal try:\n"
        f"{tried}\n"
        "One recording is encrypted for a key that nobody has: opening it says so, as it would with yours.\n"
        "Ctrl-C ends the demo and leaves nothing behind."
    )


def _commands(place: Path, simulated: Simulated) -> Iterator[str]:
    """What a newcomer may paste into another terminal, which starts in another folder; only programs that are there."""
    directory = pasteable(place)
    yield f"ls -lR {directory}"
    for program, operand in (("ffprobe", "compositions/*.mp4"), ("mpv", "recordings/*.mkv")):
        if shutil.which(program):
            yield f"{program} {directory}/{operand}"
    yield f"cp {directory}/recordings/*.mka /tmp"
    yield twfs_command("ls", simulated.source, *simulated.flags, anywhere=True)
    yield twfs_command("top", place, anywhere=True)
