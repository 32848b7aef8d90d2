"""The options of the file system's look: owners, permission bits, and who may enter."""

from dataclasses import dataclass

from twfs.option import Option, number, parse_mode, parse_switch

_ID = number(int, 0, 2**32 - 2)
"""User and group numbers; 2**32 - 1 means "none" to chown(2)."""

OPTIONS: tuple[Option, ...] = (
    Option("uid", _ID, None, "owner of all files; default: who mounts", "UID"),
    Option("gid", _ID, None, "group of all files; default: that of who mounts", "GID"),
    Option("umask", parse_mode, None, "permission bits to take away from files and folders, in octal", "MODE"),
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
        help="let rm of a medium that was read whole delete it at Twilio, for good",
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
