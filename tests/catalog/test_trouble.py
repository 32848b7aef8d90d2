import gc
import logging
import weakref

import pytest

from twfs.catalog.trouble import Troubles
from twfs.errors import CredentialsRefused, Unreachable


def test_trouble_is_said_at_its_beginning_at_a_change_of_kind_and_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    troubles = Troubles()
    assert troubles.last_text() is None
    for number in range(5):
        troubles.arose("list", Unreachable(f"no answer, request RQ{number}"), "the list is old")
    troubles.arose("list", CredentialsRefused("401"), "the list is old")
    assert troubles.last_text() == "401"
    troubles.ended("list", "the list comes again")
    troubles.ended("list", "the list comes again")
    assert troubles.last_text() is None
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the list is old: no answer, request RQ0", "the list is old: 401", "the list comes again"]


class Weighty(Unreachable):
    """An error that can be seen to be gone."""


def test_no_error_is_held(caplog: pytest.LogCaptureFixture) -> None:
    troubles, error = Troubles(), Weighty("down")
    held = weakref.ref(error)
    troubles.arose("list", error, "the list is old")
    del error
    gc.collect()
    assert held() is None
    assert troubles.last_text() == "down"
    assert caplog.messages == ["the list is old: down"]


def test_subjects_are_apart(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()
    troubles.arose("a", Unreachable("down"), "a")
    troubles.arose("b", Unreachable("down, too"), "b")
    assert troubles.last_text() == "down, too"
    troubles.ended("b", "b")
    assert troubles.last_text() == "down"
    assert len(caplog.records) == 2


def test_what_there_is_no_more_has_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    troubles = Troubles()
    for subject in ("a", "b"):
        troubles.arose(subject, Unreachable(f"no {subject}"), "bad")
    troubles.forget(lambda subject: subject == "b")
    assert troubles.last_text() == "no a"
    troubles.ended("b", "b is well")
    assert caplog.messages == ["bad: no a", "bad: no b"]
