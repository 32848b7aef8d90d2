"""`twfs ls`: an account's media, one by one or in sum."""

import argparse
import json
import threading
from collections.abc import Iterable
from typing import Any

from twfs.cli.figures import human_duration, human_size, moment
from twfs.cli.flags import add_common_flags, overrides_of
from twfs.cli.media_table import show_media
from twfs.cli.mount import configured
from twfs.cli.output import complain, escaped, say
from twfs.cli.progress import Line, listing_shown
from twfs.cli.selection import FILTERS, add_source, selection_of
from twfs.cli.summary import chart_of, groups_of, plain_groups
from twfs.cli.tables import complete, is_terminal, show_rows
from twfs.clock import Deadline
from twfs.errors import CredentialsRefused, RemoteError, TwfsError
from twfs.mount.session import Session, open_session
from twfs.probe import MediaInfo
from twfs.resources import Kind, Medium
from twfs.transfer.choice import by_time
from twfs.transfer.crew import crew_size, work_through

Row = tuple[Medium, MediaInfo | None]

_HEADINGS = ["TIME", "DURATION", "SIZE", "KIND", "CODEC", "ENCRYPTED", "STATE", "ROOM", "SID", "TRACK", "WHO"]
_RIGHT_ALIGNED = frozenset((1, 2))
_STATE = _HEADINGS.index("STATE")
_UNKNOWN = "-"


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "ls",
        help="a table of media",
        description="List an account's completed media. Sizes and key status are shown as far as an earlier mount, "
        "get or verify has learnt them: without --probe a list makes no request per medium.",
    )
    add_source(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON instead of a table")
    form.add_argument("--plain", action="store_true", help="exact numbers, separated by tabs, for scripts")
    form.add_argument("--wide", action="store_true", help="all columns, one line each, on a terminal too")
    parser.add_argument("--probe", action="store_true", help="look at what is not known yet: two requests per medium")
    parser.add_argument("--summary", action="store_true", help="count, hours and bytes by month and kind")
    add_common_flags(parser, FILTERS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list as Twilio gives it now; if Twilio cannot be asked, the last known one, and exit 1."""
    overrides = overrides_of(arguments)
    selection = selection_of(overrides)
    config = configured(arguments.source, overrides, verbose=arguments.verbose)
    with open_session(config) as session:
        trouble = _list(session)
        media = sorted(filter(selection.chooses, session.catalog.media().values()), key=by_time)
        failures = _probe(session, media) if arguments.probe and trouble is None else 0
        rows = [(medium, session.catalog.known_info(medium.sid)) for medium in media]
    (_show_summary if arguments.summary else _show)(rows, arguments)
    if trouble is not None:
        complain("twfs", f"this is what was known before, for Twilio cannot be asked now: {trouble}")
    return 0 if trouble is None and not failures else 1


def table_of(rows: Iterable[Row]) -> str:
    """Aligned columns under headings; names of tracks cannot move the cursor."""
    return complete([_HEADINGS, *(_cells(*row) for row in rows)], _RIGHT_ALIGNED)


def plain_lines(rows: Iterable[Row]) -> str:
    """The values of `record_of` under their names, separated by tabs; empty where nothing is known."""
    lines = [list(_FIELDS), *([_plain(value) for value in record_of(*row).values()] for row in rows)]
    return "\n".join("\t".join(line) for line in lines)


def record_of(medium: Medium, info: MediaInfo | None) -> dict[str, Any]:
    """A medium as JSON; `size` and what depends on the stored object are null until that was looked at."""
    return {
        "sid": medium.sid,
        "kind": medium.kind.value,
        "path": f"{medium.kind.value}/{medium.file_name}",
        "date_created": moment(medium.created_at),
        "duration": medium.duration,
        "size": info.plain_size if info else None,
        "codec": medium.codec,
        "container": medium.container,
        "state": info.state.value if info else None,
        "encrypted": info.encrypted if info and info.facts else None,
        "room_sid": medium.room_sid,
        "participant_sid": medium.participant_sid,
        "track_name": medium.track_name,
    }


_FIELDS = tuple(record_of(Medium("", Kind.RECORDING), None))


def _show(rows: list[Row], arguments: argparse.Namespace) -> None:
    if arguments.json:
        say(json.dumps([record_of(*row) for row in rows], indent=2))
    elif arguments.plain:
        say(plain_lines(rows))
    elif arguments.wide or not is_terminal():
        cells = (_cells(*row) for row in rows)
        show_rows(_HEADINGS, cells, right=_RIGHT_ALIGNED, state=_STATE, wide=True)
    else:
        show_media(rows)


def _show_summary(rows: list[Row], arguments: argparse.Namespace) -> None:
    groups = groups_of(rows)
    if arguments.json:
        say(json.dumps([group.record() for group in groups], indent=2))
    else:
        say(plain_groups(groups) if arguments.plain else chart_of(groups))


def _list(session: Session) -> RemoteError | CredentialsRefused | None:
    """Why the list is not of now, if it is not.

    Raises:
        RemoteError, CredentialsRefused: nothing is known at all.
    """
    is_known = session.catalog.load()
    try:
        with listing_shown(session.catalog):
            session.catalog.first_listing()
    except (RemoteError, CredentialsRefused) as error:
        if not is_known:
            raise
        return error
    return None


def _probe(session: Session, media: list[Medium]) -> int:
    """Look at those that nothing is known of, several at once; how many of them could not be looked at."""
    stop = threading.Event()

    def look(medium: Medium) -> TwfsError | None:
        try:
            session.catalog.info(medium.sid, Deadline(session.clock, session.config.timeout))
        except TwfsError as error:
            return error
        return None

    unknown = [medium for medium in media if session.catalog.known_info(medium.sid) is None]
    crew = min(crew_size(session.config), len(unknown))
    failures, line = [], Line()
    try:
        for count, error in enumerate(work_through(unknown, look, crew, stop, session.clock), 1):
            line.draw(f"{count:,} of {len(unknown):,} media looked at")
            failures += [error] if error is not None else []
    finally:
        line.erase()
    if failures:
        complain("twfs", f"{len(failures)} of {len(unknown)} media could not be looked at: {failures[0]}")
    return len(failures)


def _cells(medium: Medium, info: MediaInfo | None) -> list[str]:
    return [
        moment(medium.created_at) or _UNKNOWN,
        _UNKNOWN if medium.duration is None else human_duration(medium.duration),
        human_size(info.plain_size) if info else _UNKNOWN,
        medium.kind.value.removesuffix("s"),
        escaped(medium.codec or medium.container or _UNKNOWN),
        _UNKNOWN if info is None or info.facts is None else "yes" if info.encrypted else "no",
        info.state.value if info else _UNKNOWN,
        medium.room_sid or _UNKNOWN,
        medium.sid,
        escaped(medium.track_name or _UNKNOWN),
        medium.participant_sid or _UNKNOWN,
    ]


def _plain(value: object) -> str:
    """A field without tabs or line ends in it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else escaped(str(value))
