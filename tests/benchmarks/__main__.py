"""`python -m tests.benchmarks`: twfs and its peers, measured side by side."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.benchmarks.bench import QUICK, Scale, open_bench
from tests.benchmarks.figures import GIB
from tests.benchmarks.machine import describe
from tests.benchmarks.processes import Failed
from tests.benchmarks.report import Report, table, write_json
from tests.benchmarks.runner import CONTESTS, Record, run_contest
from tests.benchmarks.setup import set_up

_MEMORY_NEEDED = 8 * GIB
"""Room in /dev/shm below which the data go to the disk: they are 5 GiB."""


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; 0 if all was measured, 1 if something could not be, 2 for usage."""
    options = _parser().parse_args(arguments)
    if options.setup:
        return set_up()
    if options.list:
        _print("\n".join(contest.name for contest in CONTESTS))
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return _run(options)
    except Failed as failure:
        _say(str(failure))
        return 1
    except KeyboardInterrupt:
        _say("given up; everything is taken away again")
        return 130


def _run(options: argparse.Namespace) -> int:
    rounds = options.rounds or (2 if options.quick else 5)
    report = Report(describe(rounds), list(_records(options, rounds)))
    _print(table(report))
    if options.json:
        write_json(report, options.json)
    if options.png:
        from tests.benchmarks.picture import draw  # noqa: PLC0415 - needs matplotlib, which only pictures need

        draw(report, options.png)
    return int(any(outcome.value is None and outcome.row.target is not None for outcome in report.outcomes))


def _records(options: argparse.Namespace, rounds: int) -> Iterator[Record]:
    scale = QUICK if options.quick else Scale()
    wanted = [contest for contest in CONTESTS if not options.only or contest.name in options.only]
    with _folders(options.data) as (data, scratch), open_bench(data, scratch, scale, options.former) as bench:
        for contest in wanted:
            yield run_contest(contest, bench, rounds, _say)


@contextmanager
def _folders(given: Path | None) -> Iterator[tuple[Path, Path]]:
    """Where nginx serves from, and where the rest lies; both are gone afterwards.

    In memory if there is room: then the page cache can be dropped between measurements without the server's data.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free >= _MEMORY_NEEDED
    parent = given or (memory if has_room else Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix="twfs-bench-", dir=parent, ignore_cleanup_errors=True) as data,
        tempfile.TemporaryDirectory(prefix="twfs-bench-", ignore_cleanup_errors=True) as scratch,
    ):
        yield Path(data), Path(scratch)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    names = [contest.name for contest in CONTESTS]
    parser.add_argument("--setup", action="store_true", help="install what the bench needs (Debian, Ubuntu; root)")
    parser.add_argument("--list", action="store_true", help="name the contests")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this contest; may be repeated")
    parser.add_argument("--rounds", type=_positive, help="of each contest (5; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: to see that it works, not how fast it is")
    parser.add_argument("--former", metavar="PYTHON", help="compare with the twfs that this interpreter has")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where to make the data (/dev/shm if there is room)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw a picture")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    """Progress, which is no result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's progress


def _print(text: str) -> None:
    print(text)  # noqa: T201 - a command's result


if __name__ == "__main__":
    if os.geteuid() != 0:
        _say("not root: read_ahead_kb stays as it is and caches are not dropped; figures will be lower")
    sys.exit(main(sys.argv[1:]))
