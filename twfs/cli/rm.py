"""`twfs rm`: media deleted at Twilio, for good."""

import argparse
import os
from collections.abc import Callable
from typing import Any

from twfs.catalog.removal import Remover
from twfs.cli.confirm import confirm
from twfs.cli.figures import human_size, moment
from twfs.cli.flags import account_words, add_common_flags, overrides_of
from twfs.cli.output import complain
from twfs.cli.selection import add_sids, asked_for
from twfs.cli.tables import show_rows
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, TwfsError
from twfs.mount.session import Session, open_session
from twfs.probe import MediaState
from twfs.resources import Medium

_HEADINGS = ["SID", "SIZE", "CREATED", "PROOF"]
_UNKNOWN = "-"


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "rm",
        help="delete media at Twilio",
        description="Delete media at Twilio, for good: what twfs verify or twfs get has proven, or anything with "
        "--unverified.",
    )
    add_sids(parser, "+")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--unverified", action="store_true", help="also what was not verified, and what no private key here opens"
    )
    add_common_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say what is not proven, show the rest, ask, and delete; 0 if all are gone."""
    wanted, config = asked_for(arguments)
    with open_session(config) as session:
        media = wanted.media(session)
        if arguments.unverified:
            _tell_damage(session, media)
        remover = Remover(session.catalog, session.api, account_words(wanted.source, overrides_of(arguments)))
        able = media
        if not arguments.yes:
            able = able if arguments.unverified else _each(session, media, remover.check)
            if able:
                show_rows(_HEADINGS, [_cells(session, medium) for medium in able], right=(1,), state=3)
                _ask(able, arguments)
        deleted = _delete(session, able, remover, unverified=arguments.unverified)
    if len(deleted) < len(media):
        complain("twfs", f"{len(media) - len(deleted)} of {len(media)} media were not deleted")
    return 0 if len(deleted) == len(media) else 1


def _ask(media: list[Medium], arguments: argparse.Namespace) -> None:
    """Return if the user agrees.

    Raises:
        Declined, UsageError: else.
    """
    what = "this medium" if len(media) == 1 else f"these {len(media)} media"
    proof = ", even unverified" if arguments.unverified else ""
    confirm(f"Delete {what} at Twilio for good{proof}?", assume_yes=False)


def _delete(session: Session, media: list[Medium], remover: Remover, *, unverified: bool) -> list[Medium]:
    """Those that could be deleted."""
    by = f"twfs rm (uid {os.getuid()}, pid {os.getpid()})"
    delete = remover.remove_unverified if unverified else remover.remove
    return _each(session, media, lambda medium, deadline: delete(medium, deadline, by))


def _each(session: Session, media: list[Medium], do: Callable[[Medium, Deadline], object]) -> list[Medium]:
    """Those with which it could be done; refused credentials end it, for they would be refused for the next as well."""
    done = []
    for medium in media:
        try:
            do(medium, Deadline(session.clock, session.config.timeout))
            done.append(medium)
        except CredentialsRefused as error:
            complain("twfs", f"{medium.sid}: {error}")
            break
        except TwfsError as error:
            complain("twfs", str(error) if medium.sid in str(error) else f"{medium.sid}: {error}")
    return done


def _tell_damage(session: Session, media: list[Medium]) -> None:
    for medium in media:
        info = session.catalog.known_info(medium.sid)
        damage = session.catalog.damage(medium.sid, info.facts) if info and info.facts else ""
        if damage:
            complain("twfs", f"{medium.sid}: reading it whole found it damaged: {damage}")


def _cells(session: Session, medium: Medium) -> list[str]:
    """Its row, of what is known without a request."""
    info = session.catalog.known_info(medium.sid)
    size = human_size(info.plain_size) if info else _UNKNOWN
    return [medium.sid, size, moment(medium.created_at) or _UNKNOWN, _proof(session, medium)]


def _proof(session: Session, medium: Medium) -> str:
    info = session.catalog.known_info(medium.sid)
    if info is None:
        return "not verified"
    if info.facts is None:
        return "no media"
    if session.catalog.damage(medium.sid, info.facts):
        return "damaged"
    if session.catalog.is_verified(medium.sid, info.facts):
        return "verified"
    return "not verified" if info.state is MediaState.READABLE else info.state.value
