import pytest

from twfs.simulator.exchange import Request
from twfs.simulator.journal import Journal


def noted(journal: Journal, kind: str, *counts: int) -> None:
    entry = journal.open(kind, Request("GET", "/path", "X-Amz-Signature=1", {"range": "bytes=0-1"}))
    journal.begin(entry, 206)
    for count in counts:
        journal.sent(entry, count)


def test_totals_are_by_kind_and_by_service() -> None:
    journal = Journal()
    noted(journal, "s3.get", 100, 20)
    noted(journal, "s3.get", 3)
    noted(journal, "s3.other")
    noted(journal, "api.list", 7)
    assert [journal.count(kind) for kind in ("s3.get", "s3.other", "s3", "api", "api.media")] == [2, 1, 3, 1, 0]
    assert [journal.bytes_sent(kind) for kind in ("s3.get", "s3", "api.list")] == [123, 123, 7]


def test_totals_outlast_what_is_remembered() -> None:
    journal = Journal(remembered=3)
    for count in range(10):
        noted(journal, "s3.get", count)
    assert [entry.bytes_sent for entry in journal.entries()] == [7, 8, 9]
    assert (journal.count("s3"), journal.bytes_sent("s3")) == (10, 45)
    journal.clear()
    assert (journal.entries(), journal.count("s3"), journal.bytes_sent("s3")) == ([], 0, 0)


def test_entries_are_copies_whose_repr_keeps_signatures_to_itself() -> None:
    journal = Journal()
    noted(journal, "s3.get", 5)
    entry = journal.entries()[0]
    entry.bytes_sent = 99
    assert journal.entries()[0].bytes_sent == 5
    assert (entry.range, entry.status) == ("bytes=0-1", 206)
    assert "Signature" not in repr(entry)


@pytest.mark.parametrize("secret", ["Signature", "Basic"])
def test_a_request_keeps_its_secrets_out_of_its_repr(secret: str) -> None:
    request = Request("GET", "/p", "X-Amz-Signature=1", {"authorization": "Basic x"}, b"Signature Basic")
    assert secret not in repr(request)
