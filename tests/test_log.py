from logging import INFO, WARNING

import pytest

from twfs.log import OncePerTrouble


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(INFO, "twfs")
    return caplog


def test_what_was_said_is_not_said_again_until_it_is_over(said: pytest.LogCaptureFixture) -> None:
    complaints = OncePerTrouble()
    for _ in range(3):
        complaints.warn("a.mkv", "HTTP 500, request RQ1")
        complaints.warn("a.mkv", "no answer")
        complaints.warn("a.mkv", "HTTP 500, request RQ2")
    assert said.messages == ["HTTP 500, request RQ1", "no answer"]
    complaints.settle("a.mkv", "well again")
    complaints.settle("a.mkv", "well again")
    complaints.warn("a.mkv", "no answer")
    assert said.messages[2:] == ["well again", "no answer"]
    assert [record.levelno for record in said.records] == [WARNING, WARNING, INFO, WARNING]


def test_each_subject_has_its_own_troubles(said: pytest.LogCaptureFixture) -> None:
    complaints = OncePerTrouble()
    complaints.warn("a.mkv", "no answer")
    complaints.warn("b.mkv", "no answer")
    complaints.settle("c.mkv", "well again")
    assert said.messages == ["no answer", "no answer"]


def test_what_was_said_long_ago_is_said_again(said: pytest.LogCaptureFixture) -> None:
    complaints = OncePerTrouble()
    for number in [*range(20), 0]:
        complaints.warn("a.mkv", f"byte {number} is missing")
    assert len(said.messages) == 21
