"""`twfs get`: media as files, whole and proven."""

import argparse
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twfs.cli.figures import human_size
from twfs.cli.flags import add_common_flags, add_md5_flag, output
from twfs.cli.output import complain, escaped, say
from twfs.cli.paths import is_one_of
from twfs.cli.selection import FILTERS, Wanted, add_media_arguments, asked_for
from twfs.cli.tables import UNBROKEN, in_colour, is_terminal, show
from twfs.cli.transfers import in_words, progress_of, resumable, tally, watched
from twfs.crypto.keyring import Keyring
from twfs.errors import ConfigError
from twfs.mount.session import open_session
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.download import Downloader
from twfs.transfer.outcome import Ending, Outcome
from twfs.transfer.reader_pool import ReaderPool

_SIZE_ENDS_AT = 16
"""Column: after the longest good ending, `unchanged`, and the longest size."""


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "get",
        help="download and decrypt media",
        description="Download media, decrypt and prove them. What was interrupted is gone on with. "
        "With --all, media that Twilio has none for (muted tracks) are counted and no failure; by their SID they are.",
        conflict_handler="resolve",
    )
    add_media_arguments(parser)
    add_md5_flag(parser)
    parser.add_argument("--json", action="store_true", help="a report in JSON at the end, and nothing else")
    add_common_flags(parser, FILTERS)
    # As in curl and wget -O; it takes the place of -o OPT here, options have their flags.
    parser.add_argument("-o", "--output", metavar="FILE|DIR", type=output(), default=".", help="where to [.]")
    parser.set_defaults(run=run, mount_options=[])


def run(arguments: argparse.Namespace) -> int:
    """Download; 0 if all that was asked for is there."""
    wanted, config = asked_for(arguments)
    with open_session(config) as session, resumable():
        media = wanted.media(session)
        goal_of = _goals(arguments.output, wanted, config.keyring)
        with ReaderPool(session) as pool:
            outcomes = _download(pool, media, goal_of, arguments)
    missing = len(media) - sum(outcome.ending is not Ending.STOPPED for outcome in outcomes)
    if missing:
        complain("twfs", f"{missing} of {len(media)} media were not begun or not finished, after what stands above")
    return 1 if missing or any(_is_failure(outcome, arguments) for outcome in outcomes) else 0


def _is_failure(outcome: Outcome, arguments: argparse.Namespace) -> bool:
    """What Twilio has no media for is no failure, unless it was asked for by name: then a file is missing."""
    return outcome.ending.is_failure or (outcome.ending is Ending.ABSENT and not arguments.all)


def _goals(output: str, wanted: Wanted, keyring: Keyring) -> Callable[[Medium], Path]:
    """Where each medium goes to.

    Raises:
        ConfigError: there are several, and one file to put them in; or the folder cannot be made. Or a private key
            would be replaced, with which all its media would be lost.
    """
    place = Path(output)
    if output == "-":
        raise ConfigError("-o - : a medium is proven before it is handed out, so it must become a file; name one")
    if is_one_of(place, (key.name for key in keyring)):
        raise ConfigError(f"{output} is a private key; name another file for the medium")
    if len(wanted.sids) == 1 and not output.endswith("/") and not place.is_dir():
        return lambda _medium: place
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output} cannot be the folder of several media: {error.strerror}") from None
    return lambda medium: place / medium.file_name


def _download(
    pool: ReaderPool, media: list[Medium], goal_of: Callable[[Medium], Path], arguments: argparse.Namespace
) -> list[Outcome]:
    session = pool.session
    progress = progress_of(session, media)
    stop = threading.Event()
    downloader = Downloader(pool, goal_of, stop, with_md5=not arguments.no_md5)
    outcomes = []
    try:
        crew = min(crew_size(session.config), len(media))
        work = watched(session, progress, downloader.fetch, lambda outcome: _is_failure(outcome, arguments))
        for outcome in work_through(media, work, crew, stop, session.clock):
            outcomes.append(outcome)
            with progress.aside():
                _tell(outcome, arguments)
    finally:
        progress.erase()
    if arguments.json:
        say(json.dumps({"media": [outcome.record() for outcome in outcomes], "endings": tally(outcomes)}, indent=2))
    elif arguments.all or len(media) != 1:
        endings = ", ".join(f"{count} {ending}" for ending, count in tally(outcomes).items())
        say(f"{endings or 'nothing to do'}; {progress.summary}")
    return outcomes


def _tell(outcome: Outcome, arguments: argparse.Namespace) -> None:
    """One line: on standard error if it is a failure. Those that were called off are only counted."""
    if outcome.ending is Ending.STOPPED:
        return
    if _is_failure(outcome, arguments):
        way_out = "; leave it out, or use --all, which only counts it" if outcome.ending is Ending.ABSENT else ""
        complain("twfs", f"{outcome.medium.sid}: {outcome.ending.value}: {outcome.reason}{way_out}")
    elif arguments.json:
        return
    elif outcome.ending is Ending.ABSENT:
        say(f"{outcome.medium.sid}  {outcome.ending.value}  {outcome.reason}")
    elif is_terminal():
        _show(outcome, is_folder=Path(arguments.output).is_dir())
    else:
        md5 = f"  {in_words(outcome.md5)}" if outcome.md5 else ""
        size = human_size(outcome.plain_size or 0)
        say(f"{outcome.medium.sid}  {outcome.ending.value}  {size}{md5}  {escaped(str(outcome.path))}")


def _show(outcome: Outcome, *, is_folder: bool) -> None:
    """The same in 80 columns: without the SID, which is the file's name, and without the folder that all are in."""
    path = outcome.path or Path()
    line = in_colour(outcome.ending.value)
    line.append(f"{human_size(outcome.plain_size or 0):>{_SIZE_ENDS_AT - len(line)}}")
    line.append(f"  {f'md5 {outcome.md5.value}' if outcome.md5 else '':13}  ")
    show(line.append(escaped(path.name if is_folder else str(path))), width=UNBROKEN)
