"""The run as a picture; the only module that knows matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.report import Report
from tests.benchmarks.runner import Record

_OURS, _OTHERS, _MISSED = "#1f6f8b", "#b9c4cc", "#c8553d"
_SPEEDS = {
    "sequential": "one large file, https",
    "sequential-http": "one large file, http",
    "sequential-s3": "one large file, S3-like",
}
_GROWTH = {
    "growth-size": ("file size", "ms/MiB"),
    "growth-readers": ("readers at once", "ms/MiB"),
    "growth-media": ("known media, until ls answers", "ms/medium"),
}


def draw(report: Report, path: Path) -> None:
    """Speeds beside the peers', every target, and growth; panels of what was not measured stay empty."""
    records = {record.name: record for record in report.records}
    figure = Figure(figsize=(14, 14), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=(1.0, 2.4, 1.0))
    speeds, targets, growth = (figure.add_subfigure(grid[row, 0]) for row in range(3))
    for axes, (name, title) in zip(speeds.subplots(1, len(_SPEEDS)), _SPEEDS.items(), strict=True):
        _draw_speeds(axes, title, records.get(name))
    _draw_targets(targets.subplots(), report)
    for axes, (name, words) in zip(growth.subplots(1, len(_GROWTH)), _GROWTH.items(), strict=True):
        _draw_growth(axes, *words, records.get(name))
    machine = report.machine
    figure.suptitle(
        f"twfs beside its peers: {report.summary()}\n"
        f"{machine['processor']}, {machine['memory']}, kernel {machine['kernel']}, {machine['date']}"
    )
    figure.savefig(path, dpi=110)


def _medians(record: Record | None, figure: str) -> dict[str, float]:
    """Of every contestant that has that figure."""
    series: Mapping[str, Sequence[float]] = record.series if record else {}
    ending = f" {figure}"
    return {name.removesuffix(ending): median(values) for name, values in series.items() if name.endswith(ending)}


def _draw_speeds(axes: Axes, title: str, record: Record | None) -> None:
    speeds = dict(sorted(_medians(record, "MB/s").items(), key=lambda item: item[1]))
    axes.set_title(f"{title} (MB/s, more is better)")
    colours = [_OURS if name == "twfs" else _OTHERS for name in speeds]
    bars = axes.barh(list(speeds), list(speeds.values()), color=colours)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    _bare(axes)


def _draw_targets(axes: Axes, report: Report) -> None:
    """Each as a factor by which it is met (right of 1) or missed."""
    factors = {}
    for outcome in reversed(report.outcomes):
        target, value = outcome.row.target, outcome.value
        if target is not None and value is not None and target.limit > 0:
            factor = value / target.limit if target.at_least else target.limit / max(value, target.limit / 100)
            factors[f"{outcome.row.work} | {outcome.row.against}"] = factor
    axes.set_title("targets: how many times as good as asked for (1 is just met)")
    lengths = [factor - 1 for factor in factors.values()]
    colours = [_OURS if length >= 0 else _MISSED for length in lengths]
    bars = axes.barh(list(factors), lengths, left=1, color=colours)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.axvline(1, color="black", linewidth=1)
    axes.bar_label(bars, labels=[f"{factor:.3g}" for factor in factors.values()], padding=3)
    axes.margins(x=0.1)
    axes.tick_params(axis="y", labelsize=8)
    _bare(axes)


def _draw_growth(axes: Axes, title: str, unit: str, record: Record | None) -> None:
    costs = _medians(record, unit)
    axes.set_title(f"growth of {title}")
    axes.set_ylabel(unit)
    axes.plot(list(costs), list(costs.values()), marker="o", color=_OURS)
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", labelsize=8, labelrotation=20)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
