"""The README promises what the tests have seen, and nothing else."""

from pathlib import Path

from tests.faults.cases import rows, table

README = Path(__file__).parents[2] / "README.md"


def test_the_table_of_faults_is_what_the_cases_say() -> None:
    section = README.read_text().split("\n## Faults\n", 1)[1].split("\n## ", 1)[0]
    assert table() in section, "print the new one by: python -m tests.faults.cases"


def test_no_fault_stands_there_twice() -> None:
    titles = [(whose, title) for whose, title, _ in rows()]
    assert len(set(titles)) == len(titles)
