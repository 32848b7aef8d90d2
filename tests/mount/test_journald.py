from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mount.fake_journal import fake_journal
from twfs.mount.journald import Journal

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)
values = st.text(st.characters(codec="utf-8"))


@settings(max_examples=50)
@given(st.dictionaries(names, values, min_size=1, max_size=5))
def test_every_value_arrives_whatever_it_holds(fields: dict[str, str]) -> None:
    with TemporaryDirectory() as folder, fake_journal(Path(folder) / "socket") as journal:
        Journal(Path(folder) / "socket").send(fields)
        assert journal.entry() == fields


def test_a_value_longer_than_a_datagram_is_cut(tmp_path: Path) -> None:
    with fake_journal(tmp_path / "socket") as journal:
        Journal(tmp_path / "socket").send({"MESSAGE": "x" * 1_000_000, "A": "b"})
        entry = journal.entry()
    assert entry == {"MESSAGE": "x" * 32 * 1024, "A": "b"}


def test_without_a_journal_it_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Journal(tmp_path / "nothing")


def test_a_restarted_journal_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with fake_journal(path):
        journal = Journal(path)
    with pytest.raises(ConnectionRefusedError):
        journal.send({"MESSAGE": "lost"})
    path.unlink()
    with fake_journal(path) as second:
        journal.send({"MESSAGE": "kept"})
        assert second.entry() == {"MESSAGE": "kept"}


def send_many(journal: Journal) -> None:
    for _ in range(100_000):
        journal.send({"MESSAGE": "x"})


def test_a_full_journal_does_not_stop_the_sender(tmp_path: Path) -> None:
    with fake_journal(tmp_path / "socket"):
        journal = Journal(tmp_path / "socket")
        with pytest.raises(BlockingIOError):
            send_many(journal)
