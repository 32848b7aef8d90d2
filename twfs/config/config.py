"""What twfs was told, complete and checked: one field per option of the table, and what the secret files held."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from twfs.config.observing import Address
from twfs.config.secrets import Credentials
from twfs.crypto.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Reads and checks once more what was read, where it was read, whatever the current folder is by now.

    All raise ConfigError as `load_config`. They hold the environment of then, secrets included.
    """

    credentials: Callable[[], tuple[str, Credentials]]
    """The account's SID and its credentials."""
    keyring: Callable[[], Keyring]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Parsed values under the options' names. All paths are absolute; sizes are bytes, times seconds."""

    account_sid: str
    credentials: Credentials
    """What the credentials file, the environment or systemd's folder gave; not the file's path."""
    keyring: Keyring
    """All private keys at hand; may be empty. Grows where `twfs.config.reload` finds more of them."""
    again: "Again" = field(repr=False, compare=False)

    config: Path | None
    api_key: str | None
    """As given as an option; what to send stands in `credentials`."""
    private_key: tuple[Path, ...] | None
    private_key_passphrase_file: Path | None
    log_level: str
    log_format: str
    log_file: Path | None
    metrics: Address | None
    audit: Path | Literal["journal"] | None

    api_url: str
    accounts_url: str
    media_hosts: tuple[str, ...]
    """Host suffixes; `localhost` stands for every loopback address."""
    connections: int
    timeout: float
    api_rate: float

    cache_size: int
    readahead: int

    refresh: float
    kind: str
    """`all`, or the value of a `Kind`."""
    room: str | None
    since: int | None
    """Moment in whole seconds since 1970 UTC; `[since, until)`."""
    until: int | None
    state_dir: Path

    uid: int | None
    gid: int | None
    umask: int | None
    file_mode: int
    dir_mode: int
    allow_other: bool
    allow_root: bool
    allow_delete: bool

    fuse: str
    attr_timeout: float
    noforget: bool
