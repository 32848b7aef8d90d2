"""Credentials, private keys and passphrases: read from files that nobody else can read, and hidden from `repr`."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twfs.config.names import nearest
from twfs.errors import ConfigError
from twfs.invocation import pasteable
from twfs.ownership import refuse_foreign
from twfs.resources import is_sid, is_text

CREDENTIAL_NAMES = ("account_sid", "api_key", "api_secret", "auth_token")
SECRET_NAMES = ("api_secret", "auth_token")
# More than any credentials file or PEM key needs; bounds what a wrong path (a device, a film) can make us read.
FILE_LIMIT = 256 * 1024
# OpenSSL's, in bytes.
_LONGEST_PASSPHRASE = 1023


class Unreadable(ConfigError):
    """A file that cannot be read."""

    def __init__(self, path: Path, why: str) -> None:
        """`why` is a sentence behind the file's name."""
        super().__init__(f"{str(path)!r} {why}")
        self.why = why


class Secret:
    """Text that shows itself only when asked to."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Holds `text`."""
        self._text = text

    def __repr__(self) -> str:
        """No part of the text, nor its length."""
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same text."""
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        """Consistent with equality."""
        return hash(self._text)

    def reveal(self) -> str:
        """The text."""
        return self._text


@dataclass(frozen=True, slots=True)
class Credentials:
    """What HTTP Basic needs: an API key's SID and secret, or the account's SID and its auth token."""

    user: str
    secret: Secret
    origin: str = ""
    """The place that they come from, for messages."""
    passed_over: tuple[str, ...] = ()
    """Other places with credentials, and why each was not taken."""


@dataclass(frozen=True, slots=True)
class CredentialSet:
    """What one place (a file, the environment) says of an account; parts may be missing."""

    origin: str
    """The place, for messages."""
    account_sid: str | None = None
    api_key: str | None = None
    api_secret: Secret | None = None
    auth_token: Secret | None = None


def read_private_file(path: Path, trusted_folder: Path | None = None) -> bytes:
    """The whole file, provided that only its owner can read it.

    Args:
        path: the file.
        trusted_folder: systemd's credentials folder: it guards what it holds, whatever the files' modes say.

    Raises:
        ConfigError: it cannot be read, is no file, is too large, or group or others may read it.
    """
    mode, content = read_with_mode(path)
    refuse_readable_by_others(path, mode, trusted_folder)
    return content


def read_credentials_file(path: Path, trusted_folder: Path | None = None) -> CredentialSet:
    """`NAME=VALUE` lines with the names of `CREDENTIAL_NAMES`; `#` begins a comment line.

    Raises:
        ConfigError: as `read_private_file`, or a line that cannot be understood; no message quotes a line.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(_text_of(path, trusted_folder).splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, value = _split_line(line, f"{path}, line {number}")
            values[name] = value
    return credential_set(values, str(path))


def credential_set(values: Mapping[str, str], origin: str) -> CredentialSet:
    """The values found under `CREDENTIAL_NAMES` at one place, checked.

    Raises:
        ConfigError: a SID is none; the message does not quote it, for it may be a secret in the wrong line. Or a secret
            cannot be sent.
    """
    for name, prefix in (("account_sid", "AC"), ("api_key", "SK")):
        if values.get(name) and not is_sid(values[name], prefix):
            raise ConfigError(f"{origin}: {name} must be {prefix} and 32 hexadecimal digits")
    for name in SECRET_NAMES:
        if not is_text(values.get(name, "")):
            raise ConfigError(f"{origin}: {name} is no UTF-8")
    return CredentialSet(
        origin,
        values.get("account_sid") or None,
        values.get("api_key") or None,
        *(Secret(values[name]) if values.get(name) else None for name in SECRET_NAMES),
    )


def read_passphrase(path: Path, trusted_folder: Path | None = None) -> bytes:
    """The file's first line, without its end.

    Raises:
        ConfigError: as `read_private_file`, or the line is empty or longer than OpenSSL takes.
    """
    lines = read_private_file(path, trusted_folder).splitlines()
    if not lines or not lines[0]:
        raise ConfigError(f"{path} holds no passphrase; it must be its first line")
    if len(lines[0]) > _LONGEST_PASSPHRASE:
        raise ConfigError(f"{path} has a first line of {len(lines[0])} bytes; keys take {_LONGEST_PASSPHRASE} at most")
    return lines[0]


def is_folder(path: Path) -> bool:
    """Whether it is a folder, as far as we may see."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def is_stream(path: Path) -> bool:
    """Whether it is a pipe, a socket or a terminal: they give what they hold once, and who reads them may wait."""
    try:
        status = path.stat()
    except OSError:
        return False
    is_null = stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or is_null)


def list_folder(path: Path) -> list[Path]:
    """A folder's entries in the order of their names.

    Raises:
        ConfigError: it cannot be listed.
    """
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise ConfigError(f"{path} cannot be listed: {error.strerror}") from None


def systemd_file(folder: Path | None, name: str) -> Path | None:
    """One file of systemd's credentials folder, if both are there."""
    path = folder / name if folder else None
    return path if path and path.exists() else None


def read_with_mode(path: Path) -> tuple[int, bytes]:
    """Mode and content of one open file: nobody can exchange it in between.

    Raises:
        Unreadable: it cannot be read, is no file, or is too large.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no possible path"
        raise Unreadable(path, f"cannot be read: {why}") from None
    if len(content) > FILE_LIMIT:
        raise Unreadable(path, f"is larger than {FILE_LIMIT} bytes; it is neither key nor credentials")
    return mode, content


def refuse_readable_by_others(path: Path, mode: int, trusted_folder: Path | None) -> None:
    """Stop at a secret that is none; what systemd's credentials folder holds is guarded by that.

    Raises:
        ConfigError: group or others may read or change a file with this mode.
    """
    if trusted_folder is not None and path.resolve().is_relative_to(trusted_folder.resolve()):
        return
    if mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path} is open to group or others; run: {pasteable('chmod', '600', path)}")
    refuse_foreign(path)


def _text_of(path: Path, trusted_folder: Path | None) -> str:
    try:
        return read_private_file(path, trusted_folder).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text; it must hold lines such as account_sid=AC...") from None


def _split_line(line: str, place: str) -> tuple[str, str]:
    name, separator, value = (part.strip() for part in line.partition("="))
    if not separator:
        raise ConfigError(f"{place}: no NAME=VALUE line")
    if name not in CREDENTIAL_NAMES:
        raise ConfigError(
            f"{place}: unknown name{nearest(name, CREDENTIAL_NAMES)}; known: {', '.join(CREDENTIAL_NAMES)}"
        )
    return name, value
