"""The README promises what the tests have seen, and nothing else."""

from pathlib import Path

from tests.faults.cases import rows, table

README = Path(__file__).parent / "README.md"


def test_the_table_of_faults_is_what_the_cases_say() -> None:
    assert table() in README.read_text(), "print the new one by: python -m tests.faults.cases"


def test_no_fault_stands_there_twice() -> None:
    titles = [(whose, title) for whose, title, _ in rows()]
    assert len(set(titles)) == len(titles)
