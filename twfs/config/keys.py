"""The private keys that are configured: of files, and of folders where people keep other things beside them."""

import stat
from collections.abc import Iterable
from pathlib import Path

from twfs.config.secrets import (
    FILE_LIMIT,
    Unreadable,
    is_folder,
    list_folder,
    read_with_mode,
    refuse_readable_by_others,
)
from twfs.crypto.key_file import KeyFile, holds_private_key, parse_key_file
from twfs.crypto.keyring import Keyring, PassedOver, PrivateKey
from twfs.errors import ConfigError
from twfs.log import log

_SUFFIXES = (".pem", ".key")
_NAMED_AT_MOST = 3
"""Files that an error names; the log names all."""


def read_private_keys(paths: Iterable[Path], passphrase: bytes | None, trusted_folder: Path | None = None) -> Keyring:
    """The keys of files, and of folders, each of which must give one at least.

    Args:
        paths: a file must hold RSA private keys, all of which can be opened. Of a folder see `keys_of_folder`.
        passphrase: opens those that are encrypted.
        trusted_folder: systemd's credentials folder, see `read_private_file`.

    Raises:
        ConfigError: a file cannot be used, a folder holds no key that can, or others may read a private key.
    """
    keys: list[PrivateKey] = []
    passed_over: list[PassedOver] = []
    for path in paths:
        if is_folder(path):
            found = keys_of_folder(path, passphrase, trusted_folder)
            if not len(found):
                raise _no_key(path, found.passed_over)
            keys += found
            passed_over += found.passed_over
        else:
            keys += _keys_of_file(path, passphrase, trusted_folder)
    return Keyring(keys, passed_over)


def keys_of_folder(folder: Path, passphrase: bytes | None, trusted_folder: Path | None = None) -> Keyring:
    """The private keys among a folder's `*.pem` and `*.key`; may be none. Everything else there is passed over.

    Raises:
        ConfigError: the folder cannot be listed, or others may read one of the private keys, whatever its kind.
    """
    return keys_among(filter(is_key_file, list_folder(folder)), passphrase, trusted_folder)


def keys_among(paths: Iterable[Path], passphrase: bytes | None, trusted_folder: Path | None = None) -> Keyring:
    """The private keys among files of which some may be something else, or nothing.

    Raises:
        ConfigError: others may read one of the private keys, whatever its kind.
    """
    files = [_look(path, passphrase, trusted_folder) for path in paths]
    return Keyring([key for file in files for key in file.keys], [each for file in files for each in file.passed_over])


def none_but_closed(place: Path, found: Keyring) -> ConfigError | None:
    """What to say of a place that nobody named: it may hold no key, but not one that only cannot be opened."""
    if len(found) or not any(each.may_be_needed for each in found.passed_over):
        return None
    return _no_key(place, found.passed_over)


def is_key_file(path: Path) -> bool:
    """Whether an entry of a folder is looked at for a key, by its name; editors' hidden files are not."""
    return path.suffix in _SUFFIXES and not path.name.startswith(".")


def tell_what_was_passed_over(keyring: Keyring) -> None:
    """Log it: as a warning where a medium may stay locked for want of it, else for who wants to know more."""
    for each in keyring.passed_over:
        (log.warning if each.may_be_needed else log.debug)("passed over: %s", each)


def _keys_of_file(path: Path, passphrase: bytes | None, trusted_folder: Path | None) -> tuple[PrivateKey, ...]:
    mode, content = read_with_mode(path)
    found = parse_key_file(content, passphrase, str(path))
    if found.keys or holds_private_key(content):
        refuse_readable_by_others(path, mode, trusted_folder)
    # A key of another kind beside one that fits is no matter; one that may fit, and is closed, is.
    faults = [each for each in found.passed_over if each.may_be_needed or not found.keys]
    if faults:
        raise ConfigError(str(faults[0]))
    return found.keys


def _look(path: Path, passphrase: bytes | None, trusted_folder: Path | None) -> KeyFile:
    """What a file of a folder holds. A pipe or a device is not opened: it would never end."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return _nothing(path, "is no file", may_be_needed=False)
        if status.st_size > FILE_LIMIT:
            return _nothing(path, f"has more than {FILE_LIMIT} bytes; no key is so large", may_be_needed=False)
        mode, content = read_with_mode(path)
    except Unreadable as error:
        return _nothing(path, error.why, may_be_needed=True)
    except OSError as error:
        # A link that leads nowhere, or into a folder that is closed to us.
        return _nothing(path, f"cannot be read: {error.strerror}", may_be_needed=isinstance(error, PermissionError))
    if holds_private_key(content):
        refuse_readable_by_others(path, mode, trusted_folder)
    return parse_key_file(content, passphrase, str(path))


def _nothing(path: Path, why: str, *, may_be_needed: bool) -> KeyFile:
    return KeyFile((), (PassedOver(str(path), why, may_be_needed=may_be_needed),))


def _no_key(folder: Path, passed_over: Iterable[PassedOver]) -> ConfigError:
    by_weight = sorted(passed_over, key=lambda each: not each.may_be_needed)
    named = "".join(f"; {each}" for each in by_weight[:_NAMED_AT_MOST])
    more = f"; and {len(by_weight) - _NAMED_AT_MOST} more" if len(by_weight) > _NAMED_AT_MOST else ""
    usable = " that can be used" if by_weight and by_weight[0].may_be_needed else ""
    return ConfigError(f"{folder} holds no private key{usable}; keys are files named *.pem or *.key{named}{more}")
