import json
import os

import pytest

from tests.remote.account_rig import PEM, AccountRig
from twfs.errors import ConfigError, NotFound, RemoteError
from twfs.remote.accounts import LONGEST_NAME, StoredKey, checked_key_sid
from twfs.remote.rest import OutcomeUnknown
from twfs.simulator.account import new_sid
from twfs.simulator.faults import Fault


@pytest.mark.parametrize("name", ["a", "keys of 2026 & more = 100% \u00fcber", "\U0001f511" * LONGEST_NAME])
def test_a_key_is_stored_as_it_is_with_one_request(account_rig: AccountRig, name: str) -> None:
    stored = account_rig.keys.create(PEM, name)
    (held,) = account_rig.account.public_keys()
    assert (held.sid, held.pem, held.friendly_name) == (stored.sid, PEM, name)
    assert stored.friendly_name == name
    assert account_rig.simulator.count("api") == 1


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1)])
def test_a_name_that_twilio_would_refuse_is_not_sent(account_rig: AccountRig, name: str) -> None:
    with pytest.raises(ConfigError, match=f"has {len(name)} characters; it must have 1 to 64"):
        account_rig.keys.create(PEM, name)
    assert account_rig.simulator.count("api") == 0


def test_a_name_in_another_encoding_is_not_said_to_have_been_sent(account_rig: AccountRig) -> None:
    with pytest.raises(ConfigError, match="the name is no UTF-8"):
        account_rig.keys.create(PEM, os.fsdecode(b"Schl\xfcssel"))
    assert account_rig.simulator.count("api") == 0


def test_keys_are_listed_fetched_and_deleted(account_rig: AccountRig) -> None:
    assert account_rig.keys.list() == []
    first, second = (account_rig.keys.create(PEM, name) for name in ("first", "second"))
    assert account_rig.keys.list() == [second, first]
    assert account_rig.keys.fetch(first.sid) == first
    account_rig.keys.delete(first.sid)
    assert account_rig.keys.list() == [second]
    with pytest.raises(NotFound):
        account_rig.keys.fetch(first.sid)


def test_the_longest_pages_are_asked_for(account_rig: AccountRig) -> None:
    account_rig.keys.list()
    assert [request.query_string for request in account_rig.simulator.requests] == ["PageSize=1000"]


@pytest.mark.parametrize("sid", ["", "CR1", "RT" + "0" * 32, "CR" + "0" * 32 + "/../x", "CR" + "g" * 32])
def test_what_is_no_sid_is_refused_before_anything_is_sent(account_rig: AccountRig, sid: str) -> None:
    for use in (account_rig.keys.fetch, account_rig.keys.delete, checked_key_sid):
        with pytest.raises(ConfigError, match="CR and 32 hexadecimal digits"):
            use(sid)
    assert account_rig.simulator.count("api") == 0


def test_fields_that_are_null_or_nonsense_are_unknown(account_rig: AccountRig) -> None:
    sid = account_rig.keys.create(PEM, "mine").sid
    for record in (
        {"sid": sid},
        {"sid": sid, "friendly_name": None, "date_created": 5},
        {"sid": sid, "friendly_name": ""},
    ):
        account_rig.simulator.inject(Fault("api.keys", body=json.dumps(record)))
        assert account_rig.keys.fetch(sid) == StoredKey(sid)


@pytest.mark.parametrize("record", [{}, {"sid": None}, {"sid": 5}, {"sid": "CR1"}, {"sid": new_sid("AC")}])
def test_a_record_without_a_sid_is_an_error(account_rig: AccountRig, record: dict[str, object]) -> None:
    sid = account_rig.keys.create(PEM, "mine").sid
    account_rig.simulator.inject(Fault("api.keys", body=json.dumps(record), times=2))
    with pytest.raises(RemoteError, match="no valid SID"):
        account_rig.keys.fetch(sid)
    with pytest.raises(OutcomeUnknown, match="no valid SID, in answer to a new one"):
        account_rig.keys.create(PEM, "mine")
