"""A Debian of its own, booted with systemd: debootstrap into a folder, systemd-nspawn out of it.

It has no network but its own loopback, and leaves nothing behind: neither a mount nor a process.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "fuse3", "python3", "plocate")
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter")

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
_PATIENCE = 90.0
_BOOTSTRAP_SECONDS = 400.0


def obstacle() -> str | None:
    """What stands in the way of such a machine here; None if nothing does."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian packages debootstrap, systemd-container, util-linux)"
    if os.geteuid() != 0:
        return "only root can boot a system in a container"
    for device in ("/dev/fuse", "/dev/autofs"):
        if not os.access(device, os.R_OK | os.W_OK):
            return f"{device} cannot be opened"
    return None


class Machine:
    """The booted system."""

    def __init__(self, root: Path) -> None:
        """Its files are in `root`."""
        self.root = root
        self._nspawn: subprocess.Popen[bytes] | None = None

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file of the machine, by its absolute path."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def boot(self) -> float:
        """Start it; the seconds until systemd has done all that it was to do at boot."""
        start = time.monotonic()
        command = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no"),
            *(
                "--private-network",
                "--capability=all",
                "--bind=/dev/fuse",
                "--bind=/dev/autofs",
                f"--directory={self.root}",
                "--boot",
            ),
        ]
        with (self.root.parent / "console").open("ab") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._await_boot()
        return time.monotonic() - start

    def reboot(self) -> float:
        """Down and up again; the seconds that both took."""
        start = time.monotonic()
        self.power_off()
        self.boot()
        return time.monotonic() - start

    def power_off(self) -> None:
        """Shut it down in order; after a while in disorder."""
        nspawn, self._nspawn = self._nspawn, None
        if nspawn is None:
            return
        nspawn.send_signal(signal.SIGTERM)
        try:
            nspawn.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait()
            raise

    def run(self, command: str, *, check: bool = True, seconds: float = _PATIENCE) -> str:
        """A shell's standard output and error, from inside, as root and outside of every unit.

        Raises:
            AssertionError: with `check`, if it fails.
        """
        words = ["nsenter", f"--target={self._leader()}", "--all", "--root", "--wd", "/bin/bash", "-c", command]
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
            env=_ENVIRONMENT,
        )
        assert not check or done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout.strip()

    def succeeds(self, command: str) -> bool:
        """Whether a command ends with 0."""
        return self.run(f"({command}) >/dev/null 2>&1 && echo yes || echo no").endswith("yes")

    def wait_for(self, command: str, seconds: float = _PATIENCE) -> float:
        """Repeat it until it succeeds; the seconds that this took.

        Raises:
            AssertionError: it has not within `seconds`.
        """
        start = time.monotonic()
        while not self.succeeds(command):
            assert time.monotonic() - start < seconds, f"{command}: not within {seconds} s"
            time.sleep(0.2)
        return time.monotonic() - start

    def _await_boot(self) -> None:
        end = time.monotonic() + _PATIENCE
        while not self._leader_or_none() or self._state() not in ("running", "degraded"):
            assert self._nspawn is None or self._nspawn.poll() is None, "the machine has ended"
            assert time.monotonic() < end, f"still booting: {self._state()}"
            time.sleep(0.2)

    def _state(self) -> str:
        return self.run("systemctl is-system-running", check=False)

    def _leader(self) -> str:
        leader = self._leader_or_none()
        assert leader, "the machine does not run"
        return leader

    def _leader_or_none(self) -> str:
        """The process outside that is the first one inside."""
        if self._nspawn is None:
            return ""
        try:
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return children[0] if children else ""


@contextmanager
def debian(folder: Path, base: Path | None) -> Iterator[Machine]:
    """A machine in `folder`, not yet booted, and powered off at the end.

    Args:
        folder: for its files.
        base: the root of an earlier debootstrap to copy, which saves a minute; None to make one.
    """
    root = folder / "root"
    if base is None:
        _bootstrap(root)
    else:
        subprocess.run(["cp", "-a", "--", str(base), str(root)], check=True)
    # Nothing here has a network to wait for.
    (root / "etc/systemd/system/systemd-networkd-wait-online.service").symlink_to("/dev/null")
    machine = Machine(root)
    try:
        yield machine
    finally:
        machine.power_off()
        subprocess.run(["rm", "-rf", "--one-file-system", "--", str(root)], check=True)


def _bootstrap(root: Path) -> None:
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(root), MIRROR],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_BOOTSTRAP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
