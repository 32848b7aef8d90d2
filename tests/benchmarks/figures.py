"""Figures of several rounds, what rows of the table make of them, and whether they meet a target. Pure arithmetic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

MIB = 2**20
GIB = 2**30

Figures = dict[str, float]
"""What one contestant of one round measured, by name."""

Series = Mapping[str, Sequence[float]]
"""Figures of all rounds by `CONTESTANT FIGURE`; a contestant that failed has none."""


class NotMeasured(Exception):
    """A row lacks what it is made of."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a row's median should reach."""

    limit: float
    at_least: bool
    goal: float | None = None
    """More than is asked for, and worth telling whether it was reached."""

    def is_met(self, value: float) -> bool:
        """Whether `value` is on the right side of the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def verdict(self, value: float) -> str:
        """In words, with the distance where it was missed."""
        if not self.is_met(value):
            return f"missed by {self._distance(value)}"
        if self.goal is not None and (value < self.goal if self.at_least else value > self.goal):
            return f"ok, goal {self.goal:g} not reached"
        return "ok"

    def _distance(self, value: float) -> str:
        if self.limit == 0 or value <= 0:
            return f"{abs(value - self.limit):.3g}"
        factor = self.limit / value if self.at_least else value / self.limit
        return f"a factor of {factor:.1f}" if factor >= 2 else f"{abs(value / self.limit - 1) * 100:.0f}%"

    def text(self, unit: str) -> str:
        """As the table shows it."""
        return f"{'>=' if self.at_least else '<='} {with_unit(self.limit, unit)}"


def at_least(limit: float, goal: float | None = None) -> Target:
    """More is better."""
    return Target(limit, at_least=True, goal=goal)


def at_most(limit: float) -> Target:
    """Less is better."""
    return Target(limit, at_least=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    work: str
    against: str
    values: Callable[[Series], list[float]]
    """One value per round; raises NotMeasured."""
    unit: str = "x"
    target: Target | None = None
    """None: told for comparison."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row, measured or not."""

    row: Row
    values: tuple[float, ...]
    why_not: str = ""

    @property
    def value(self) -> float | None:
        """The median; None if it was not measured."""
        return median(self.values) if self.values else None

    @property
    def verdict(self) -> str:
        """`ok`, `missed by …`, `not measured: …`, or `-` where there is no target."""
        if self.value is None:
            return f"not measured: {self.why_not}"
        return "-" if self.row.target is None else self.row.target.verdict(self.value)

    @property
    def is_met(self) -> bool:
        """Whether nothing was missed."""
        return self.value is not None and (self.row.target is None or self.row.target.is_met(self.value))


def outcome(row: Row, series: Series, failures: Mapping[str, str]) -> Outcome:
    """What `row` makes of the series; `failures` tells which contestants fell out, and why."""
    try:
        return Outcome(row, tuple(row.values(series)))
    except NotMeasured as missing:
        figure = str(missing)
        fallen = [name for name in failures if figure.startswith(name)]
        return Outcome(row, (), failures[max(fallen, key=len)] if fallen else f"no figure {figure!r}")


def value_of(name: str) -> Callable[[Series], list[float]]:
    """A row of the figure itself."""
    return lambda series: list(_figures(series, name))


def difference(name: str, constant: float) -> Callable[[Series], list[float]]:
    """A row of the figure above `constant`."""
    return lambda series: [value - constant for value in _figures(series, name)]


def ratio(name: str, other: str) -> Callable[[Series], list[float]]:
    """`name` divided by `other`, round by round: what disturbs a round disturbs both."""

    def values(series: Series) -> list[float]:
        return [value / of for value, of in zip(_figures(series, name), _figures(series, other), strict=False)]

    return values


def growth(names: Sequence[str]) -> Callable[[Series], list[float]]:
    """The last figure against the best median of the earlier ones: 1 or less when cost per unit is flat or falls.

    `names` are figures in order of size, two at least. The best of medians, not of each round: the best of many
    single measurements would be luck.
    """

    def values(series: Series) -> list[float]:
        best = min(median(_figures(series, name)) for name in names[:-1])
        return [figure / best for figure in _figures(series, names[-1])]

    return values


def _figures(series: Series, name: str) -> Sequence[float]:
    found = series.get(name)
    if not found:
        raise NotMeasured(name)
    return found


def with_unit(value: float, unit: str) -> str:
    """`1.25x`, `12.3 MiB`."""
    digits = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits}{unit}" if unit == "x" else f"{digits} {unit}".rstrip()
