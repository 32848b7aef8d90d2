"""`twfs encryption`: whether Twilio encrypts new recordings and compositions, and for which public key."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from twfs.cli.confirm import confirm
from twfs.cli.flags import add_common_flags
from twfs.cli.outcome import UsageError
from twfs.cli.output import complain, escaped, say
from twfs.cli.paths import a_path
from twfs.cli.public_key import (
    add_account,
    add_actions,
    config_of,
    key_sid,
    outcome_shown_by,
    read_public_key,
    same_account,
)
from twfs.cli.tables import is_terminal, new_table, show, wrapped
from twfs.config.config import Config
from twfs.crypto.keypair import PublicKey, answering_key
from twfs.errors import ConfigError
from twfs.mount.session import open_rest
from twfs.remote.accounts import PublicKeys
from twfs.remote.settings import EncryptionSettings, StorageSettings
from twfs.resources import Kind

_NONE = "none"


def add_parser(commands: Any) -> None:
    """The command, its actions and their flags."""
    actions = add_actions(
        commands,
        "encryption",
        "whether Twilio encrypts new media",
        "Show and change whether Twilio encrypts new recordings and compositions, and for which key.",
    )
    show = actions.add_parser("show", help="how new media are stored", description="Show how new media are stored.")
    show.add_argument("--json", action="store_true", help="a JSON object by kind")
    show.set_defaults(run=run_show)
    enable = actions.add_parser(
        "enable",
        help="encrypt new media",
        description="Have Twilio encrypt new media. Media that exist, and other settings, stay as they are.",
    )
    enable.add_argument("--key", metavar="CR...", type=key_sid, required=True, help="SID of the public key")
    enable.add_argument(
        "--pem",
        type=a_path,
        metavar="PEM",
        help="file of that public key: prove first that its private half is at hand",
    )
    enable.add_argument("--yes", action="store_true", help="do not ask")
    enable.set_defaults(run=run_enable)
    disable = actions.add_parser("disable", help="stop it", description="Have Twilio store new media unencrypted.")
    disable.set_defaults(run=run_disable)
    for action in (show, enable, disable):
        for kind in Kind:
            action.add_argument(
                f"--{kind}", dest="kinds", action="append_const", const=kind, help=f"the settings of {kind}"
            )
        add_account(action)
        add_common_flags(action, ("config", "credentials", "private_key"))


def run_show(arguments: argparse.Namespace) -> int:
    """Show the settings of the kinds that are named, or of both."""
    config = config_of(arguments)
    with open_rest(config) as api:
        settings = EncryptionSettings(api, config.api_url, config.account_sid)
        found = {kind: settings.fetch(kind) for kind in _kinds(arguments) or Kind}
    if arguments.json:
        say(json.dumps({kind.value: asdict(each) for kind, each in found.items()}, indent=2))
    else:
        _show(found)
    return 0


def run_enable(arguments: argparse.Namespace) -> int:
    """Encrypt new media for a key, once it is proven or said to be missing that its private half is here."""
    kinds = _named_kinds(arguments)
    public = read_public_key(arguments.pem) if arguments.pem else None
    config = config_of(arguments)
    _prove(public, config)
    with open_rest(config) as api:
        key = PublicKeys(api, config.accounts_url).fetch(arguments.key)
        if key.friendly_name:
            say(f"{key.sid} is {escaped(key.friendly_name)}")
        _change(
            EncryptionSettings(api, config.api_url, config.account_sid),
            kinds,
            lambda now: now.encrypted_for(arguments.key),
            same_account(arguments),
            assume_yes=arguments.yes,
        )
    return 0


def run_disable(arguments: argparse.Namespace) -> int:
    """Store new media unencrypted."""
    kinds = _named_kinds(arguments)
    config = config_of(arguments)
    with open_rest(config) as api:
        settings = EncryptionSettings(api, config.api_url, config.account_sid)
        _change(settings, kinds, StorageSettings.unencrypted, same_account(arguments), assume_yes=True)
    return 0


def _change(
    settings: EncryptionSettings,
    kinds: list[Kind],
    change: Callable[[StorageSettings], StorageSettings],
    account: list[str],
    *,
    assume_yes: bool,
) -> None:
    """Read all, show what will change, ask where it must be asked, set one after the other and read back."""
    before = {kind: settings.fetch(kind) for kind in kinds}
    after = {kind: change(now) for kind, now in before.items()}
    for kind in kinds:
        say(_difference(kind, before[kind], after[kind]))
    recordings = Kind.RECORDING
    if recordings in kinds and after[recordings].encryption_enabled and not before[recordings].encryption_enabled:
        complain("twfs", "warning: encrypted recordings cannot be composed: Twilio makes no compositions of them")
        confirm("Encrypt new recordings?", assume_yes=assume_yes)
    for kind in kinds:
        if before[kind].effect != after[kind].effect:
            with outcome_shown_by("encryption", "show", *account, f"--{kind}"):
                settings.store(kind, after[kind])
            say(f"{kind}: set, and read back")


def _prove(public: PublicKey | None, config: Config) -> None:
    """Say which private key answers to the public one, or that nobody has proven it.

    Raises:
        ConfigError: none of those at hand does.
    """
    if public is None:
        complain("twfs", "warning: it is not proven that you have the private key; name the public one with --pem PEM")
        return
    private = answering_key(public, config.keyring)
    if private is None:
        raise ConfigError(
            f"{config.keyring.none_does('answer')} to {public.name}: what Twilio encrypts for it you could not "
            "read; nothing was changed: give private_key=PATH of its private half"
        )
    say(f"{escaped(private.name)} answers to {escaped(public.name)}")


def _kinds(arguments: argparse.Namespace) -> list[Kind]:
    return [kind for kind in Kind if kind in (arguments.kinds or ())]


def _named_kinds(arguments: argparse.Namespace) -> list[Kind]:
    kinds = _kinds(arguments)
    if not kinds:
        raise UsageError("say which settings: --recordings, --compositions or both")
    return kinds


def _show(found: dict[Kind, StorageSettings]) -> None:
    """On a terminal, long values go on in the next line, below themselves."""
    for kind, settings in found.items():
        say(kind.value)
        if is_terminal():
            table = new_table(shows_headings=False)
            for heading, value in _rows(settings):
                table.add_row(f"  {heading}", wrapped(escaped(value)))
            show(table)
        else:
            say("\n".join(f"  {heading:10}  {escaped(value)}" for heading, value in _rows(settings)))


def _rows(settings: StorageSettings) -> tuple[tuple[str, str], ...]:
    storage = "Twilio's"
    if settings.aws_storage_enabled:
        storage = f"{settings.aws_s3_url or 'your own bucket'} by {settings.aws_credentials_sid or 'no credentials'}"
    return (
        ("encryption", _switch(settings)),
        ("public key", settings.encryption_key_sid or _NONE),
        ("storage", storage),
        ("name", settings.friendly_name or _NONE),
    )


def _difference(kind: Kind, before: StorageSettings, after: StorageSettings) -> str:
    if before.effect == after.effect:
        return f"{kind}: {_state(before)}, as it is to be"
    return f"{kind}: {_state(before)} -> {_state(after)}"


def _state(settings: StorageSettings) -> str:
    key = settings.encryption_key_sid or _NONE
    return f"encryption on for {escaped(key)}" if settings.encryption_enabled else "encryption off"


def _switch(settings: StorageSettings) -> str:
    return "on" if settings.encryption_enabled else "off"
