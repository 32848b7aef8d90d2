"""`twfs export`: decrypted media, copied to wherever fsspec leads."""

import argparse
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twfs.cli.figures import human_size
from twfs.cli.flags import add_common_flags, add_md5_flag, overrides_of
from twfs.cli.mount import configured
from twfs.cli.output import complain, escaped, say
from twfs.cli.paths import a_place
from twfs.cli.progress import Progress, listing_shown
from twfs.cli.selection import FILTERS, add_source, selection_of
from twfs.cli.tables import LEAST_WIDTH, cut, is_terminal, show
from twfs.cli.transfers import progress_of, resumable, watched
from twfs.config.profiles import is_source
from twfs.errors import ConfigError
from twfs.export.outcome import Ending, Outcome, Report
from twfs.invocation import pip_remedy
from twfs.mount.session import Session, open_session
from twfs.redaction import redacted
from twfs.resources import Medium
from twfs.transfer.choice import everything

if TYPE_CHECKING:
    from twfs.export.job import Order


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "export",
        help="copy media to a folder, S3 and the like",
        description="Copy decrypted media to DEST as YYYY/MM/DD/NAME. What is there and equal is skipped. "
        "Exit 1 if any medium could not be exported.",
    )
    add_source(parser)
    parser.add_argument(
        "destination",
        metavar="DEST",
        type=_a_destination,
        help="a folder, s3://BUCKET/PREFIX, or another URL of fsspec's",
    )
    parser.add_argument("--dask", metavar="SCHEDULER", help="spread the work over this Dask cluster (tcp://HOST:PORT)")
    add_md5_flag(parser)
    parser.add_argument("--json", action="store_true", help="a report of all media as JSON instead of lines")
    add_common_flags(parser, FILTERS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export what Twilio lists now; 1 if anything failed."""
    _need("fsspec")
    from twfs.export.destination import settled  # noqa: PLC0415 - needs fsspec, which is optional
    from twfs.export.job import Order  # noqa: PLC0415 - as above

    overrides = overrides_of(arguments)
    selection = selection_of(overrides)
    config = configured(arguments.source, overrides, verbose=arguments.verbose)
    order = Order(settled(arguments.destination), with_md5=not arguments.no_md5)
    outcomes = []
    shared: set[str] = set()
    with open_session(config) as session, resumable():
        with listing_shown(session.catalog):
            media = everything(session, selection)
        progress = progress_of(session, media)
        try:
            for outcome in _exported(session, media, order, arguments, overrides, progress=progress):
                outcomes.append(outcome)
                with progress.aside():
                    _tell(outcome, shared, quiet=arguments.json)
        finally:
            progress.erase()
    report = Report(arguments.destination, outcomes)
    say(_as_json(report) if arguments.json else _summary(report))
    return 1 if report.count(Ending.FAILED) else 0


def _a_destination(text: str) -> str:
    """Alone, a SOURCE stands where DEST does; as such it would name a folder here, and all media of another account.

    Raises:
        ArgumentTypeError: it is one, or empty.
    """
    if is_source(text):
        raise argparse.ArgumentTypeError(f"{text!r} is a source; say where to copy it to, too")
    return a_place(text)


def _exported(
    session: Session,
    media: Sequence[Medium],
    order: "Order",
    arguments: argparse.Namespace,
    overrides: dict[str, str],
    *,
    progress: Progress,
) -> Iterator[Outcome]:
    if arguments.dask is None:
        from twfs.export.here import export_here  # noqa: PLC0415 - needs fsspec, which is optional

        return export_here(session, media, order, lambda work: watched(session, progress, work, _has_failed))
    _need("distributed")
    from twfs.export.cluster import export_on_cluster  # noqa: PLC0415 - needs distributed, which is optional

    scheduler, source = arguments.dask, arguments.source
    results = export_on_cluster(session, media, order, scheduler=scheduler, source=source, overrides=overrides)
    return _told(results, progress)


def _told(outcomes: Iterator[Outcome], progress: Progress) -> Iterator[Outcome]:
    """The same; of what workers elsewhere do, only the ends are seen."""
    for outcome in outcomes:
        share = progress.share(outcome.plain_size or 0)
        if outcome.ending is Ending.WRITTEN:
            share.advanced(outcome.plain_size or 0)
        share.ended(is_good=not _has_failed(outcome))
        yield outcome


def _has_failed(outcome: Outcome) -> bool:
    return outcome.ending is Ending.FAILED


def _need(library: str) -> None:
    if find_spec(library) is None:
        raise ConfigError(f"this needs {library}, which is not installed; {pip_remedy(library)}")


def _tell(outcome: Outcome, shared: set[str], *, quiet: bool) -> None:
    """One line of what was done; on standard error, if it went wrong. `shared` gathers reasons that need no second."""
    if outcome.is_shared:
        if outcome.reason not in shared:
            complain("twfs", outcome.reason)
        shared.add(outcome.reason)
    elif outcome.ending is Ending.FAILED:
        complain("twfs", f"{outcome.name}: {outcome.reason}")
    elif outcome.ending is not Ending.WRITTEN or quiet:
        return
    elif is_terminal():
        _show(outcome)
    else:
        say(f"{outcome.ending.value}  {human_size(outcome.plain_size or 0)}  {escaped(outcome.name)}")


def _show(outcome: Outcome) -> None:
    """What was written, in 80 columns: its SID in full, and of what stands before it what there is room for.

    The folder is left out, for the name begins with the same date.
    """
    before, _, sid = outcome.name.rpartition("/")[2].rpartition("_")
    line = cut(f"{human_size(outcome.plain_size or 0):>7}  {escaped(before)}")
    line.truncate(LEAST_WIDTH - len(f"_{sid}"), overflow="ellipsis")
    show(line.append(f"_{sid}"))


def _as_json(report: Report) -> str:
    record = report.record()
    for row in record["media"]:
        # What a destination's library complains of may hold a signed URL.
        row["reason"] = row["reason"] and redacted(row["reason"])
    return json.dumps(record, indent=2)


def _summary(report: Report) -> str:
    counts = {ending: f"{report.count(ending)} {ending.value}" for ending in Ending}
    if report.without_media:
        counts[Ending.SKIPPED] += f" ({report.without_media} without media)"
    return f"{', '.join(counts.values())}; {human_size(report.written_bytes)} written"
