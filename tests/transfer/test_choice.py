import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.transfer.rig import rig
from twfs.catalog.options import CatalogSettings
from twfs.errors import NoSuchName, Unreachable
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.exchange import Answer
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.transfer.choice import by_sid, everything

BEGIN = datetime(2017, 11, 23, tzinfo=UTC)


def account_of(count: int) -> tuple[SimulatedAccount, list[str]]:
    account = SimulatedAccount()
    sids = [account.add_recording(StoredObject(b"x"), date_created=BEGIN + timedelta(days=n)) for n in range(count)]
    return account, sids


def test_everything_of_a_selection_in_the_order_of_time(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, sids = account_of(5)
    account.add_recording(None, status="processing")
    since = int((BEGIN + timedelta(days=2)).timestamp())
    with rig(tmp_path, account, private_key) as here:
        assert [medium.sid for medium in everything(here.session, CatalogSettings())] == sids
        assert [medium.sid for medium in everything(here.session, CatalogSettings(since=since))] == sids[2:]


def _without_rooms(answer: Answer) -> Answer:
    assert isinstance(answer.body, bytes)
    page = json.loads(answer.body)
    records = [{**record, "grouping_sids": None} for record in page.get("recordings", [])]
    return replace(answer, body=json.dumps({**page, "recordings": records}).encode())


def test_what_names_no_room_is_in_none_that_is_asked_for(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, sids = account_of(2)
    with rig(tmp_path, account, private_key) as here:
        here.simulator.inject(Fault("api.list", alter=_without_rooms, times=None))
        assert [medium.sid for medium in everything(here.session, CatalogSettings())] == sids
        assert everything(here.session, CatalogSettings(room="RM" + "1" * 32)) == []


def test_everything_needs_an_answer_of_now(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, _ = account_of(2)
    with rig(tmp_path, account, private_key, timeout="1") as here:
        everything(here.session, CatalogSettings())
        here.simulator.inject(Fault("api.list", status=500, times=None))
        with pytest.raises(Unreachable):
            everything(here.session, CatalogSettings())


def test_known_sids_are_not_asked_for(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, sids = account_of(3)
    with rig(tmp_path, account, private_key) as here:
        assert [medium.sid for medium in by_sid(here.session, [sids[2], sids[0], sids[2]])] == [sids[2], sids[0]]
        asked = here.simulator.count("api.list")
        by_sid(here.session, sids)
        assert here.simulator.count("api.list") == asked
        new = account.add_recording(StoredObject(b"y"))
        assert by_sid(here.session, [new])[0].sid == new


def test_unknown_sid_is_named(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    account, sids = account_of(1)
    with rig(tmp_path, account, private_key) as here, pytest.raises(NoSuchName, match="RT" + "9" * 32):
        by_sid(here.session, [sids[0], "RT" + "9" * 32])
