"""The options of what a mount tells others of itself."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twfs.errors import ConfigError
from twfs.option import Option

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^][:\s]*):(?P<port>[0-9]{1,5})")
_LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    """A name or an address, without brackets; empty: every address of the machine."""
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        """As written in the option."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`127.0.0.1:9469`, `[::1]:9469`, `:9469`.

    Raises:
        ConfigError: it is none.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match["port"]) > _LARGEST_PORT:
        raise ConfigError(f"{text!r} is no address to listen at; write HOST:PORT, as 127.0.0.1:9469")
    return Address(match["host"].strip("[]"), int(match["port"]))


def parse_audit(text: str) -> Path | Literal["journal"]:
    """A file, or `journal`.

    Raises:
        ConfigError: neither.
    """
    if text == "journal":
        return "journal"
    if not text or "\0" in text:
        raise ConfigError("a file is needed, or the word journal")
    return Path(text)


OPTIONS: tuple[Option, ...] = (
    Option("metrics", parse_address, None, "serve .twfs/metrics over HTTP, as 127.0.0.1:9469", "HOST:PORT"),
    Option(
        "audit",
        parse_audit,
        None,
        "write who opened which medium and how much of it was read, to a file or systemd's journal",
        "FILE|journal",
    ),
)
