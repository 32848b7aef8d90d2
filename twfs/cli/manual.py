"""twfs(1), made of the parsers and the option table (groff_man(7))."""

from collections.abc import Iterable, Iterator, Sequence

from twfs.cli.grammar import Command, Flag
from twfs.config.documentation import default_text
from twfs.config.table import TABLE
from twfs.option import Option

_INTRODUCTION = """\
mounts a Twilio account's Video Recordings and Compositions as ordinary, decrypted, read-only files. A program that
opens one and reads gets the ranges that it reads, decrypted in memory. Neither plaintext nor unwrapped keys are ever
written to disk."""

_SOURCE = """\
SOURCE is twilio:ACCOUNT. ACCOUNT is an account SID (AC...) or the name of a profile in the configuration file; twilio:
alone is the profile "default", or the account of the environment. "twfs SOURCE DIR" is "twfs mount SOURCE DIR", which
is what mount(8) runs where the helpers mount.twfs and mount.fuse.twfs are not installed."""

_OPTIONS = """\
Each can be given behind -o, as a flag (cache_size as --cache-size), as a variable of the environment (TWFS_CACHE_SIZE),
and in a profile of the configuration file; the first of these that has it counts. Sizes take K, M and G, which are
binary. The generic options of mount(8) and fstab(5) (ro, noauto, _netdev, nofail, x-...) are accepted and mean
nothing."""

_FILES = (
    ("~/.config/twfs/config.toml, /etc/twfs/config.toml", "Profiles, [profiles.NAME]; the first file that is there."),
    ("~/.config/twfs/keys/", "Private keys: *.pem and *.key, for their owner's eyes only."),
    (
        "/etc/twfs/credentials, /etc/twfs/keys/",
        "What twfs@.service takes where the profile names none; a file named passphrase opens encrypted keys.",
    ),
    ("/etc/twfs/NAME.env", "Variables of twfs@NAME.service: DIR is where to mount, TWFS_... are options."),
    (
        "~/.cache/twfs/DIR.log",
        "A background mount's log, where there is neither log_file nor syslog; %2F stands for a slash. At most 4 MiB.",
    ),
    ("DIR/.twfs/status", "Not listed: what the mount is and does, and where its log is, as JSON."),
    ("DIR/.twfs/metrics", "Not listed: the same figures for Prometheus."),
)

_VARIABLES = (
    (
        "TWILIO_ACCOUNT_SID, TWILIO_API_KEY, TWILIO_API_SECRET, TWILIO_AUTH_TOKEN",
        "The account, and an API key with its secret, or the account's auth token instead of both.",
    ),
    ("TWFS_NAME", "The option NAME."),
    (
        "CREDENTIALS_DIRECTORY, CACHE_DIRECTORY, NOTIFY_SOCKET, WATCHDOG_USEC",
        "As systemd.exec(5) and sd_notify(3) have them.",
    ),
)

_EXIT = (
    ("0", "Done."),
    ("1", "mount and umount: usage, or a configuration that cannot be used. Others: something failed."),
    ("2", "mount and umount: the system refused. Others: usage."),
    ("4, 8", "mount and umount: a mistake in twfs; interrupted."),
    ("32", "The mount, or the unmount, did not come about."),
)

_EXAMPLES = (
    ("twfs demo ~/twfs-demo", "A simulated account, mounted until Ctrl-C."),
    ("mount -t twfs twilio:clinic /srv/recordings", "The profile clinic."),
    (
        "twilio:clinic /srv/recordings twfs ro,_netdev,nofail,noauto,x-systemd.automount 0 0",
        "A line of /etc/fstab: mounted when somebody looks into the folder.",
    ),
    ("systemctl enable --now twfs@clinic", "The same profile at /srv/twfs/clinic, from every boot on."),
)


def manual_page(commands: Sequence[Command], version: str) -> str:
    """The source of twfs(1)."""
    lines = [
        f'.TH TWFS 1 "" "twfs {version}" "User Commands"',
        # Neither hyphens nor stretched spaces: names of options and files are to be copied.
        ".nh",
        ".ad l",
        ".SH NAME",
        r"twfs \- Twilio video recordings and compositions as files",
        ".SH SYNOPSIS",
        *_synopsis(commands),
        ".SH DESCRIPTION",
        ".B twfs",
        *_paragraphs(_INTRODUCTION, _SOURCE),
        ".SH COMMANDS",
    ]
    for command in commands:
        for leaf in command.leaves():
            lines += _command(leaf)
    lines += [".SH OPTIONS", *_paragraphs(_OPTIONS)]
    for option in TABLE:
        lines += _option(option)
    for heading, items in (("ENVIRONMENT", _VARIABLES), ("FILES", _FILES), ("EXIT STATUS", _EXIT)):
        lines += [f".SH {heading}", *_items(items)]
    lines += [".SH EXAMPLES", *_items(_EXAMPLES), ".SH SEE ALSO"]
    lines += [".BR mount (8),", ".BR fstab (5),", ".BR systemd.automount (5),", ".BR fuse (4)"]
    return "\n".join(lines) + "\n"


def _synopsis(commands: Iterable[Command]) -> Iterator[str]:
    for command in commands:
        for leaf in command.leaves():
            yield _usage(leaf)
            yield ".br"


def _usage(command: Command) -> str:
    """`twfs mount [flags] SOURCE DIR` in fonts; the flags stand under the command's own heading."""
    words = _bold(" ".join(("twfs", *command.words)))
    return " ".join((words, r"[\fIflags\fR]", *(_escaped(str(each)) for each in command.operands)))


def _command(command: Command) -> Iterator[str]:
    yield f".SS {_escaped(' '.join(('twfs', *command.words, *map(str, command.operands))))}"
    yield from _paragraphs(command.description)
    for flag in command.flags:
        if not flag.is_of_table:
            yield from _tagged(_flag(flag), flag.help)
    if any(flag.is_of_table for flag in command.flags):
        yield from (".PP", "Takes all options, see below.")


def _option(option: Option) -> Iterator[str]:
    default = default_text(option)
    tag = _bold(option.name) + ("" if option.is_switch else rf"=\fI{_escaped(option.metavar)}\fR")
    yield from _tagged(tag, option.help + (f" [{default}]" if default else ""))


def _flag(flag: Flag) -> str:
    names = ", ".join(map(_bold, flag.names))
    return names + (rf" \fI{_escaped(flag.metavar)}\fR" if flag.metavar else "")


def _items(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    for tag, text in items:
        yield from _tagged(_bold(tag), text)


def _tagged(tag: str, text: str) -> Iterator[str]:
    yield from (".TP", tag, _line(text))


def _paragraphs(*texts: str) -> Iterator[str]:
    for number, text in enumerate(texts):
        if number:
            yield ".PP"
        yield from map(_line, text.splitlines())


def _bold(text: str) -> str:
    return rf"\fB{_escaped(text)}\fR"


def _line(text: str) -> str:
    """A line of text, which a dot or an apostrophe at its head would make a request."""
    return rf"\&{_escaped(text)}" if text.startswith((".", "'")) else _escaped(text)


def _escaped(text: str) -> str:
    """Text as itself: no escapes, and hyphens and quotes that can be copied into a shell."""
    for plain, escape in (("\\", r"\e"), ("-", r"\-"), ("'", r"\(aq"), ("`", r"\(ga"), ("^", r"\(ha"), ("~", r"\(ti")):
        text = text.replace(plain, escape)
    return text
