"""`twfs public-key`: the public keys that Twilio may encrypt an account's media for."""

import argparse
import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twfs.cli.confirm import confirm
from twfs.cli.flags import add_common_flags, as_flags, overrides_of
from twfs.cli.intermixed import CommandParser
from twfs.cli.mount import configured
from twfs.cli.outcome import UsageError
from twfs.cli.output import escaped, say
from twfs.cli.paths import a_path
from twfs.cli.selection import DEFAULT_SOURCE, split_source
from twfs.cli.tables import show_rows
from twfs.cli.values import parsed_by
from twfs.config.config import Config
from twfs.config.profiles import source_hint
from twfs.crypto.keypair import PublicKey, parse_public_key
from twfs.errors import ConfigError
from twfs.invocation import twfs_command
from twfs.mount.session import open_rest
from twfs.remote.accounts import LONGEST_NAME, PublicKeys, StoredKey, checked_key_sid
from twfs.remote.rest import OutcomeUnknown
from twfs.remote.settings import EncryptionSettings
from twfs.resources import Kind

_LARGEST_PEM = 64 * 1024
_UNKNOWN = "-"


def add_parser(commands: Any) -> None:
    """The command, its actions and their flags."""
    actions = add_actions(
        commands,
        "public-key",
        "the public keys that Twilio may encrypt for",
        "Store, list and delete the public keys that Twilio may encrypt an account's media for.",
    )
    create = actions.add_parser("create", help="store one", description="Store a public key; prints its SID.")
    add_account(create)
    create.add_argument("pem", metavar="PEM", type=a_path, help="file of the public key")
    create.add_argument("--name", required=True, help=f"for people, at most {LONGEST_NAME} characters")
    create.set_defaults(run=run_create)
    listing = actions.add_parser("list", help="list them", description="List the public keys.")
    add_account(listing)
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    form.add_argument("--wide", action="store_true", help="names in full, on a terminal too")
    listing.set_defaults(run=run_list)
    delete = actions.add_parser("delete", help="delete some", description="Delete public keys that nothing uses.")
    delete.add_argument(
        "words", metavar="[SOURCE] CR...", nargs="+", help="which; a SOURCE may stand before them [twilio:]"
    )
    add_source_flag(delete)
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.set_defaults(run=run_delete)
    for action in (create, listing, delete):
        add_common_flags(action, ("config", "credentials"))


def add_actions(commands: Any, name: str, summary: str, description: str) -> Any:
    """A command that has actions: where to add these."""
    parser = commands.add_parser(name, help=summary, description=description)
    return parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=CommandParser)


def add_account(parser: argparse.ArgumentParser) -> None:
    """SOURCE before other operands, which may be left out."""
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="the account, as for mount [twilio:]")
    add_source_flag(parser)


def add_source_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that these commands had before SOURCE could stand where it does in others."""
    parser.add_argument("--source", dest="source_flag", metavar="SOURCE", help=argparse.SUPPRESS)


def source_of(arguments: argparse.Namespace) -> str:
    """The account that is meant.

    Raises:
        UsageError: two are.
    """
    if arguments.source and arguments.source_flag and arguments.source != arguments.source_flag:
        raise UsageError(f"{arguments.source} and --source {arguments.source_flag}: which one? name one account")
    source: str = arguments.source or arguments.source_flag or DEFAULT_SOURCE
    return source


def same_account(arguments: argparse.Namespace) -> list[str]:
    """What a suggested command says of the account, so that it is this one."""
    return [source_of(arguments), *as_flags(overrides_of(arguments))]


def config_of(arguments: argparse.Namespace) -> Config:
    """What `add_account`, `add_common_flags` and the configuration say together.

    Raises:
        ConfigError: something cannot be used.
    """
    return configured(source_of(arguments), overrides_of(arguments), verbose=arguments.verbose)


key_sid = parsed_by(checked_key_sid)
"""As argparse's `type`, the SID of a public key."""


def read_public_key(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        ConfigError: it cannot be read, is none, or is a private one.
    """
    try:
        with path.open("rb") as file:
            return parse_public_key(file.read(_LARGEST_PEM), str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def run_create(arguments: argparse.Namespace) -> int:
    """Store a public key, and print its SID alone, for scripts."""
    key = read_public_key(arguments.pem)
    config = config_of(arguments)
    with open_rest(config) as api, outcome_shown_by("public-key", "list", *same_account(arguments)):
        stored = PublicKeys(api, config.accounts_url).create(key.pem, arguments.name)
    say(stored.sid)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """List the public keys."""
    config = config_of(arguments)
    with open_rest(config) as api:
        keys = PublicKeys(api, config.accounts_url).list()
    if arguments.json:
        say(json.dumps([asdict(key) for key in keys], indent=2))
    else:
        show_rows(("SID", "CREATED", "NAME"), map(_cells, keys), loose=2, wide=arguments.wide)
    return 0


def run_delete(arguments: argparse.Namespace) -> int:
    """Delete public keys, after asking, and none of them if one is in use."""
    arguments.source, words = split_source(arguments.words)
    sids = list(dict.fromkeys(map(_key_sid, words)))
    if not sids:
        raise UsageError("name the public keys to delete, by their SIDs (CR...)")
    config = config_of(arguments)
    with open_rest(config) as api, outcome_shown_by("public-key", "list", *same_account(arguments)):
        keys = PublicKeys(api, config.accounts_url)
        doomed = [keys.fetch(sid) for sid in sids]
        settings = EncryptionSettings(api, config.api_url, config.account_sid)
        _refuse_used({key.sid for key in doomed}, settings, same_account(arguments))
        confirm(f"Delete {', '.join(map(_described, doomed))}?", assume_yes=arguments.yes)
        for key in doomed:
            keys.delete(key.sid)
            say(f"{key.sid}: deleted")
    return 0


@contextlib.contextmanager
def outcome_shown_by(*words: str) -> Iterator[None]:
    """Adds the command that tells whether an uncertain change was carried out."""
    try:
        yield
    except OutcomeUnknown as error:
        raise OutcomeUnknown(f"{error}; see {twfs_command(*words)}") from error


def _refuse_used(sids: set[str], settings: EncryptionSettings, account: list[str]) -> None:
    """Twilio could not encrypt for a key that is gone; what would become of the media is nowhere said.

    Raises:
        ConfigError: media are encrypted for one of them.
    """
    for kind in Kind:
        used = settings.fetch(kind)
        if used.encryption_enabled and used.encryption_key_sid in sids:
            disable = twfs_command("encryption", "disable", *account, f"--{kind}")
            raise ConfigError(
                f"new {kind} are encrypted for {used.encryption_key_sid}; nothing was deleted: first enable it with "
                f"another key, or run: {disable}"
            )


def _key_sid(text: str) -> str:
    """As `key_sid`, of a word behind SOURCE."""
    try:
        return checked_key_sid(text)
    except ConfigError as error:
        raise UsageError(f"{error}{source_hint(text)}") from None


def _described(key: StoredKey) -> str:
    return f"{key.sid} ({escaped(key.friendly_name)})" if key.friendly_name else key.sid


def _cells(key: StoredKey) -> list[str]:
    return [key.sid, escaped(key.date_created or _UNKNOWN), escaped(key.friendly_name or _UNKNOWN)]
