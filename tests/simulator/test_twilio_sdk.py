"""The official Python SDK, unchanged but for the host it talks to, is served."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from tests.simulator.support import START
from twfs.simulator.account import SimulatedAccount, StoredObject, new_sid
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import throwaway_public_key
from twfs.simulator.server import Simulator


class LoopbackHttpClient(TwilioHttpClient):  # type: ignore[misc] # the SDK's classes are untyped here
    """Takes whatever is meant for Twilio's hosts to the simulator."""

    def __init__(self, url: str) -> None:
        super().__init__(timeout=10)
        self.url = url

    def request(self, method: str, url: str, *arguments: object, **named: object) -> Response:
        there = urlsplit(url)
        assert there.hostname in ("video.twilio.com", "accounts.twilio.com", "127.0.0.1")
        query = f"?{there.query}" if there.query else ""
        return super().request(method, f"{self.url}{there.path}{query}", *arguments, **named)


@pytest.fixture
def sdk(simulator: Simulator) -> Iterator[Client]:
    http = LoopbackHttpClient(simulator.url)
    account = simulator.account
    yield Client(account.api_key, account.api_secret, account.account_sid, http_client=http)
    http.session.close()


def test_lists_are_paged_through(sdk: Client, simulator: Simulator) -> None:
    sids = [simulator.account.add_recording(None, date_created=START - timedelta(days=day)) for day in range(7)]
    assert [found.sid for found in sdk.video.v1.recordings.list(page_size=3)] == sids
    assert simulator.count("api.list") == 3
    assert [found.sid for found in sdk.video.v1.recordings.list(limit=4, page_size=2)] == sids[:4]


def test_pages_are_turned_back(sdk: Client, account: SimulatedAccount) -> None:
    sids = [account.add_composition(None, date_created=START - timedelta(days=day)) for day in range(4)]
    second = sdk.video.v1.compositions.page(page_size=2).next_page()
    assert [found.sid for found in second] == sids[2:]
    assert [found.sid for found in second.previous_page()] == sids[:2]


def test_lists_are_filtered(sdk: Client, account: SimulatedAccount) -> None:
    room = new_sid("RM")
    audio = account.add_recording(StoredObject(b"x"), container="mka", room_sid=room, date_created=START)
    video = account.add_recording(StoredObject(b"x"), room_sid=room, date_created=START - timedelta(days=1))
    account.add_recording(None, status="processing")
    recordings = sdk.video.v1.recordings
    assert [found.sid for found in recordings.list(status="completed", grouping_sid=[room])] == [audio, video]
    assert [found.sid for found in recordings.list(media_type="audio")] == [audio]
    assert [found.sid for found in recordings.list(date_created_before=START)] == [video]
    assert [found.sid for found in recordings.list(date_created_after=START, status="completed")] == [audio]
    source = account.medium(video).source_sid
    assert [found.sid for found in recordings.list(source_sid=source)] == [video]
    assert [found.sid for found in sdk.video.v1.rooms(room).recordings.list()] == [audio, video]


def test_compositions_are_filtered(sdk: Client, account: SimulatedAccount) -> None:
    sid = account.add_composition(StoredObject(b"x"))
    account.add_composition(StoredObject(b"x"))
    room = account.medium(sid).room_sid
    assert [found.sid for found in sdk.video.v1.compositions.list(room_sid=room)] == [sid]


def test_one_is_fetched_with_its_fields(sdk: Client, account: SimulatedAccount) -> None:
    sid = account.add_recording(StoredObject(b"12345"), track_name="naïve/..", duration=7, date_created=START)
    found = sdk.video.v1.recordings(sid).fetch()
    assert (found.sid, found.status, found.size, found.duration) == (sid, "completed", 5, 7)
    assert (found.date_created, found.track_name) == (START, "naïve/..")
    assert found.grouping_sids["room_sid"] == account.medium(sid).room_sid


def test_one_is_deleted(sdk: Client, account: SimulatedAccount) -> None:
    sid = account.add_composition(StoredObject(b"x"))
    assert sdk.video.v1.compositions(sid).delete() is True
    assert account.medium(sid).status == "deleted"
    with pytest.raises(TwilioRestException) as refused:
        sdk.video.v1.compositions(sid).delete()
    assert (refused.value.status, refused.value.code) == (404, 20404)


def test_keys_and_settings_are_kept(sdk: Client, account: SimulatedAccount) -> None:
    pem = throwaway_public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = sdk.accounts.v1.credentials.public_key.create(public_key=pem, friendly_name="mine")
    assert [found.sid for found in sdk.accounts.v1.credentials.public_key.list()] == [key.sid]
    assert sdk.accounts.v1.credentials.public_key(key.sid).update(friendly_name="ours").friendly_name == "ours"
    settings = sdk.video.v1.recording_settings()
    settings.create(friendly_name="all", encryption_enabled=True, encryption_key_sid=key.sid)
    assert (settings.fetch().encryption_enabled, settings.fetch().encryption_key_sid) == (True, key.sid)
    assert sdk.video.v1.composition_settings().fetch().encryption_enabled is False
    assert sdk.accounts.v1.credentials.public_key(key.sid).delete() is True
    assert account.public_keys() == []


def test_refusals_reach_the_sdk_as_its_own_errors(sdk: Client, simulator: Simulator) -> None:
    with pytest.raises(TwilioRestException) as refused:
        sdk.accounts.v1.credentials.public_key.create(public_key="nonsense")
    assert (refused.value.status, refused.value.code) == (400, 20001)
    simulator.inject(Fault("api.fetch", status=429))
    with pytest.raises(TwilioRestException) as limited:
        sdk.video.v1.recordings(new_sid("RT")).fetch()
    assert limited.value.code == 20429
