"""The text after `-o`, as mount(8), fstab and people write it."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from twfs.config.table import OPTIONS, refuse_secret, unknown_option
from twfs.errors import ConfigError
from twfs.option import Option, parse_switch

# Options of mount(8), fstab(5) and systemd.mount(5) that mean nothing here, but must not be an error.
# fmt: off
_GENERIC = frozenset((
    "rw", "ro", "auto", "noauto", "defaults", "user", "nouser", "users", "owner", "group", "nofail",
    "_netdev", "no_netdev", "dev", "nodev", "suid", "nosuid", "exec", "noexec", "atime", "noatime",
    "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "lazytime", "nolazytime", "async",
    "sync", "iversion", "mand", "nomand", "silent", "loud",
))
# fmt: on
_GENERIC_PATTERNS = ("comment=*", "x-*", "X-*", "context=*", "user=*")


def parse_mount_options(text: str, *, sloppy: bool = False, options: Mapping[str, Option] = OPTIONS) -> dict[str, str]:
    """Option names and their texts; of an option given twice the last counts.

    Items are separated by commas. As in libmount a comma inside double quotes or behind a backslash separates
    nothing; the quotes and that backslash are removed.

    Args:
        text: `cache_size=1G,ro,private_key="/a,b"`.
        sloppy: pass over unknown options (mount -s).
        options: the known ones, by name.

    Raises:
        ConfigError: unknown option, missing value, secret, a quote that is not closed, or a mount to be changed.
    """
    found: dict[str, str] = {}
    for item in split_mount_options(text):
        name, separator, value = item.partition("=")
        refuse_secret(name)
        if item == "remount":
            raise ConfigError("the options of a twfs that is mounted cannot be changed; unmount it, and mount it again")
        if name in options:
            found[name] = _value(options[name], value, given=bool(separator))
        elif not sloppy and not _is_generic(item):
            raise unknown_option(name, options)
    _check_contradiction(text, found)
    return found


def split_mount_options(text: str) -> list[str]:
    """The items, unquoted, without empty ones.

    Raises:
        ConfigError: a quote that is not closed.
    """
    items = [""]
    quoted = escaped = False
    for character in text:
        if escaped:
            items[-1] += character if character in ',"\\' else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            items.append("")
        else:
            items[-1] += character
    if quoted:
        raise ConfigError("the mount options have a double quote that is not closed")
    items[-1] += "\\" if escaped else ""
    return [item for item in items if item]


def _check_contradiction(text: str, found: Mapping[str, str]) -> None:
    """Who wrote `ro` must not find media deleted."""
    if "ro" in split_mount_options(text) and parse_switch(found.get("allow_delete", "no")):
        raise ConfigError("ro and allow_delete exclude each other; take one away")


def _is_generic(item: str) -> bool:
    return item in _GENERIC or any(fnmatchcase(item, pattern) for pattern in _GENERIC_PATTERNS)


def _value(option: Option, value: str, *, given: bool) -> str:
    if given:
        return value
    if option.is_switch:
        return "yes"
    raise ConfigError(f"option {option.name} needs a value; write {option.name}={option.metavar}")
