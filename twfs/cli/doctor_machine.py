"""What `twfs doctor` looks at on the machine: asks nobody beyond it."""

import ctypes
import ctypes.util
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from twfs.cli.finding import OK, PROBLEM, WARNING, Finding
from twfs.cli.install import HELPERS
from twfs.cli.prunefs import has_setting, with_twfs
from twfs.errors import TwfsError
from twfs.fuse.binding import Choice, libfuse3_remedy, load_binding
from twfs.invocation import pasteable, twfs_command
from twfs.mount.system import FSTYPE, MountEntry, MountFailed, is_stale, lets_users_share, mounts

_BEST_READ_AHEAD_KIB = 1024
"""The largest request that libfuse 3 passes on."""
_TIMEOUT_GRAIN = 15
"""The kernel looks for requests that are too old so often, in seconds (FUSE_TIMEOUT_TIMER_FREQ in fs/fuse/dev.c)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the machine's own files are, and who asks."""

    root: Path = Path("/")
    is_root: bool = False

    def file(self, path: str) -> Path:
        """`dev/fuse` of this machine."""
        return self.root / path

    def text(self, path: str) -> str | None:
        """A file's content; None if it cannot be read."""
        try:
            return self.file(path).read_text(errors="replace")
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of a mount on which it depends what the machine must have."""

    timeout: float
    fuse: Choice = "auto"
    shares: bool = False
    """`allow_other` or `allow_root`."""


def machine_findings(machine: Machine, wanted: Wanted) -> Iterator[Finding]:
    """What the machine has and lacks for a mount."""
    yield check_device(machine.file("dev/fuse"))
    yield check_binding(wanted.fuse)
    yield check_fusermount(is_root=machine.is_root)
    yield check_fuse_conf(machine, shares=wanted.shares)
    yield check_apparmor(machine)
    yield check_helpers(machine.file("sbin"))
    yield check_prunefs(machine)
    yield check_request_timeouts(machine, wanted.timeout)
    yield from check_mounts(mounts(), machine)


def check_device(device: Path) -> Finding:
    """Whether FUSE's device can be opened."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return Finding(
            PROBLEM,
            "device",
            f"{device} is missing",
            "run modprobe fuse as root, or start the container with "
            "--device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor:unconfined",
        )
    except OSError as error:
        text = f"{device} cannot be opened: {error.strerror}"
        return Finding(PROBLEM, "device", text, f"run as root: chmod 666 {device}")
    return Finding(OK, "device", f"{device} can be opened")


def check_binding(choice: Choice = "auto") -> Finding:
    """Which libfuse a mount uses, and which others there are."""
    try:
        binding = load_binding(choice)
    except TwfsError as error:
        return Finding(PROBLEM, "libfuse", str(error))
    others = [version for version in libfuse_versions() if version != binding.libfuse_version]
    found = f"libfuse {binding.libfuse_version} through {binding.name}"
    found += f" (there is {' and '.join(others)}, too)" if others else ""
    if binding.is_libfuse3 or choice == "2":
        return Finding(OK, "libfuse", found)
    return Finding(WARNING, "libfuse", f"{found}: works; libfuse 3 reads faster", libfuse3_remedy())


def libfuse_versions() -> list[str]:
    """Of all libfuse libraries that the linker finds: `3.14`."""
    found = []
    for name in ("fuse3", "fuse"):
        path = ctypes.util.find_library(name)
        if path is not None:
            major, minor = divmod(ctypes.CDLL(path).fuse_version(), 100 if name == "fuse3" else 10)
            found.append(f"{major}.{minor}")
    return found


def check_fusermount(*, is_root: bool) -> Finding:
    """Whether users other than root can mount and unmount."""
    path = shutil.which("fusermount3") or shutil.which("fusermount")
    if path is None:
        level = WARNING if is_root else PROBLEM
        return Finding(level, "fusermount", "fusermount3 is missing: only root can mount", "run: apt-get install fuse3")
    if not is_root and not Path(path).stat().st_mode & stat.S_ISUID:
        text = f"{path} is not setuid root: mounting may be refused"
        return Finding(WARNING, "fusermount", text, f"run as root: {pasteable('chmod', 'u+s', path)}")
    return Finding(OK, "fusermount", f"{path} is there")


def check_fuse_conf(machine: Machine, *, shares: bool = False) -> Finding:
    """Whether `allow_other` may be used by others than root."""
    path = machine.file("etc/fuse.conf")
    if machine.is_root:
        return Finding(OK, "allow_other", f"root may use allow_other, whatever {path} says")
    if lets_users_share(machine.text("etc/fuse.conf") or ""):
        return Finding(OK, "allow_other", f"{path} lets allow_other be used")
    mend = f"{'' if shares else 'to let others in, '}run as root: echo user_allow_other >> {path}"
    text = f"allow_other needs root, or a line user_allow_other in {path}"
    return Finding(PROBLEM if shares else WARNING, "allow_other", text, mend)


def check_apparmor(machine: Machine) -> Finding:
    """Whether a profile decides where fusermount3 may mount."""
    if machine.is_root:
        return Finding(OK, "AppArmor", "root's mounts do not go through fusermount3, which AppArmor may confine")
    profile = machine.file("etc/apparmor.d/fusermount3")
    is_on = (machine.text("sys/module/apparmor/parameters/enabled") or "N").strip() == "Y"
    if not is_on or not profile.exists() or machine.file("etc/apparmor.d/disable/fusermount3").exists():
        return Finding(OK, "AppArmor", "AppArmor does not confine fusermount3")
    local = machine.text("etc/apparmor.d/local/fusermount3") or ""
    if any(line.strip().startswith("mount") for line in local.splitlines()):
        return Finding(OK, "AppArmor", f"AppArmor confines fusermount3, by {profile} with rules of your own")
    return Finding(
        WARNING,
        "AppArmor",
        f"AppArmor's profile {profile} lets users mount at some places only, as below home, /mnt, /media and /tmp",
        "for another place add a line as mount fstype=fuse.twfs -> /srv/recordings/, to "
        f"{machine.file('etc/apparmor.d/local/fusermount3')}, and run as root: apparmor_parser -r {profile}",
    )


def check_helpers(sbin: Path) -> Finding:
    """Whether mount(8) finds its helpers."""
    missing = [name for name in HELPERS if not (sbin / name).exists()]
    if missing:
        text = f"mount -t twfs and fstab need {' and '.join(missing)} in {sbin}"
        return Finding(WARNING, "helpers", text, f"run as root: {twfs_command('install', anywhere=True)}")
    return Finding(OK, "helpers", f"{sbin} has {' and '.join(HELPERS)}")


def check_prunefs(machine: Machine) -> Finding:
    """Whether updatedb(8) would walk through all media every night."""
    path = machine.file("etc/updatedb.conf")
    text = machine.text("etc/updatedb.conf")
    if text is None:
        return Finding(OK, "updatedb", f"there is no {path}: nothing indexes the mount at night")
    if with_twfs(text) == text:
        return Finding(OK, "updatedb", f"{path} passes mounts of twfs over")
    # Not "twfs install": beside the Debian package it refuses to work.
    edit = f"""sed -i 's/^[[:blank:]]*PRUNEFS[[:blank:]]*=[[:blank:]]*"/&{FSTYPE} /' {path}"""
    if not has_setting(text):
        edit = f"""echo 'PRUNEFS = "{FSTYPE}"' >> {path}"""
    return Finding(WARNING, "updatedb", f"{path} does not pass mounts of twfs over", f"run as root: {edit}")


def check_request_timeouts(machine: Machine, timeout: float) -> Finding:
    """Whether the kernel ends mounts whose requests take as long as the option `timeout` allows (Linux 6.15)."""
    limit = _request_limit(machine)
    if limit is None:
        return Finding(OK, "request timeout", "the kernel does not limit how long a request may take")
    if limit > timeout:
        text = f"the kernel ends a mount after {limit} s without an answer; twfs answers within {timeout:g} s"
        return Finding(OK, "request timeout", text)
    return Finding(
        PROBLEM,
        "request timeout",
        f"the kernel ends a mount after {limit} s without an answer, and twfs may take {timeout:g} s",
        f"mount with -o timeout={max(1, limit // 2)}, or run as root: "
        "sysctl fs.fuse.default_request_timeout=0 fs.fuse.max_request_timeout=0",
    )


def _request_limit(machine: Machine) -> int | None:
    """Seconds; as set_request_timeout in fs/fuse/inode.c makes it of both settings."""
    default, most = (int(machine.text(f"proc/sys/fs/fuse/{name}_request_timeout") or 0) for name in ("default", "max"))
    limits = [seconds for seconds in (default, most) if seconds]
    return max(_TIMEOUT_GRAIN, min(limits)) if limits else None


def check_mounts(entries: Iterable[MountEntry], machine: Machine) -> Iterator[Finding]:
    """Mounts of twfs: whether they live, and how much at a time the kernel asks them for."""
    for entry in entries:
        if entry.fstype != FSTYPE:
            continue
        trouble = _trouble_of(entry.mountpoint)
        if trouble is not None:
            text = f"the mount at {entry.mountpoint} {trouble}"
            yield Finding(PROBLEM, "mount", text, f"run: {twfs_command('umount', '-l', entry.mountpoint)}")
            continue
        yield Finding(OK, "mount", f"{entry.source} is mounted at {entry.mountpoint}")
        yield check_read_ahead(entry, machine)


def check_read_ahead(entry: MountEntry, machine: Machine) -> Finding:
    """Whether the kernel asks a mount for pieces as large as libfuse 3 takes."""
    setting = machine.file(f"sys/class/bdi/{entry.device}/read_ahead_kb")
    text = machine.text(f"sys/class/bdi/{entry.device}/read_ahead_kb")
    if text is None or int(text) >= _BEST_READ_AHEAD_KIB:
        return Finding(OK, "read-ahead", f"{entry.mountpoint}: the kernel reads ahead {(text or '?').strip()} KiB")
    mend = f"run as root: echo {_BEST_READ_AHEAD_KIB} > {setting}"
    said = f"{entry.mountpoint}: the kernel reads ahead only {text.strip()} KiB, so long reads are slower"
    return Finding(WARNING, "read-ahead", said, mend)


def _trouble_of(mountpoint: Path) -> str | None:
    """What is wrong with a mount."""
    try:
        return "has lost its process" if is_stale(mountpoint) else None
    except MountFailed:
        return "does not answer"
