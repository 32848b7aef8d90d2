"""What is shown and kept of a run: a table in Markdown, and JSON with every single figure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import Outcome, with_unit
from tests.benchmarks.runner import Record

_HEADINGS = ("work, cold unless said", "measured against", "measured", "lowest to highest", "target", "")


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    machine: dict[str, str]
    records: Sequence[Record]

    @property
    def outcomes(self) -> list[Outcome]:
        """All rows."""
        return [outcome for record in self.records for outcome in record.outcomes]

    def summary(self) -> str:
        """How many targets were met."""
        targeted = [outcome for outcome in self.outcomes if outcome.row.target is not None]
        met = sum(outcome.is_met for outcome in targeted)
        return f"{met} of {len(targeted)} targets met"


def table(report: Report) -> str:
    """A Markdown table, aligned for reading as it is, and the machine it comes from."""
    lines = [_HEADINGS, *(_cells(outcome) for outcome in report.outcomes)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    rule = ["-" * width for width in widths]
    rows = [f"| {' | '.join(cells)} |" for cells in (padded[0], rule, *padded[1:])]
    machine = "; ".join(f"{name} {value}" for name, value in report.machine.items())
    return "\n".join([*rows, "", f"{report.summary()}. {machine}."])


def _cells(outcome: Outcome) -> tuple[str, ...]:
    row = outcome.row
    target = row.target.text(row.unit) if row.target else ""
    if outcome.value is None:
        measured, spread = "", ""
    else:
        measured = with_unit(outcome.value, row.unit)
        spread = f"{with_unit(min(outcome.values), '')} to {with_unit(max(outcome.values), '')}"
    cells = (row.work, row.against, measured, spread, target, outcome.verdict)
    return tuple(cell.replace("|", "\\|") for cell in cells)


def write_json(report: Report, path: Path) -> None:
    """Everything: rows with all their values, and every figure of every round."""
    path.write_text(json.dumps(as_json(report), indent=2) + "\n")


def as_json(report: Report) -> dict[str, object]:
    """What `write_json` writes."""
    return {
        "machine": report.machine,
        "summary": report.summary(),
        "rows": [_row_as_json(outcome) for outcome in report.outcomes],
        "contests": {record.name: {"series": record.series, "failures": record.failures} for record in report.records},
    }


def _row_as_json(outcome: Outcome) -> dict[str, object]:
    row = outcome.row
    return {
        "work": row.work,
        "against": row.against,
        "unit": row.unit,
        "median": outcome.value,
        "values": list(outcome.values),
        "target": None if row.target is None else {"limit": row.target.limit, "at_least": row.target.at_least},
        "verdict": outcome.verdict,
    }
