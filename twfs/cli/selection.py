"""Which media a command is about: SIDs, or `--all` and filters."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twfs.catalog.options import CatalogSettings
from twfs.cli.flags import overrides_of
from twfs.cli.mount import configured
from twfs.cli.outcome import UsageError
from twfs.cli.progress import listing_shown
from twfs.config.config import Config
from twfs.config.profiles import is_source, source_hint
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError
from twfs.mount.session import Session
from twfs.resources import Kind, Medium, is_sid
from twfs.transfer.choice import by_sid, everything

DEFAULT_SOURCE = "twilio:"
FILTERS = ("kind", "room", "since", "until")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Media of one source."""

    source: str
    sids: tuple[str, ...]
    """Empty: all of the selection."""
    selection: CatalogSettings

    def media(self, session: Session) -> list[Medium]:
        """The media.

        Raises:
            NoSuchName: Twilio lists no such completed medium.
            RemoteError, CredentialsRefused: Twilio did not answer.
        """
        with listing_shown(session.catalog):
            return by_sid(session, self.sids) if self.sids else everything(session, self.selection)


def add_source(parser: argparse.ArgumentParser) -> None:
    """SOURCE, which may be left out."""
    parser.add_argument("source", metavar="SOURCE", nargs="?", default=DEFAULT_SOURCE, help="as for mount [twilio:]")


def split_source(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """SOURCE, None if it is left out, and the words behind it."""
    return (words[0], list(words[1:])) if words and is_source(words[0]) else (None, list(words))


def add_sids(parser: argparse.ArgumentParser, nargs: str) -> None:
    """SIDs, and a SOURCE that may be left out; `nargs` as argparse's."""
    parser.add_argument(
        "words",
        metavar="[SOURCE] SID",
        nargs=nargs,
        help="RT... or CJ...; a SOURCE as for mount may stand before them [twilio:]",
    )


def add_media_arguments(parser: argparse.ArgumentParser) -> None:
    """SOURCE, SIDs and `--all`."""
    add_sids(parser, "*")
    parser.add_argument("--all", action="store_true", help="all media; --kind, --room, --since, --until select")


def asked_for(arguments: argparse.Namespace) -> tuple[Wanted, Config]:
    """The media, and the configuration of their account.

    Raises:
        UsageError, ConfigError: as `wanted_of` and `configured`.
    """
    overrides = overrides_of(arguments)
    wanted = wanted_of(arguments, overrides)
    return wanted, configured(wanted.source, overrides, verbose=arguments.verbose)


def wanted_of(arguments: argparse.Namespace, overrides: dict[str, str]) -> Wanted:
    """What is asked for; filters are taken out of `overrides`.

    Raises:
        UsageError: neither SIDs nor `--all`, or both.
        ConfigError: a filter that cannot be used.
    """
    source, sids = split_source(arguments.words)
    filters = [name for name in FILTERS if name in overrides]
    selection = selection_of(overrides)
    for sid in sids:
        if not any(is_sid(sid, kind.sid_prefix) for kind in Kind):
            may_be_source = sid is sids[0] and (len(sids) > 1 or is_sid(sid, "AC")) and not sid.startswith(("RT", "CJ"))
            hint = source_hint(sid) if may_be_source else ""
            raise UsageError(f"{sid!r} is no SID of a recording or composition (RT... or CJ...){hint}")
    _check_words(arguments, sids, filters)
    return Wanted(source or DEFAULT_SOURCE, tuple(dict.fromkeys(sids)), selection)


def _check_words(arguments: argparse.Namespace, sids: list[str], filters: list[str]) -> None:
    """Return if there is something to select from; not every command has `--all`.

    Raises:
        UsageError: there is nothing, or too much.
    """
    if not hasattr(arguments, "all"):
        if not sids:
            raise UsageError(f"name the media by their SIDs: twfs {arguments.command} [SOURCE] SID...")
        if filters:
            raise UsageError(f"--{filters[0]} selects nothing here: name the media by their SIDs")
        return
    if bool(sids) == arguments.all:
        raise UsageError("name either SIDs, or --all with filters")
    if sids and filters:
        raise UsageError(f"--{filters[0]} selects among --all; with SIDs it has nothing to select")


def selection_of(overrides: dict[str, str]) -> CatalogSettings:
    """The part that flags select, taken out of `overrides`.

    It is selected here and not by the catalogue: the mount's own catalogue then serves any selection, sizes included.

    Raises:
        ConfigError: a value that cannot be used.
    """
    return CatalogSettings(**{name: _parsed(name, overrides.pop(name)) for name in FILTERS if name in overrides})


def _parsed(name: str, text: str) -> Any:
    try:
        return OPTIONS[name].parse(text)
    except ConfigError as error:
        raise ConfigError(f"option {name}: {error}") from None
