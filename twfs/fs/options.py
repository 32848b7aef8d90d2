"""The options of the file system's look: owners, permission bits, and who may enter."""

import grp
import pwd
from collections.abc import Callable
from dataclasses import dataclass

from twfs.errors import ConfigError
from twfs.option import Option, number, parse_mode, parse_switch

_ID = number(int, 0, 2**32 - 2)
"""User and group numbers; 2**32 - 1 means "none" to chown(2)."""


MODES_WITH_UMASK = {"file_mode": 0o444, "dir_mode": 0o555}
"""What these options are by default if there is a umask: it shall say who may read, as with other file systems."""


def _id_of(kind: str, look_up: Callable[[str], int]) -> Callable[[str], int]:
    """A parser of numbers, and of names that the system knows."""

    def parse(text: str) -> int:
        if text.strip().lstrip("-").isdecimal():
            number_given: int = _ID(text)
            return number_given
        try:
            return look_up(text)
        except (KeyError, ValueError):  # ValueError: it holds a NUL
            raise ConfigError(f"no such {kind}: {text!r}") from None

    return parse


OPTIONS: tuple[Option, ...] = (
    Option(
        "uid",
        _id_of("user", lambda name: pwd.getpwnam(name).pw_uid),
        None,
        "owner of all files, by name or number; default: who mounts",
        "USER",
    ),
    Option(
        "gid",
        _id_of("group", lambda name: grp.getgrnam(name).gr_gid),
        None,
        "group of all files, by name or number; default: that of who mounts",
        "GROUP",
    ),
    Option(
        "umask",
        parse_mode,
        None,
        "permission bits to take away, in octal: of 0444 for files and 0555 for folders, unless their modes are given",
        "MODE",
    ),
    Option("file_mode", parse_mode, 0o440, "permission bits of files, in octal", "MODE"),
    Option("dir_mode", parse_mode, 0o550, "permission bits of folders, in octal", "MODE"),
    Option(
        "allow_other",
        parse_switch,
        default=False,
        help="let other users in, as the permission bits say",
        is_switch=True,
    ),
    Option("allow_root", parse_switch, default=False, help="let root in besides who mounts", is_switch=True),
    Option(
        "allow_delete",
        parse_switch,
        default=False,
        help="let rm of a medium delete it at Twilio, for good, once every byte of it is proven",
        is_switch=True,
    ),
)


@dataclass(frozen=True, slots=True)
class FsSettings:
    """What `Vfs` needs of the options, defaults resolved."""

    uid: int
    gid: int
    timeout: float
    """Seconds any operation may take."""
    umask: int | None = None
    file_mode: int = 0o440
    dir_mode: int = 0o550

    def masked(self, mode: int) -> int:
        """The permission bits `mode` without those that `umask` takes away."""
        return mode & ~(self.umask or 0)
