"""The state file as a file: whose it is, and who may read and change it."""

import errno
import os
from pathlib import Path

from twfs.errors import ConfigError
from twfs.ownership import complaint_about, make_private_folders

SIDE_FILES = ("-wal", "-shm")
"""What SQLite keeps beside a file in WAL mode."""


def check_state(path: Path) -> None:
    """Whether a state file can be believed: nobody but this user and root can have written it, or its folder.

    Raises:
        ConfigError: somebody else can; says what to do.
    """
    for place in (path.parent, path, *(path.with_name(path.name + side_file) for side_file in SIDE_FILES)):
        complaint = complaint_about(place)
        if complaint is not None:
            raise ConfigError(f"state_dir: {complaint}; or give another folder with state_dir")


def make_private(path: Path) -> None:
    """Folder 0700, file 0600 (SQLite gives its side files the same), no symbolic link followed.

    Raises:
        OSError: it cannot be made, or somebody else can change it.
    """
    make_private_folders(path.parent)
    try:
        check_state(path)
    except ConfigError as error:
        raise PermissionError(errno.EPERM, str(error)) from None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
