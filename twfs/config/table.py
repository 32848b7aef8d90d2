"""The one table of all options: it feeds `-o`, flags, environment, configuration file and documentation.

Options stand beside their components; here they are gathered, with those that belong to no component.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from twfs.catalog.options import OPTIONS as CATALOG_OPTIONS
from twfs.config.names import nearest
from twfs.config.observing import OPTIONS as OBSERVING_OPTIONS
from twfs.config.secrets import SECRET_NAMES
from twfs.errors import ConfigError
from twfs.fs.options import OPTIONS as FS_OPTIONS
from twfs.fuse.options import OPTIONS as FUSE_OPTIONS
from twfs.invocation import twfs_command
from twfs.media.options import OPTIONS as MEDIA_OPTIONS
from twfs.option import Option, one_of, parse_path
from twfs.remote.options import OPTIONS as REMOTE_OPTIONS
from twfs.resources import is_sid

# Where a secret might be expected by users of other tools, beside the two names twfs has for them.
_SECRET_LIKE = (*SECRET_NAMES, "password", "passwd", "pass", "secret", "token")


def parse_paths(text: str) -> tuple[Path, ...]:
    """Several paths joined by `:`.

    Raises:
        ConfigError: one is empty, or holds a NUL.
    """
    return tuple(parse_path(part) for part in text.split(":"))


def _sid(prefix: str) -> Callable[[str], str]:
    """A parser of SIDs; its complaint does not quote the text, which may be a misplaced secret."""

    def parse(text: str) -> str:
        if not is_sid(text, prefix):
            raise ConfigError(f"must be {prefix} and 32 hexadecimal digits")
        return text

    return parse


OWN_OPTIONS: tuple[Option, ...] = (
    Option(
        "config",
        parse_path,
        None,
        "TOML file with profiles [~/.config/twfs/config.toml, else /etc/twfs/config.toml]",
        "FILE",
    ),
    Option(
        "credentials",
        parse_path,
        None,
        "file with account_sid=, api_key= and api_secret= (or auth_token=) lines",
        "FILE",
    ),
    Option("account_sid", _sid("AC"), None, "the account [TWILIO_ACCOUNT_SID]", "AC..."),
    Option("api_key", _sid("SK"), None, "the API key's SID [TWILIO_API_KEY]", "SK..."),
    Option(
        "private_key", parse_paths, None, "PEM files or folders of them, joined by ':' [~/.config/twfs/keys/]", "PATH"
    ),
    Option(
        "private_key_passphrase_file", parse_path, None, "file whose first line opens encrypted private keys", "FILE"
    ),
    Option(
        "log_level",
        one_of("debug", "info", "warning", "error"),
        "info",
        "what is worth a line: debug, info, warning or error",
        "LEVEL",
    ),
    Option(
        "log_format",
        one_of("text", "json", "journal"),
        "text",
        "text, json, or journal: entries with fields in systemd's journal",
        "FORMAT",
    ),
    Option(
        "log_file",
        parse_path,
        None,
        "where a mount's log goes; in the background by default to syslog, where there is none to state_dir",
        "FILE",
    ),
    *OBSERVING_OPTIONS,
)

TABLE: tuple[Option, ...] = (
    *OWN_OPTIONS,
    *REMOTE_OPTIONS,
    *MEDIA_OPTIONS,
    *CATALOG_OPTIONS,
    *FS_OPTIONS,
    *FUSE_OPTIONS,
)

OPTIONS: Mapping[str, Option] = {option.name: option for option in TABLE}


def unknown_option(name: str, known: Iterable[str] = OPTIONS) -> ConfigError:
    """The complaint about an option nobody knows."""
    hint = nearest(name, known) or f"; all of them: {twfs_command('help', 'options')}"
    return ConfigError(f"unknown option {name!r}{hint}")


def refuse_secret(name: str) -> None:
    """Stop at a secret where everybody can read it (`ps`, /proc/mounts, fstab).

    Raises:
        ConfigError: the name is one of a secret.
    """
    if name in _SECRET_LIKE:
        raise ConfigError(
            f"{name} is a secret and no option; put it into a credentials file (chmod 600) and give credentials=FILE"
        )
