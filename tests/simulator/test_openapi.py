"""Every answer of the API holds against Twilio's own OpenAPI descriptions, where these lie beside the project."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from tests.simulator.support import START, Client
from twfs.simulator.account import StoredObject, new_sid
from twfs.simulator.samples import sample_account
from twfs.simulator.sealing import throwaway_public_key
from twfs.simulator.server import Simulator

FOLDER = Path(__file__).parents[2].parent / "shared" / "openapi"
KEYS = "/v1/Credentials/PublicKeys"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="Twilio's OpenAPI descriptions are not beside the project")


class Checked:
    """A client that holds every request and answer against the description."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.described = [described(path, client.simulator.url) for path in sorted(FOLDER.glob("*.json"))]

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.client.request(method, path, **arguments)
        sent = requests.Request(method, self.client.simulator.url + path, auth=self.client.api.auth, **arguments)
        request = RequestsOpenAPIRequest(sent)
        accounts, video = self.described
        description = accounts if "/Credentials/" in path else video
        description.validate_request(request)
        description.validate_response(request, RequestsOpenAPIResponse(answer))
        return answer.json() if answer.content else None

    def get(self, path: str, **parameters: Any) -> Any:
        return self.request("GET", path, params=parameters)


def described(path: Path, url: str) -> OpenAPI:
    """One of the descriptions, served at `url`; only the paths the simulator answers."""
    whole = json.loads(path.read_text())
    wanted = ("/v1/Recording", "/v1/Composition", "/v1/Rooms/{RoomSid}/Recordings", KEYS)
    whole["paths"] = {
        name: {**item, "servers": [{"url": url}]} for name, item in whole["paths"].items() if name.startswith(wanted)
    }
    return OpenAPI.from_dict(whole)


@pytest.fixture
def checked(client: Client) -> Checked:
    return Checked(client)


@pytest.fixture
def demo() -> Iterator[Checked]:
    with Simulator(sample_account(throwaway_public_key(), now=START)) as simulator:
        client = Client(simulator)
        yield Checked(client)
        client.close()


def test_the_check_notices_an_answer_that_is_wrong(checked: Checked) -> None:
    sid = checked.client.account.add_recording(None, codec="MP3")
    with pytest.raises(Exception, match="'MP3' is not one of"):
        checked.get(f"/v1/Recordings/{sid}")


@pytest.mark.parametrize("collection", ["Recordings", "Compositions"])
def test_all_of_the_demo(demo: Checked, collection: str) -> None:
    seen = 0
    for status in ("processing", "completed", "deleted", "failed"):
        page = demo.get(f"/v1/{collection}", Status=status, PageSize=2)
        for record in page[collection.lower()]:
            assert demo.get(f"/v1/{collection}/{record['sid']}") == record
            seen += 1
    assert seen >= 2
    assert len(demo.get(f"/v1/{collection}")[collection.lower()]) >= 2


def test_every_filter_and_a_next_page(demo: Checked) -> None:
    record = demo.get("/v1/Recordings", PageSize=1)["recordings"][0]
    room = record["grouping_sids"]["room_sid"]
    page = demo.get("/v1/Recordings", GroupingSid=[room], MediaType="video", PageSize=1)
    following = page["meta"]["next_page_url"].removeprefix(demo.client.simulator.url)
    assert demo.get(following)["recordings"][0]["sid"] != page["recordings"][0]["sid"]
    demo.get("/v1/Recordings", SourceSid=record["source_sid"], DateCreatedAfter="2017-11-01T00:00:00Z")
    demo.get("/v1/Compositions", RoomSid=room, DateCreatedBefore="2017-11-01T00:00:00Z")
    listed = demo.get(f"/v1/Rooms/{room}/Recordings", PageSize=2)
    assert demo.get(f"/v1/Rooms/{room}/Recordings/{record['sid']}") == listed["recordings"][0]


def test_sparse_and_odd_records(checked: Checked) -> None:
    account = checked.client.account
    where = "https://my-bucket.s3.amazonaws.com/path"
    account.add_recording(None, status="failed")
    account.add_recording(StoredObject(b""), container="mka", media_external_location=where)
    account.add_composition(None, status="enqueued", format="webm")
    account.add_composition(StoredObject(b""), media_external_location=where)
    assert len(checked.get("/v1/Recordings")["recordings"]) == 2
    assert len(checked.get("/v1/Compositions")["compositions"]) == 2


def test_deletion(checked: Checked) -> None:
    sid = checked.client.account.add_recording(StoredObject(b"x"))
    assert checked.request("DELETE", f"/v1/Recordings/{sid}") is None
    composition = checked.client.account.add_composition(StoredObject(b"x"))
    assert checked.request("DELETE", f"/v1/Compositions/{composition}") is None
    assert checked.get(f"/v1/Compositions/{composition}")["status"] == "deleted"


def test_keys_and_settings(checked: Checked) -> None:
    pem = throwaway_public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    sid = checked.request("POST", KEYS, data={"PublicKey": pem, "FriendlyName": "mine"})["sid"]
    checked.request("POST", f"{KEYS}/{sid}", data={"FriendlyName": "ours"})
    assert checked.get(f"{KEYS}/{sid}") == checked.get(KEYS)["credentials"][0]
    for kind in ("Recording", "Composition"):
        path = f"/v1/{kind}Settings/Default"
        checked.get(path)
        form = {"FriendlyName": "x", "EncryptionEnabled": "true", "EncryptionKeySid": sid}
        assert checked.request("POST", path, data=form)["encryption_enabled"] is True
        form = {
            "FriendlyName": "x",
            "AwsStorageEnabled": "true",
            "AwsS3Url": "https://b/c",
            "AwsCredentialsSid": new_sid("CR"),
        }
        assert checked.request("POST", path, data=form)["aws_storage_enabled"] is True
    assert checked.request("DELETE", f"{KEYS}/{sid}") is None
