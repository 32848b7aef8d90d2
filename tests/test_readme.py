"""The README says what the program does: every option with its default, every command, every errno."""

import errno
import json
import re
from pathlib import Path

import pytest

from tests.benchmarks.figures import with_unit
from twfs.cli.main import COMMANDS
from twfs.config.table import TABLE
from twfs.fuse.operations import ERRNO
from twfs.option import Option

README = Path(__file__).parent.parent / "README.md"
KEPT = Path(__file__).parent / "benchmarks" / "kept"


OPTIONS = README.parent / "twfs/config/README.md"


def rows(heading: str, document: Path = README) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = re.split(rf"^#+ {heading}\n", document.read_text(), maxsplit=1, flags=re.MULTILINE)[1].split("\n## ", 1)[
        0
    ]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def documented_default(option: Option, text: str) -> object:
    """The value that the documented default stands for."""
    code = re.fullmatch(r"`([^`]*)`", text)
    if code is None or code[1].startswith("$"):
        return option.parse("no") if text == "no" else None
    return option.parse(code[1]) if option.default is not None else None


def test_every_option_stands_there_in_order() -> None:
    assert [row[0].strip("`") for row in rows("Options", OPTIONS)] == [option.name for option in TABLE]


@pytest.mark.parametrize("option", TABLE, ids=lambda option: option.name)
def test_the_default_is_the_documented_one(option: Option) -> None:
    (row,) = [row for row in rows("Options", OPTIONS) if row[0] == f"`{option.name}`"]
    assert documented_default(option, row[2]) == option.default


def test_every_command_stands_there() -> None:
    documented = {re.match(r"`twfs ([\w-]+)", row[0])[1] for row in rows("Commands")}  # type: ignore[index]
    assert documented == set(COMMANDS)


def test_every_documented_errno_is_one_that_readers_get() -> None:
    given = {errno.errorcode[number] for number in ERRNO.values()}
    assert {row[1] for row in rows("What a reader sees when something is wrong")} <= given


def test_the_benchmarks_are_those_of_the_run_that_is_kept() -> None:
    text = (KEPT.parent / "README.md").read_text()
    kept = json.loads((KEPT / "run.json").read_text())
    for row in kept["rows"]:
        work, against = (row[name].replace("|", r"\|") for name in ("work", "against"))
        assert f"| {work} | {against} | {with_unit(row['median'], row['unit'])} |" in text
    assert f"{kept['summary']}." in text
    assert f"]({KEPT.name}/run.png)" in text
    assert (KEPT / "run.png").read_bytes().startswith(b"\x89PNG")
    assert "](tests/benchmarks/README.md)" in README.read_text()


def links() -> list[tuple[Path, str]]:
    """Every link of every document that leads to a place in this project."""
    documents = sorted(path for path in README.parent.glob("**/README.md") if ".venv" not in path.parts)
    found = [(path, link) for path in documents for link in re.findall(r"\]\(([^)]+)\)", path.read_text())]
    return [(path, link) for path, link in found if "://" not in link]


def anchors(document: Path) -> set[str]:
    """What GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("document", "link"), links(), ids=lambda value: str(value).removeprefix(f"{README.parent}/"))
def test_links_lead_somewhere(document: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    goal = document.parent / name if name else document
    assert goal.exists()
    assert not anchor or anchor in anchors(goal)
