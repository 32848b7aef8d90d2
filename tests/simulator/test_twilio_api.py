from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.simulator.support import Client, HandClock
from twfs.simulator.account import StoredObject
from twfs.simulator.sealing import throwaway_public_key

KEYS = "/v1/Credentials/PublicKeys"
SETTINGS = ["/v1/RecordingSettings/Default", "/v1/CompositionSettings/Default"]


def public_pem() -> str:
    return throwaway_public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def refused(answer: requests.Response) -> tuple[int, int]:
    """Status and code of an error, whose body and headers are as Twilio's."""
    body = answer.json()
    assert set(body) == {"code", "message", "more_info", "status"}
    assert body["status"] == answer.status_code
    assert body["more_info"].endswith(f"/{body['code']}")
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")
    return answer.status_code, body["code"]


def test_both_kinds_of_credentials_are_taken(client: Client) -> None:
    account = client.account
    for user, password in [(account.api_key, account.api_secret), (account.account_sid, account.auth_token)]:
        assert client.request("GET", "/v1/Recordings", auth=(user, password)).status_code == 200


def test_others_are_refused(client: Client) -> None:
    url = f"{client.simulator.url}/v1/Recordings"
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic %%"}, {"Authorization": "Basic /w=="}):
        answer = requests.get(url, headers=headers, timeout=10)
        assert refused(answer) == (401, 20003)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert refused(requests.get(url, auth=(client.account.api_key, "wrong"), timeout=10)) == (401, 20003)


def test_what_is_not_there_is_404_and_what_is_not_done_405(client: Client) -> None:
    for path in (
        f"/v1/Recordings/RT{'0' * 32}",
        "/v1/Recordings/x",
        "/v1/Nothing",
        "/",
        f"/v1/Recordings/CJ{'0' * 32}",
    ):
        assert refused(client.get(path)) == (404, 20404)
    assert refused(client.request("POST", "/v1/Recordings")) == (405, 20004)
    assert refused(client.request("PUT", KEYS)) == (405, 20004)


def test_every_answer_has_its_own_request_id(client: Client) -> None:
    ids = {client.get("/v1/Recordings").headers["Twilio-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(text) == 34 for text in ids)


def test_a_list_shows_what_is_asked_for(client: Client) -> None:
    sid = client.account.add_recording(StoredObject(b"x"), container="mka")
    client.account.add_recording(None)
    body = client.get("/v1/Recordings", MediaType="audio").json()
    assert [record["sid"] for record in body["recordings"]] == [sid]
    assert body["meta"]["key"] == "recordings"
    assert refused(client.get("/v1/Recordings", PageSize=101)) == (400, 20001)
    assert refused(client.get("/v1/Compositions", Status="done")) == (400, 20001)


def test_next_page_urls_lead_through_the_whole_list(client: Client) -> None:
    sids = {client.account.add_composition(None) for _ in range(7)}
    found, url = [], f"{client.simulator.url}/v1/Compositions?PageSize=3"
    while url:
        body = client.api.get(url, timeout=10).json()
        found += [record["sid"] for record in body["compositions"]]
        url = body["meta"]["next_page_url"]
    assert len(found) == 7
    assert set(found) == sids


def test_a_room_lists_its_own_recordings(client: Client) -> None:
    sid = client.account.add_recording(StoredObject(b"x"))
    client.account.add_recording(None)
    room = client.account.medium(sid).room_sid
    body = client.get(f"/v1/Rooms/{room}/Recordings").json()
    assert [record["sid"] for record in body["recordings"]] == [sid]
    record = client.get(f"/v1/Rooms/{room}/Recordings/{sid}").json()
    assert record == body["recordings"][0]
    assert record["room_sid"] == room
    assert client.api.get(record["links"]["media"], timeout=10).history[0].status_code == 302
    assert refused(client.get(f"/v1/Rooms/RM{'0' * 32}/Recordings/{sid}")) == (404, 20404)
    assert client.get(f"/v1/Rooms/{room}/Recordings", PageSize=1000).status_code == 200


@pytest.mark.parametrize("ending", ["Media", "Media/"])
def test_media_redirects_into_the_bucket(client: Client, ending: str) -> None:
    sid = client.account.add_recording(StoredObject(b"the bytes"))
    answer = client.get(f"/v1/Recordings/{sid}/{ending}", Ttl=77)
    url = answer.headers["Location"]
    assert answer.status_code == 302
    assert answer.json() == {"redirect_to": url}
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["77"]
    assert client.read(url).content == b"the bytes"


def test_media_urls_live_ten_minutes_by_default(client: Client) -> None:
    url = client.media_url(client.account.add_composition(StoredObject(b"x")))
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["600"]


@pytest.mark.parametrize("parameters", [{"Ttl": "0"}, {"Ttl": "3601"}, {"Ttl": "x"}, {"ContentDisposition": "x\r\ny"}])
def test_media_parameters_have_their_limits(client: Client, parameters: dict[str, str]) -> None:
    sid = client.account.add_recording(StoredObject(b"x"))
    assert refused(client.get(f"/v1/Recordings/{sid}/Media", **parameters)) == (400, 20001)


def test_media_that_are_not_there_are_404(client: Client) -> None:
    muted = client.account.add_recording(None)
    processing = client.account.add_recording(StoredObject(b"x"), status="processing")
    deleted = client.account.add_recording(StoredObject(b"x"))
    client.account.delete(deleted)
    for sid in (muted, processing, deleted, f"RT{'0' * 32}"):
        assert refused(client.get(f"/v1/Recordings/{sid}/Media")) == (404, 20404)


def test_delete_leaves_the_resource_hidden(client: Client, clock: HandClock) -> None:
    sid = client.account.add_composition(StoredObject(b"x"))
    clock.seconds = 9
    answer = client.request("DELETE", f"/v1/Compositions/{sid}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/v1/Compositions").json()["compositions"] == []
    assert [found["sid"] for found in client.get("/v1/Compositions?Status=deleted").json()["compositions"]] == [sid]
    record = client.get(f"/v1/Compositions/{sid}").json()
    assert (record["status"], record["date_deleted"]) == ("deleted", "2017-11-23T16:47:26Z")
    assert refused(client.request("DELETE", f"/v1/Compositions/{sid}")) == (404, 20404)


def test_public_keys_come_change_and_go(client: Client, clock: HandClock) -> None:
    created = client.request("POST", KEYS, data={"PublicKey": public_pem(), "FriendlyName": "first"})
    assert created.status_code == 201
    record = created.json()
    assert "PUBLIC KEY" not in created.text
    clock.seconds = 60
    renamed = client.request("POST", f"{KEYS}/{record['sid']}", data={"FriendlyName": "second"}).json()
    assert renamed == record | {"friendly_name": "second", "date_updated": "2017-11-23T16:48:17Z"}
    assert client.get(f"{KEYS}/{record['sid']}").json() == renamed
    assert client.get(KEYS).json()["credentials"] == [renamed]
    assert client.request("DELETE", f"{KEYS}/{record['sid']}").status_code == 204
    assert client.get(KEYS).json()["credentials"] == []
    assert refused(client.get(f"{KEYS}/{record['sid']}")) == (404, 20404)


def test_what_is_no_public_key_is_refused(client: Client) -> None:
    private = generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for form in ({}, {"PublicKey": "x"}, {"PublicKey": pem}, {"PublicKey": public_pem(), "FriendlyName": "x" * 65}):
        assert refused(client.request("POST", KEYS, data=form)) == (400, 20001)
    assert client.account.public_keys() == []


@pytest.mark.parametrize("path", SETTINGS)
def test_settings_are_off_until_stored(client: Client, path: str) -> None:
    first = client.get(path).json()
    assert (first["encryption_enabled"], first["encryption_key_sid"]) == (False, None)
    key = client.request("POST", KEYS, data={"PublicKey": public_pem()}).json()["sid"]
    form = {"FriendlyName": "mine", "EncryptionEnabled": "true", "EncryptionKeySid": key}
    stored = client.request("POST", path, data=form)
    assert stored.status_code == 200
    wanted = first | {"friendly_name": "mine", "encryption_enabled": True, "encryption_key_sid": key}
    assert stored.json() == client.get(path).json() == wanted
    other = next(settings for settings in SETTINGS if settings != path)
    assert client.get(other).json()["encryption_enabled"] is False


@pytest.mark.parametrize(
    "form",
    [
        {"EncryptionEnabled": "false"},
        {"FriendlyName": "x", "EncryptionEnabled": "maybe"},
        {"FriendlyName": "x", "EncryptionEnabled": "true"},
        {"FriendlyName": "x", "EncryptionEnabled": "true", "EncryptionKeySid": "CR" + "0" * 32},
    ],
)
def test_settings_that_make_no_sense_are_refused(client: Client, form: dict[str, str]) -> None:
    assert refused(client.request("POST", SETTINGS[0], data=form)) == (400, 20001)
    assert client.get(SETTINGS[0]).json()["friendly_name"] is None
