"""The options of the kernel's side of the mount."""

from twfs.option import Option, number, one_of, parse_switch

FUSE_CHOICES = ("auto", "3", "2")

OPTIONS: tuple[Option, ...] = (
    Option("fuse", one_of(*FUSE_CHOICES), "auto", "version of libfuse to use: auto, 3 or 2", "VERSION"),
    Option(
        "attr_timeout",
        number(float, 0, 86_400),
        60.0,
        "seconds the kernel may keep names and attributes without asking again",
        "SECONDS",
    ),
    Option(
        "noforget",
        parse_switch,
        default=False,
        help="remember every name that was looked up, as an NFS server needs it",
        is_switch=True,
    ),
)
