"""Runs contests: contestants in turns, round after round, whatever falls out on the way."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.benchmarks.bench import Bench, Contest, Contestant
from tests.benchmarks.contests.downloading import Download
from tests.benchmarks.contests.growing import Catalogues, FileSizes, Readers
from tests.benchmarks.contests.jumping import Ffprobe, FirstByte, Player, RandomReads
from tests.benchmarks.contests.listing import ListKnown, ListUnseen, MountLarge
from tests.benchmarks.contests.sequential import (
    FourFiles,
    Memory,
    Reread,
    SequentialHttp,
    SequentialHttps,
    SequentialS3,
)
from tests.benchmarks.figures import Figures, Outcome, outcome
from tests.benchmarks.processes import Failed

CONTESTS: tuple[type[Contest], ...] = (
    SequentialHttps,
    SequentialHttp,
    SequentialS3,
    FourFiles,
    Download,
    Reread,
    FirstByte,
    RandomReads,
    Ffprobe,
    Player,
    ListKnown,
    ListUnseen,
    MountLarge,
    Memory,
    FileSizes,
    Readers,
    Catalogues,
)

Say = Callable[[str], None]


@dataclass
class Record:
    """What came of one contest."""

    name: str
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Of all rounds, by contestant and what was measured."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a contestant fell out, by its name; under the empty name why nothing could be measured."""
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def series(self) -> dict[str, list[float]]:
        """The same by `CONTESTANT FIGURE`."""
        return {
            f"{contestant} {figure}": values
            for contestant, figures in self.figures.items()
            for figure, values in figures.items()
        }

    def note(self, contestant: str, figures: Figures) -> None:
        """One more round of a contestant."""
        known = self.figures.setdefault(contestant, {})
        for figure, value in figures.items():
            known.setdefault(figure, []).append(value)

    def fell_out(self, contestant: str, why: str) -> None:
        """For good, and its earlier rounds with it: rounds are compared one by one."""
        self.failures[contestant] = why
        self.figures.pop(contestant, None)


def run_contest(contest_type: type[Contest], bench: Bench, rounds: int, say: Say) -> Record:
    """All rounds of one contest; what fails is in the record."""
    record = Record(contest_type.name)
    with ExitStack() as stack:
        try:
            contestants = contest_type(bench, stack).contestants()
        except (Failed, OSError) as failure:
            record.failures[""] = str(failure)
            say(f"{record.name}: {failure}")
        else:
            for number in range(rounds):
                _run_round(record, number, list(contestants.items()), say)
    record.outcomes = [outcome(row, record.series, record.failures) for row in contest_type.rows(bench.scale)]
    return record


def _run_round(record: Record, number: int, contestants: Sequence[tuple[str, Contestant]], say: Say) -> None:
    """One turn of each; who begins changes, so that nobody always follows the same one."""
    first = number % len(contestants)
    for name, measure in (*contestants[first:], *contestants[:first]):
        if name in record.failures:
            continue
        try:
            figures = measure()
        except (Failed, OSError) as failure:
            record.fell_out(name, str(failure))
            say(f"{record.name} {number + 1}: {name} fell out: {failure}")
        else:
            record.note(name, figures)
            say(f"{record.name} {number + 1}: {name}: {_in_words(figures)}")


def _in_words(figures: Figures) -> str:
    return ", ".join(f"{value:.4g} {figure}" for figure, value in figures.items())
