"""`twfs doctor`: what stands in the way of a mount here, one line each, with the mend."""

import argparse
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twfs.cli.flags import add_option_flags, overrides_of
from twfs.cli.install import HELPERS
from twfs.cli.output import one_line, say
from twfs.config.accounts import NoCredentials
from twfs.config.config import Config
from twfs.config.load import load_config
from twfs.errors import ConfigError, TwfsError
from twfs.fuse.binding import load_binding
from twfs.mount.session import open_session
from twfs.mount.system import FSTYPE, is_stale, mounts
from twfs.resources import Kind, ListFilter

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_STAT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the machine's own files are, and who asks."""

    device: Path = Path("/dev/fuse")
    fuse_conf: Path = Path("/etc/fuse.conf")
    sbin: Path = Path("/sbin")
    is_root: bool = False


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "doctor",
        help="what stands in the way of a mount",
        description="Check this machine and the configuration; with SOURCE also ask Twilio. Exit 1 on a problem.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="as for mount")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error comes from")
    add_option_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Report; 1 if there is a problem."""
    overrides = overrides_of(arguments)
    machine = Machine(is_root=os.geteuid() == 0)
    has_problem = False
    for finding in (*machine_findings(machine), *account_findings(arguments.source, overrides)):
        say(f"{finding.level:8} {one_line(finding.text)}")
        has_problem = has_problem or finding.level == PROBLEM
    return 1 if has_problem else 0


def machine_findings(machine: Machine) -> Iterator[Finding]:
    """What the machine has and lacks."""
    yield check_device(machine.device)
    yield check_binding()
    yield check_fusermount(is_root=machine.is_root)
    if not machine.is_root:
        yield check_fuse_conf(machine.fuse_conf)
    yield check_helpers(machine.sbin)
    yield from check_mounts()


def account_findings(source: str | None, overrides: dict[str, str]) -> Iterator[Finding]:
    """What the configuration gives; with a `source` also what Twilio says to it."""
    try:
        config = load_config(source or "twilio:", overrides, os.environ)
    except NoCredentials as error:
        yield Finding(PROBLEM if source else WARNING, f"configuration: {error}")
        return
    except ConfigError as error:
        yield Finding(PROBLEM, f"configuration: {error}")
        return
    yield Finding(OK, f"configuration: account {config.account_sid}, credentials of {config.credentials.user}")
    yield check_keys(config)
    if source:
        yield check_api(config)


def check_device(device: Path) -> Finding:
    """Whether FUSE's device can be opened."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return Finding(
            PROBLEM,
            f"{device} is missing; run modprobe fuse as root, or start the container with "
            "--device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor:unconfined",
        )
    except OSError as error:
        return Finding(PROBLEM, f"{device} cannot be opened: {error.strerror}; run as root: chmod 666 {device}")
    return Finding(OK, f"{device} can be opened")


def check_binding() -> Finding:
    """Whether there is a libfuse with its Python package, and which."""
    try:
        binding = load_binding()
    except TwfsError as error:
        return Finding(PROBLEM, str(error))
    found = f"libfuse {binding.libfuse_version} through {binding.name}"
    if binding.is_libfuse3:
        return Finding(OK, found)
    return Finding(WARNING, f"{found}: works; libfuse 3 reads faster: install libfuse3 and pip install 'twfs[fuse3]'")


def check_fusermount(*, is_root: bool) -> Finding:
    """Whether users other than root can mount and unmount."""
    path = shutil.which("fusermount3") or shutil.which("fusermount")
    if path is None:
        mend = "fusermount3 is missing: only root can mount; install the package fuse3"
        return Finding(WARNING if is_root else PROBLEM, mend)
    if not is_root and not Path(path).stat().st_mode & stat.S_ISUID:
        return Finding(WARNING, f"{path} is not setuid root: mounting may be refused; run as root: chmod u+s {path}")
    return Finding(OK, f"{path} is there")


def check_fuse_conf(path: Path) -> Finding:
    """Whether `allow_other` may be used by others than root."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    if "user_allow_other" in (line.strip() for line in lines):
        return Finding(OK, f"{path} lets allow_other be used")
    return Finding(WARNING, f"allow_other needs root, or a line user_allow_other in {path}")


def check_helpers(sbin: Path) -> Finding:
    """Whether mount(8) finds its helpers."""
    missing = [name for name in HELPERS if not (sbin / name).exists()]
    if missing:
        return Finding(
            WARNING, f"mount -t twfs and fstab need {' and '.join(missing)} in {sbin}; run as root: twfs install"
        )
    return Finding(OK, f"{sbin} has {' and '.join(HELPERS)}")


def check_mounts() -> Iterator[Finding]:
    """Mounts of twfs that are dead or do not answer."""
    for entry in mounts():
        if entry.fstype != FSTYPE:
            continue
        state = _answer_of(entry.mountpoint)
        if state is None:
            yield Finding(OK, f"{entry.source} is mounted at {entry.mountpoint}")
        else:
            yield Finding(PROBLEM, f"the mount at {entry.mountpoint} {state}; run: twfs umount -l {entry.mountpoint}")


def check_keys(config: Config) -> Finding:
    """Whether there is a private key."""
    names = [key.name for key in config.keyring]
    if names:
        return Finding(OK, f"private keys: {', '.join(names)}")
    return Finding(
        WARNING, "no private key: encrypted media will be listed but cannot be opened; give private_key=PATH"
    )


def check_api(config: Config) -> Finding:
    """Whether Twilio answers, and takes the credentials."""
    try:
        with open_session(config) as session:
            page = next(session.api.pages(Kind.RECORDING, ListFilter()), [])
    except TwfsError as error:
        return Finding(PROBLEM, f"{config.api_url}: {error}")
    return Finding(OK, f"{config.api_url} answers and takes the credentials ({len(page)} recordings on the first page)")


def _answer_of(mountpoint: Path) -> str | None:
    """What is wrong with a mount; a thread asks, for one that hangs never answers."""
    answers: list[bool] = []
    asking = threading.Thread(target=_keep(answers, lambda: is_stale(mountpoint)), daemon=True)
    asking.start()
    asking.join(_STAT_SECONDS)
    if not answers:
        return f"does not answer within {_STAT_SECONDS:g} s"
    return "has lost its process" if answers[0] else None


def _keep(answers: list[bool], ask: Callable[[], bool]) -> Callable[[], None]:
    return lambda: answers.append(ask())
