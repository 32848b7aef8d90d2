"""The one set-up step: everything that the bench runs besides twfs itself, from Debian or Ubuntu."""

import os
import subprocess
import sys

PACKAGES = (
    "curl",
    "ffmpeg",
    "fuse3",
    "httpdirfs",
    "libfuse3-3",
    "libnginx-mod-http-lua",
    "nginx-light",
    "openssl",
    "rclone",
    "util-linux",
)
PYTHON_PACKAGES = ("twfs[fuse3,demo,bench]",)


def set_up() -> int:
    """Install it all; the exit code of what failed first."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Debian starts what it installs; the bench runs an nginx of its own, and no other should hold ports.
    policy = ["-o", "DPkg::Post-Invoke::=if [ -d /run/systemd/system ]; then systemctl stop nginx || true; fi"]
    commands = (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *policy, *PACKAGES],
        [sys.executable, "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES],
    )
    for command in commands:
        done = subprocess.run(command, env=environment, check=False)
        if done.returncode:
            return done.returncode
    return 0
