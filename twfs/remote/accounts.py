"""Public keys that Twilio may encrypt for: `/v1/Credentials/PublicKeys` of the Accounts API.

Facts (fields, nullability, lengths): Twilio's OpenAPI description of Accounts v1. The key itself is never returned.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from twfs.errors import ConfigError, RemoteError
from twfs.remote.rest import OutcomeUnknown, RestApi
from twfs.resources import is_sid, is_text

LONGEST_NAME = 64
"""Characters of a FriendlyName."""

_PAGE_SIZE = 1000
"""The largest that the API takes."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A public key as Twilio lists it."""

    sid: str
    friendly_name: str | None = None
    date_created: str | None = None
    """As Twilio writes it: its description says RFC 2822, its examples are ISO 8601."""


class PublicKeys:
    """The public keys of one account."""

    def __init__(self, api: RestApi, accounts_url: str) -> None:
        """`accounts_url` without a trailing slash."""
        self._api = api
        self._url = f"{accounts_url}/v1/Credentials/PublicKeys"

    def list(self) -> list[StoredKey]:
        """All of them, in Twilio's order.

        Raises:
            RemoteError, CredentialsRefused: see `RestApi.records`.
        """
        return [_stored_key(record) for record in self._api.records(f"{self._url}?PageSize={_PAGE_SIZE}")]

    def fetch(self, sid: str) -> StoredKey:
        """One of them.

        Raises:
            ConfigError: `sid` is no SID of a public key.
            RemoteError, CredentialsRefused: see `RestApi.resource`.
        """
        return _stored_key(self._api.resource(self._at(sid)))

    def create(self, pem: str, friendly_name: str) -> StoredKey:
        """Store a public key, in PEM as SubjectPublicKeyInfo, under a name for people.

        Raises:
            ConfigError: the name is empty, longer than `LONGEST_NAME`, or was no UTF-8.
            OutcomeUnknown: there may be a new key, or not; also where Twilio's answer does not name it.
            RemoteError, CredentialsRefused: see `RestApi.create_or_change`.
        """
        if not 0 < len(friendly_name) <= LONGEST_NAME:
            raise ConfigError(f"the name has {len(friendly_name)} characters; it must have 1 to {LONGEST_NAME}")
        if not is_text(friendly_name):
            raise ConfigError("the name is no UTF-8; type it in a terminal of that encoding")
        record = self._api.create_or_change(self._url, {"FriendlyName": friendly_name, "PublicKey": pem})
        try:
            return _stored_key(record)
        except RemoteError as error:
            raise OutcomeUnknown(f"{error}, in answer to a new one") from None

    def delete(self, sid: str) -> None:
        """Delete one of them.

        Raises:
            ConfigError: `sid` is no SID of a public key.
            RemoteError, CredentialsRefused: see `RestApi.remove`.
        """
        self._api.remove(self._at(sid))

    def _at(self, sid: str) -> str:
        return f"{self._url}/{checked_key_sid(sid)}"


def checked_key_sid(text: str) -> str:
    """The SID of a public key.

    Raises:
        ConfigError: it is none.
    """
    if not is_sid(text, "CR"):
        raise ConfigError(f"{text!r} is no SID of a public key; it must be CR and 32 hexadecimal digits")
    return text


def _stored_key(record: object) -> StoredKey:
    sid = record.get("sid") if isinstance(record, Mapping) else None
    if not isinstance(record, Mapping) or not isinstance(sid, str) or not is_sid(sid, "CR"):
        raise RemoteError("Twilio's record of a public key has no valid SID")
    return StoredKey(sid, *(_text(record.get(name)) for name in ("friendly_name", "date_created")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
