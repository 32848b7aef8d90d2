from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from tests.simulator.support import START, HandClock
from twfs.resources import Kind
from twfs.simulator.account import BucketObject, SimulatedAccount, StoredObject


def test_credentials_are_given_or_drawn() -> None:
    given = SimulatedAccount("AC" + "a" * 32, "SK" + "b" * 32, "secret", "token")
    assert given.credentials == {"SK" + "b" * 32: "secret", "AC" + "a" * 32: "token"}
    assert SimulatedAccount().credentials != SimulatedAccount().credentials


def test_only_its_own_credentials_authorize(account: SimulatedAccount) -> None:
    assert account.authorizes(account.api_key, account.api_secret)
    assert account.authorizes(account.account_sid, account.auth_token)
    assert not account.authorizes(account.api_key, account.auth_token)
    assert not account.authorizes("", "")
    assert not account.authorizes("SK" + "0" * 32, "")


def test_media_stand_newest_first(account: SimulatedAccount) -> None:
    ages = [3, 1, 2]
    sids = [account.add_recording(None, date_created=START - timedelta(days=age)) for age in ages]
    assert [medium.sid for medium in account.media(Kind.RECORDING)] == [sids[1], sids[2], sids[0]]
    assert account.media(Kind.COMPOSITION) == ()


def test_a_deleted_medium_stays_without_media_until_it_is_forgotten(
    account: SimulatedAccount, clock: HandClock
) -> None:
    sid = account.add_composition(StoredObject(b"x"))
    clock.seconds = 5
    account.delete(sid)
    medium = account.medium(sid)
    assert (medium.status, medium.stored, medium.has_media) == ("deleted", None, False)
    assert medium.date_deleted == START + timedelta(seconds=5)
    account.forget(sid)
    assert account.find(sid) is None
    assert account.media(Kind.COMPOSITION) == ()


def test_a_status_change_completes_a_composition(account: SimulatedAccount, clock: HandClock) -> None:
    sid = account.add_composition(StoredObject(b"x"), status="processing")
    assert account.medium(sid).date_completed is None
    clock.seconds = 60
    account.set_status(sid, "completed")
    assert account.medium(sid).date_completed == START + timedelta(seconds=60)
    assert account.medium(sid).has_media


def test_the_plaintext_is_that_of_the_object_that_is_there_now(account: SimulatedAccount) -> None:
    sid = account.add_recording(StoredObject(b"sealed", plain=b"plain"))
    assert account.plain(sid) == b"plain"
    account.replace(sid, StoredObject(b"other"))
    assert account.plain(sid) == b"other"
    account.replace(sid, None)
    with pytest.raises(LookupError):
        account.plain(sid)


def test_what_makes_no_sense_is_refused(account: SimulatedAccount) -> None:
    sid = account.add_recording(None)
    with pytest.raises(ValueError, match="already there"):
        account.add_recording(None, sid=sid)
    with pytest.raises(ValueError, match="time zone"):
        account.add_recording(None, date_created=datetime(2017, 1, 1))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(KeyError):
        account.delete("RT" + "0" * 32)


@dataclass(frozen=True)
class Generated:
    """An object that is larger than memory: every byte is the low byte of its position."""

    size: int
    etag: str = "0" * 32
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)

    def read(self, start: int, end: int) -> bytes:
        return bytes(index & 255 for index in range(start, end))


def test_an_object_may_be_generated(account: SimulatedAccount) -> None:
    stored: BucketObject = Generated(6 * 2**40)
    sid = account.add_recording(stored)
    assert account.medium(sid).size == 6 * 2**40
    with pytest.raises(LookupError):
        account.plain(sid)
