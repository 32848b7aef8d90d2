"""How Twilio stores new recordings and compositions: `/v1/RecordingSettings/Default` and that of compositions.

Facts (fields, nullability, that FriendlyName is required): Twilio's OpenAPI description of Video v1. Whether a POST
without a field keeps it or resets it is nowhere said, so every field is sent as it was.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from twfs.errors import ConfigError, RemoteError
from twfs.remote.rest import OutcomeUnknown, RestApi
from twfs.resources import Kind

_PATHS = {Kind.RECORDING: "RecordingSettings", Kind.COMPOSITION: "CompositionSettings"}
_DEFAULT_NAME = {Kind.RECORDING: "Recordings", Kind.COMPOSITION: "Compositions"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The settings of one kind of media. They act on media created afterwards only."""

    friendly_name: str | None = None
    encryption_enabled: bool = False
    encryption_key_sid: str | None = None
    aws_storage_enabled: bool = False
    aws_s3_url: str | None = None
    aws_credentials_sid: str | None = None

    def encrypted_for(self, key_sid: str) -> "StorageSettings":
        """The same, encrypting for that public key."""
        return replace(self, encryption_enabled=True, encryption_key_sid=key_sid)

    def unencrypted(self) -> "StorageSettings":
        """The same without encryption. No key is named: one that was deleted meanwhile must not stand in the way."""
        return replace(self, encryption_enabled=False, encryption_key_sid=None)

    @property
    def effect(self) -> "StorageSettings":
        """What decides how media are stored: without the name, and without a key that is not used."""
        key_sid = self.encryption_key_sid if self.encryption_enabled else None
        return replace(self, friendly_name=None, encryption_key_sid=key_sid)


class EncryptionSettings:
    """Reads and writes the settings of one account."""

    def __init__(self, api: RestApi, api_url: str, account_sid: str) -> None:
        """`api_url` is the Video API's, without a trailing slash; `account_sid` the account that is meant."""
        self._api = api
        self._api_url = api_url
        self._account_sid = account_sid

    def fetch(self, kind: Kind) -> StorageSettings:
        """As they are now.

        Raises:
            ConfigError: they are another account's: no URL names one, whose settings they are the credentials decide.
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403.
        """
        record = self._api.resource(self._at(kind))
        account_sid = record.get("account_sid")
        if isinstance(account_sid, str) and account_sid.lower() != self._account_sid.lower():
            raise ConfigError(
                f"the credentials are for the account {account_sid[:34]}, not {self._account_sid}; "
                "give an API key that belongs to that account itself"
            )
        return _parsed(record)

    def store(self, kind: Kind, wanted: StorageSettings) -> StorageSettings:
        """Set them all, and read them back; where no answer told whether they were set, reading back tells.

        Twilio knows no condition on a POST: what somebody else changes between a `fetch` and this is lost.

        Raises:
            OutcomeUnknown: it cannot be told whether they were set.
            ConfigError: as `fetch`.
            RemoteError: they were not set, or read back they are others.
            CredentialsRefused: 401 or 403.
        """
        unknown = None
        try:
            self._api.create_or_change(self._at(kind), _form(kind, wanted))
        except OutcomeUnknown as error:
            unknown = error
        found = self._read_back(kind, unknown)
        if found.effect == wanted.effect:
            return found
        raise unknown or RemoteError(f"Twilio took the settings of {kind}, but read back they are: {_words(found)}")

    def _read_back(self, kind: Kind, unknown: OutcomeUnknown | None) -> StorageSettings:
        try:
            return self.fetch(kind)
        except RemoteError as error:
            raise unknown or OutcomeUnknown(f"{error}; the settings were sent, but cannot be read back") from error

    def _at(self, kind: Kind) -> str:
        return f"{self._api_url}/v1/{_PATHS[kind]}/Default"


def _parsed(record: Mapping[str, object]) -> StorageSettings:
    """A record of settings; null is the default, and so is the empty text.

    Raises:
        RemoteError: a field is missing, or not what it should be. It would be sent back, so it cannot be passed over;
            and of an object that is no record of settings nobody may conclude that nothing is encrypted.
    """
    return StorageSettings(
        friendly_name=_field(record, "friendly_name", str, None),
        encryption_enabled=_field(record, "encryption_enabled", bool, False),  # noqa: FBT003  (the default)
        encryption_key_sid=_field(record, "encryption_key_sid", str, None),
        aws_storage_enabled=_field(record, "aws_storage_enabled", bool, False),  # noqa: FBT003  (the default)
        aws_s3_url=_field(record, "aws_s3_url", str, None),
        aws_credentials_sid=_field(record, "aws_credentials_sid", str, None),
    )


def _field(record: Mapping[str, object], name: str, kind: type, default: T) -> T:
    if name not in record:
        raise RemoteError(f"Twilio's answer is no settings: it has no {name}; is a proxy in between?")
    value = record[name]
    if value in (None, ""):
        return default
    if not isinstance(value, kind):
        raise RemoteError(f"Twilio's settings have a {name} that is none")
    return value  # type: ignore[return-value]  # `kind` is the default's, or str where that is None


def _form(kind: Kind, wanted: StorageSettings) -> dict[str, str]:
    """All fields that have a value. An empty one would not do: SIDs and URLs have no empty form."""
    fields = {
        "FriendlyName": wanted.friendly_name or _DEFAULT_NAME[kind],
        "EncryptionEnabled": _switch(wanted.encryption_enabled),
        "EncryptionKeySid": wanted.encryption_key_sid,
        "AwsStorageEnabled": _switch(wanted.aws_storage_enabled),
        "AwsS3Url": wanted.aws_s3_url,
        "AwsCredentialsSid": wanted.aws_credentials_sid,
    }
    return {name: value for name, value in fields.items() if value}


def _switch(value: object) -> str:
    return "true" if value else "false"


def _words(settings: StorageSettings) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(settings).items())
