import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from tests.remote.account_rig import AccountRig, running_account_rig
from twfs.errors import ConfigError, CredentialsRefused, RemoteError
from twfs.remote.rest import OutcomeUnknown
from twfs.remote.settings import StorageSettings
from twfs.resources import Kind
from twfs.simulator.account import new_sid
from twfs.simulator.exchange import Request
from twfs.simulator.faults import Fault

KEPT = {
    "friendly_name": "ours",
    "aws_storage_enabled": True,
    "aws_s3_url": "https://bucket/recordings?a=b&c=%20",
    "aws_credentials_sid": new_sid("CR"),
}

NOTHING = dict.fromkeys([*KEPT, "encryption_enabled", "encryption_key_sid"])

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=70)
stored_settings = st.fixed_dictionaries(
    {
        "friendly_name": texts,
        "encryption_enabled": st.booleans(),
        "encryption_key_sid": st.builds(new_sid, st.just("CR")) | st.none(),
        "aws_storage_enabled": st.booleans(),
        "aws_s3_url": texts,
        "aws_credentials_sid": st.builds(new_sid, st.just("CR")) | st.none(),
    }
)


def by_method(method: str) -> Callable[[Request], bool]:
    return lambda request: request.method == method


def posts(account_rig: AccountRig) -> int:
    return sum(request.method == "POST" for request in account_rig.simulator.requests)


def held(account_rig: AccountRig, kind: Kind, names: Mapping[str, object]) -> dict[str, object]:
    stored = account_rig.account.settings(kind)
    return {name: stored.get(name) for name in names}


@pytest.mark.parametrize("kind", Kind)
def test_what_was_never_set_is_off(account_rig: AccountRig, kind: Kind) -> None:
    assert account_rig.settings.fetch(kind) == StorageSettings()


@given_settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Kind), stored_settings, st.booleans()), min_size=1, max_size=4))
def test_a_change_of_encryption_keeps_everything_else(changes: list[tuple[Kind, dict[str, object], bool]]) -> None:
    with running_account_rig() as rig:
        for kind, before, enable in changes:
            check_change(rig, kind, before, enable=enable)


def check_change(rig: AccountRig, kind: Kind, before: dict[str, object], *, enable: bool) -> None:
    key_sid = str(rig.create()["sid"])
    other = next(each for each in Kind if each is not kind)
    of_other = dict(rig.account.settings(other))
    rig.account.store_settings(kind, before)
    now = rig.settings.fetch(kind)
    found = rig.settings.store(kind, now.encrypted_for(key_sid) if enable else now.unencrypted())
    assert (found.encryption_enabled, found.encryption_key_sid) == ((True, key_sid) if enable else (False, None))
    kept = {name: before[name] for name in ("aws_storage_enabled", "aws_s3_url", "aws_credentials_sid")}
    assert held(rig, kind, kept) == kept
    assert rig.account.settings(kind)["friendly_name"] == (before["friendly_name"] or kind.value.capitalize())
    assert dict(rig.account.settings(other)) == of_other


@pytest.mark.parametrize("kind", Kind)
def test_a_change_costs_one_request_and_one_to_read_back(account_rig: AccountRig, kind: Kind) -> None:
    account_rig.account.store_settings(kind, KEPT)
    account_rig.settings.store(kind, account_rig.settings.fetch(kind).unencrypted())
    assert [request.method for request in account_rig.simulator.requests] == ["GET", "POST", "GET"]
    assert {request.path for request in account_rig.simulator.requests} == {
        f"/v1/{kind.value.capitalize()[:-1]}Settings/Default"
    }
    assert held(account_rig, kind, KEPT) == KEPT


def test_a_key_that_was_deleted_does_not_stand_in_the_way_of_disabling(account_rig: AccountRig) -> None:
    before = {**KEPT, "encryption_enabled": True, "encryption_key_sid": new_sid("CR")}
    account_rig.account.store_settings(Kind.RECORDING, before)
    account_rig.settings.store(Kind.RECORDING, account_rig.settings.fetch(Kind.RECORDING).unencrypted())
    assert account_rig.account.settings(Kind.RECORDING)["encryption_enabled"] is False


def test_a_key_that_twilio_does_not_know_is_refused_and_changes_nothing(account_rig: AccountRig) -> None:
    account_rig.account.store_settings(Kind.RECORDING, KEPT)
    now = account_rig.settings.fetch(Kind.RECORDING)
    with pytest.raises(RemoteError, match=r"HTTP 400.*EncryptionKeySid"):
        account_rig.settings.store(Kind.RECORDING, now.encrypted_for(new_sid("CR")))
    assert account_rig.settings.fetch(Kind.RECORDING) == now


@pytest.mark.parametrize("fault", [Fault("api.settings", reset_after=0), Fault("api.settings", body=b"")])
def test_a_lost_answer_is_made_good_by_reading_back(account_rig: AccountRig, fault: Fault) -> None:
    key_sid = str(account_rig.create()["sid"])
    account_rig.simulator.inject(replace(fault, match=by_method("POST")))
    found = account_rig.settings.store(Kind.RECORDING, StorageSettings().encrypted_for(key_sid))
    assert found.encryption_key_sid == key_sid
    assert posts(account_rig) == 1 + 1


def test_trouble_that_kept_the_change_from_being_made_is_told(account_rig: AccountRig) -> None:
    key_sid = str(account_rig.create()["sid"])
    account_rig.simulator.inject(Fault("api.settings", status=503, match=by_method("POST")))
    with pytest.raises(OutcomeUnknown, match="HTTP 503"):
        account_rig.settings.store(Kind.RECORDING, StorageSettings().encrypted_for(key_sid))
    assert posts(account_rig) == 1 + 1
    assert account_rig.settings.fetch(Kind.RECORDING) == StorageSettings()


def test_an_outage_after_the_change_leaves_it_uncertain(account_rig: AccountRig) -> None:
    account_rig.simulator.inject(Fault("api.settings", status=503, match=by_method("GET"), times=None))
    with pytest.raises(OutcomeUnknown, match="the settings were sent, but cannot be read back"):
        account_rig.settings.store(Kind.COMPOSITION, replace(StorageSettings(), friendly_name="n"))


def test_settings_that_read_back_otherwise_are_an_error(account_rig: AccountRig) -> None:
    key_sid = str(account_rig.create()["sid"])
    changed = {"encryption_enabled": True, "encryption_key_sid": key_sid, "aws_storage_enabled": True}
    body = json.dumps(NOTHING | changed)
    account_rig.simulator.inject(Fault("api.settings", body=body, match=by_method("GET")))
    with pytest.raises(RemoteError, match=r"read back they are: .*aws_storage_enabled True"):
        account_rig.settings.store(Kind.RECORDING, StorageSettings().encrypted_for(key_sid))


@pytest.mark.parametrize("record", [{"encryption_enabled": "true"}, {"aws_s3_url": 5}, {"aws_storage_enabled": 1}])
def test_settings_that_cannot_be_understood_are_never_written_back(
    account_rig: AccountRig, record: dict[str, object]
) -> None:
    account_rig.simulator.inject(Fault("api.settings", body=json.dumps(NOTHING | record)))
    with pytest.raises(RemoteError, match=f"have a {next(iter(record))} that is none"):
        account_rig.settings.fetch(Kind.RECORDING)


@pytest.mark.parametrize("name", NOTHING)
def test_settings_that_lack_a_field_are_none(account_rig: AccountRig, name: str) -> None:
    record = {field: value for field, value in NOTHING.items() if field != name}
    account_rig.simulator.inject(Fault("api.settings", body=json.dumps(record)))
    with pytest.raises(RemoteError, match=f"it has no {name}"):
        account_rig.settings.fetch(Kind.RECORDING)


def test_settings_of_another_account_are_refused(account_rig: AccountRig) -> None:
    other = new_sid("AC")
    account_rig.simulator.inject(Fault("api.settings", body=json.dumps(NOTHING | {"account_sid": other})))
    with pytest.raises(ConfigError, match=f"for the account {other}, not {account_rig.account.account_sid};"):
        account_rig.settings.fetch(Kind.RECORDING)


def test_nulls_and_empty_texts_are_defaults(account_rig: AccountRig) -> None:
    account_rig.simulator.inject(Fault("api.settings", body=json.dumps(NOTHING | {"aws_s3_url": ""})))
    assert account_rig.settings.fetch(Kind.RECORDING) == StorageSettings()


def test_refused_credentials_are_told(account_rig: AccountRig) -> None:
    account_rig.simulator.inject(Fault("api.settings", status=401))
    with pytest.raises(CredentialsRefused):
        account_rig.settings.fetch(Kind.RECORDING)
