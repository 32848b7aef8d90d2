"""`twfs verify`: media read whole and proven."""

import argparse
import json
import threading
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from twfs.cli.figures import human_size
from twfs.cli.flags import add_common_flags, add_md5_flag
from twfs.cli.output import complain, escaped, say
from twfs.cli.progress import Progress
from twfs.cli.selection import FILTERS, add_media_arguments, asked_for
from twfs.cli.tables import complete, cut, is_terminal, new_table, show, show_rows, wrapped
from twfs.cli.transfers import progress_of, tally, watched
from twfs.mount.session import open_session
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.outcome import Ending, Outcome
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.verify import Verifier
from twfs.transfer.whole import Watch

if TYPE_CHECKING:
    from twfs.cli.tables import Table

_HEADINGS = ["SID", "SIZE", "OUTCOME", "LENGTH", "PADDING", "MD5", "KEY", "REASON"]
_BRIEF = ["SID", "SIZE", "OUTCOME", "MD5", "KEY"]
_STATE = 2
_RIGHT_ALIGNED = frozenset((1,))
_UNKNOWN = "-"
_FINGERPRINT_SHOWN = 16
"""Hexadecimal digits of a key's fingerprint that tell it from the others at hand."""


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "verify",
        help="read media whole and prove them",
        description="Read media whole; prove length, padding, and where S3's ETag is an MD5 every byte. "
        "Exit code 1 if anything is bad; to have no media, as a muted track, is not.",
    )
    add_media_arguments(parser)
    add_md5_flag(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a report in JSON instead of a table")
    form.add_argument("--wide", action="store_true", help="all columns, one line each, on a terminal too")
    add_common_flags(parser, FILTERS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify; 0 if all media are good, those that Twilio has no media for left aside."""
    wanted, config = asked_for(arguments)
    with open_session(config) as session:
        media = wanted.media(session)
        progress = progress_of(session, media)
        with ReaderPool(session) as pool:
            outcomes = _verified(pool, media, progress, with_md5=not arguments.no_md5)
    if arguments.json:
        say(json.dumps({"media": [record_of(outcome) for outcome in outcomes], "endings": tally(outcomes)}, indent=2))
    else:
        _show(outcomes, wide=arguments.wide)
        endings = ", ".join(f"{count} {ending}" for ending, count in tally(outcomes).items())
        say(f"{endings or 'nothing to do'}; {progress.summary}")
    missing = len(media) - len(outcomes)
    if missing:
        complain("twfs", f"{missing} of {len(media)} media were not begun, after what stands above")
    return 1 if missing or any(outcome.ending.is_failure for outcome in outcomes) else 0


def table_of(outcomes: list[Outcome]) -> str:
    """One line per medium under headings."""
    return complete([_HEADINGS, *map(_cells, outcomes)], _RIGHT_ALIGNED)


def _show(outcomes: list[Outcome], *, wide: bool) -> None:
    """The table; on a terminal only the columns that fit it, and reasons below, in full."""
    if wide or not is_terminal():
        show_rows(_HEADINGS, map(_cells, outcomes), right=_RIGHT_ALIGNED, state=_STATE, wide=True)
        return
    show_rows(_BRIEF, map(_brief_cells, outcomes), right=_RIGHT_ALIGNED, state=_STATE, loose=len(_BRIEF) - 1)
    if any(outcome.reason for outcome in outcomes):
        show(_reasons(outcomes))


def _reasons(outcomes: list[Outcome]) -> "Table":
    table = new_table(shows_headings=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for outcome in outcomes:
        if outcome.reason:
            table.add_row(cut(outcome.medium.sid), wrapped(escaped(outcome.reason)))
    return table


def record_of(outcome: Outcome) -> dict[str, Any]:
    """A medium's row as JSON."""
    length, padding = _checks(outcome)
    return outcome.record() | {"length": length, "padding": padding}


def _verified(pool: ReaderPool, media: list[Medium], progress: Progress, *, with_md5: bool) -> list[Outcome]:
    """One outcome per medium that was begun, in the order of `media`."""
    stop = threading.Event()

    def verify(medium: Medium, watch: Watch) -> Outcome:
        return Verifier(pool, watch, stop, with_md5=with_md5).verify(medium)

    crew = min(crew_size(pool.session.config), len(media))
    work = watched(pool.session, progress, verify, lambda outcome: outcome.ending.is_failure)
    try:
        outcomes = list(work_through(media, work, crew, stop, pool.session.clock))
    finally:
        progress.erase()
    order = {medium.sid: number for number, medium in enumerate(media)}
    return sorted(outcomes, key=lambda outcome: order[outcome.medium.sid])


def _checks(outcome: Outcome) -> tuple[str | None, str | None]:
    """Length and padding: both are proven before the first byte, and again at the end."""
    if outcome.ending is not Ending.VERIFIED:
        return None, None
    return "ok", "ok" if outcome.private_key else "not encrypted"


def _cells(outcome: Outcome) -> list[str]:
    length, padding = _checks(outcome)
    key = outcome.private_key
    return [
        outcome.medium.sid,
        _UNKNOWN if outcome.plain_size is None else human_size(outcome.plain_size),
        outcome.ending.value,
        length or _UNKNOWN,
        padding or _UNKNOWN,
        outcome.md5.value if outcome.md5 else _UNKNOWN,
        f"{escaped(key.name)} ({key.fingerprint[:_FINGERPRINT_SHOWN]})" if key else _UNKNOWN,
        escaped(outcome.reason) or _UNKNOWN,
    ]


def _brief_cells(outcome: Outcome) -> list[str]:
    sid, size, ending, _, _, md5, _, _ = _cells(outcome)
    key = outcome.private_key
    without_key = "not encrypted" if outcome.ending is Ending.VERIFIED else _UNKNOWN
    return [sid, size, ending, md5, escaped(PurePath(key.name).name) if key else without_key]
