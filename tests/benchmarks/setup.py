"""The one set-up step: everything that the bench runs besides twfs itself, from Debian or Ubuntu."""

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = (
    "curl",
    "ffmpeg",
    "fuse3",
    "httpdirfs",
    "libnginx-mod-http-lua",
    "nginx-light",
    "openssl",
    "rclone",
    "util-linux",
)
EXTRAS = "fuse3,demo,bench"
_PROJECT = Path(__file__).parents[2]


def set_up() -> int:
    """Install it all; the exit code of what failed first."""
    commands = (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
        [sys.executable, "-m", "pip", "install", "--quiet", "--editable", f"{_PROJECT}[{EXTRAS}]"],
    )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    codes = (subprocess.run(command, env=environment, check=False).returncode for command in commands)
    return next((code for code in codes if code), 0)
