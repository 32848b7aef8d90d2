"""Some seconds of what `python -m tests.soak` does for ten minutes."""

from pathlib import Path

from tests.mount.harness import needs_fuse
from tests.soak.health import MIB, Sample, growth
from tests.soak.soak import Plan, soak


@needs_fuse
def test_nothing_wrong_is_read_nothing_hangs_and_nothing_grows(tmp_path: Path) -> None:
    outcome = soak(Plan(seconds=4, timeout=3), tmp_path)
    assert outcome.problems == [], outcome.report()
    assert outcome.faults > 20
    assert outcome.seen.reads > 200
    assert outcome.seen.bytes > 10 * MIB


def test_growth_is_noticed_and_a_plateau_is_none() -> None:
    flat = [Sample(30 + number % 3, 60, 90 * MIB) for number in range(40)]
    assert growth(flat) == []
    leaking = [Sample(30 + 10 * number, 60 + 3 * number, (90 + 5 * number) * MIB) for number in range(40)]
    assert [problem.split()[0] for problem in growth(leaking)] == ["descriptors", "threads", "resident"]
