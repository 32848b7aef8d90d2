"""The machine that figures come from: without it they mean nothing."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_TOOLS = {
    "nginx": ("nginx", "-v"),
    "curl": ("curl", "--version"),
    "openssl": ("openssl", "version"),
    "rclone": ("rclone", "version"),
    "ffmpeg": ("ffmpeg", "-version"),
}


def describe(rounds: int) -> dict[str, str]:
    """Names and values, as the table's last line shows them."""
    return {
        "processor": f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "Python": platform.python_version(),
        "binding": _binding(),
        **{name: _version(*command) for name, command in _TOOLS.items()},
        "user": "root" if os.geteuid() == 0 else "not root",
        "rounds": str(rounds),
        "load at the start": f"{os.getloadavg()[0]:.2f}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def _first(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def _version(*command: str) -> str:
    """The word with a digit in it that a tool says first."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except FileNotFoundError:
        return "missing"
    words = (said.stdout + said.stderr).replace("/", " ").split()
    return next((word for word in words if any(character.isdigit() for character in word)), "unknown")


def _binding() -> str:
    """Asked in another process: a libfuse once loaded stays."""
    code = "from twfs.fuse.binding import load_binding as l; b = l(); print(b.name, 'with libfuse', b.libfuse_version)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    return said.stdout.strip() or f"none, twfs {version('twfs')}"
