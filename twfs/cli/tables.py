"""Tables: fitted to a terminal and coloured there, complete and plain everywhere else.

A pipe or file gets every column in full, aligned, one line a row. The cells are `escaped` by who makes them.
"""

import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from twfs.cli.output import say

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as Table  # noqa: PLC0414 - for who builds one; here only rich is imported
    from rich.text import Text as Text  # noqa: PLC0414 - as above

Row = Sequence[str]

SID_WIDTH = 34
"""Columns of a SID, which is never cut: it is to be copied."""

UNBROKEN = 10_000
"""Columns for what the terminal itself is to wrap."""
LEAST_WIDTH = 80
"""A narrower terminal wraps lines: they would lose SIDs otherwise."""
GAP = 2
"""Columns between columns."""
_ROWS_AT_ONCE = 500
"""Of a long table; rich lays out all it is given before the first line is seen."""
_STYLES = {
    **dict.fromkeys(("readable", "verified", "written", "unchanged", "ok"), "green"),
    **dict.fromkeys(("locked", "stopped", "warning"), "yellow"),
    **dict.fromkeys(("damaged", "failed", "problem"), "bold red"),
    "absent": "dim",
}


def is_terminal() -> bool:
    """Whether somebody looks at the output as it comes."""
    return sys.stdout.isatty()


def show_rows(
    headings: Row,
    rows: Iterable[Row],
    *,
    right: Collection[int] = (),
    state: int | None = None,
    loose: int | None = None,
    wide: bool = False,
) -> None:
    """Print a table.

    On a terminal the column `state` is coloured, and what is too long is cut from the column `loose`, unless it is to
    be `wide`. Columns `right` end under each other.
    """
    if not is_terminal():
        say(complete([headings, *rows], right))
        return
    all_rows = list(rows)
    for start in range(0, max(len(all_rows), 1), _ROWS_AT_ONCE):
        table = new_table(shows_headings=not start)
        for number, heading in enumerate(headings):
            is_loose = number == loose and not wide
            table.add_column(heading, justify="right" if number in right else "left", no_wrap=not is_loose)
        for row in all_rows[start : start + _ROWS_AT_ONCE]:
            table.add_row(*(in_colour(cell) if number == state else cut(cell) for number, cell in enumerate(row)))
        show(table, width=UNBROKEN if wide else None)


def complete(lines: Iterable[Row], right: Collection[int] = ()) -> str:
    """Cells under each other, in full; columns of `right` end under each other."""
    # Rich itself takes half a millisecond for each row.
    from rich.cells import cell_len  # noqa: PLC0415 - only where something is printed

    rows = list(lines)
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]

    def line(row: Row) -> str:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if number in right else cell + space)
        return (" " * GAP).join(cells).rstrip()

    return "\n".join(map(line, rows))


def new_table(*, shows_headings: bool = True) -> "Table":
    """A table without rules, for `show`."""
    from rich.table import Table  # noqa: PLC0415 - only where something is printed

    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=shows_headings)


def cut(text: str) -> "Text":
    """A cell that is cut where its column is too narrow. Nothing in it is taken for markup."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(text, no_wrap=True, overflow="ellipsis")


def wrapped(text: str) -> "Text":
    """A cell that goes on in the next line where its column is too narrow."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(text, overflow="fold")


def in_colour(state: str) -> "Text":
    """The name of a state, in its colour."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text.assemble((state, _STYLES.get(state, "")), no_wrap=True, overflow="ellipsis")


def show(content: "RenderableType", *, width: int | None = None) -> None:
    """Print within `width` columns; by default within those of the terminal, but not less than 80."""
    screen = console()
    screen.width = width or max(screen.width, LEAST_WIDTH)
    with screen.capture() as captured:
        screen.print(content)
    say("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def console() -> "Console":
    """Standard output as rich sees it; without a single escape sequence if NO_COLOR says so (no-color.org)."""
    from rich.console import Console  # noqa: PLC0415 - as above

    colours = None if os.environ.get("NO_COLOR") else "auto"
    return Console(color_system=colours, highlight=False, markup=False, emoji=False)  # type: ignore[arg-type]
