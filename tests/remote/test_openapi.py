"""Every request that reads or changes keys and settings holds against Twilio's own OpenAPI descriptions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest

from tests.remote.account_rig import KEYS, PEM, AccountRig, running_account_rig
from tests.simulator.test_openapi import FOLDER, described
from twfs.clock import Deadline
from twfs.remote.http import Answer, HttpPool
from twfs.remote.settings import StorageSettings
from twfs.resources import Kind
from twfs.simulator.account import new_sid

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="Twilio's OpenAPI descriptions are not beside the project")


class DescribedPool(HttpPool):
    """Holds each request against its description before it is sent."""

    checked = 0

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        parts = urlsplit(url)
        description = accounts_or_video(parts.path, f"{parts.scheme}://{parts.netloc}")
        asked = requests.Request(method, url, auth=("SK", "secret"), params=params, data=form)
        description.validate_request(RequestsOpenAPIRequest(asked))
        type(self).checked += 1
        return super().request(method, url, headers, deadline, params=params, form=form)


def accounts_or_video(path: str, url: str) -> OpenAPI:
    name = "twilio_accounts_v1.json" if path.startswith(KEYS) else "twilio_video_v1.json"
    return described(Path(FOLDER) / name, url)


def everything(rig: AccountRig) -> int:
    """Use each method; the requests it takes."""
    key = rig.keys.create(PEM, "mine")
    rig.keys.list()
    rig.keys.fetch(key.sid)
    for kind in Kind:
        kept: dict[str, Any] = {
            "aws_storage_enabled": True,
            "aws_s3_url": "https://b/c",
            "aws_credentials_sid": new_sid("CR"),
        }
        rig.account.store_settings(kind, kept)
        enabled = rig.settings.store(kind, rig.settings.fetch(kind).encrypted_for(key.sid))
        rig.settings.store(kind, enabled.unencrypted())
        rig.settings.store(kind, StorageSettings())
    rig.keys.delete(key.sid)
    return 4 + 2 * 7


def test_every_request_is_as_described() -> None:
    with running_account_rig(pool=DescribedPool) as rig:
        DescribedPool.checked = 0
        count = everything(rig)
        assert DescribedPool.checked == rig.simulator.count("api") == count


def test_the_check_notices_a_request_that_is_wrong() -> None:
    with running_account_rig(pool=DescribedPool) as rig:
        with pytest.raises(Exception, match="Request body validation error"):
            rig.settings.store(Kind.RECORDING, StorageSettings().encrypted_for("CR1"))
        assert rig.simulator.count("api") == 0
