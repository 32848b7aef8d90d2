"""`twfs rm`: media deleted at Twilio, for good."""

import argparse
import os
from typing import Any

from twfs.catalog.removal import Remover
from twfs.cli.confirm import confirm
from twfs.cli.flags import add_common_flags
from twfs.cli.ls import table_of
from twfs.cli.output import complain, say
from twfs.cli.selection import add_sids, asked_for
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, TwfsError
from twfs.mount.session import Session, open_session
from twfs.resources import Medium


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "rm",
        help="delete media at Twilio",
        description="Delete media at Twilio, for good: what twfs verify has proven, or anything with --unverified.",
    )
    add_sids(parser, "+")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--unverified", action="store_true", help="also what was not verified, and what no private key here opens"
    )
    add_common_flags(parser)
    parser.set_defaults(run=run, all=False)


def run(arguments: argparse.Namespace) -> int:
    """Show, ask, and delete; 0 if all are gone."""
    wanted, config = asked_for(arguments)
    with open_session(config) as session:
        media = wanted.media(session)
        if not arguments.yes:
            say(table_of([(medium, session.catalog.known_info(medium.sid)) for medium in media]))
        _ask(media, arguments)
        deleted = _delete(session, media, unverified=arguments.unverified)
    if deleted < len(media):
        complain("twfs", f"{len(media) - deleted} of {len(media)} media were not deleted")
    return 0 if deleted == len(media) else 1


def _ask(media: list[Medium], arguments: argparse.Namespace) -> None:
    """Return if the user agrees.

    Raises:
        Declined, UsageError: else.
    """
    what = "this medium" if len(media) == 1 else f"these {len(media)} media"
    proof = ", even unverified" if arguments.unverified else ""
    confirm(f"Delete {what} at Twilio for good{proof}?", assume_yes=arguments.yes)


def _delete(session: Session, media: list[Medium], *, unverified: bool) -> int:
    """How many could be deleted; refused credentials end it, for they would be refused for the next as well."""
    remover = Remover(session.catalog, session.api)
    deleted = 0
    for medium in media:
        try:
            _delete_one(remover, medium, Deadline(session.clock, session.config.timeout), unverified=unverified)
            deleted += 1
        except CredentialsRefused as error:
            complain("twfs", f"{medium.sid}: {error}")
            break
        except TwfsError as error:
            complain("twfs", str(error) if medium.sid in str(error) else f"{medium.sid}: {error}")
    return deleted


def _delete_one(remover: Remover, medium: Medium, deadline: Deadline, *, unverified: bool) -> None:
    by = f"twfs rm (uid {os.getuid()}, pid {os.getpid()})"
    if unverified:
        remover.remove_unverified(medium, deadline, by)
    else:
        remover.remove(medium, deadline, by, was_read=lambda _: False)
