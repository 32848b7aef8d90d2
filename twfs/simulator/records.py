"""How the API writes its resources as JSON; field names and nullability: Twilio's OpenAPI descriptions."""

from collections.abc import Mapping
from datetime import datetime

from twfs.resources import Kind
from twfs.simulator.account import PublicKey, SimulatedMedium

Json = dict[str, object]

COLLECTION = {Kind.RECORDING: "Recordings", Kind.COMPOSITION: "Compositions"}
SETTINGS = {Kind.RECORDING: "RecordingSettings", Kind.COMPOSITION: "CompositionSettings"}


def medium_record(medium: SimulatedMedium, account_sid: str, base_url: str) -> Json:
    """A recording or a composition."""
    url = f"{base_url}/v1/{COLLECTION[medium.kind]}/{medium.sid}"
    common: Json = {
        "account_sid": account_sid,
        "sid": medium.sid,
        "status": medium.status,
        "date_created": moment(medium.date_created),
        "size": medium.size,
        "duration": medium.duration,
        "media_external_location": medium.media_external_location,
        "status_callback": None,
        "status_callback_method": "POST",
        "url": url,
        "links": {"media": f"{url}/Media"},
    }
    return common | (_of_recording(medium) if medium.kind is Kind.RECORDING else _of_composition(medium))


def room_recording_record(medium: SimulatedMedium, account_sid: str, base_url: str) -> Json:
    """A recording as its room lists it."""
    record = medium_record(medium, account_sid, base_url)
    url = f"{base_url}/v1/Rooms/{medium.room_sid}/Recordings/{medium.sid}"
    del record["status_callback"], record["status_callback_method"]
    return record | {"room_sid": medium.room_sid, "url": url, "links": {"media": f"{url}/Media"}}


def public_key_record(key: PublicKey, account_sid: str, base_url: str) -> Json:
    """A public key; the key itself is never told."""
    return {
        "sid": key.sid,
        "account_sid": account_sid,
        "friendly_name": key.friendly_name,
        "date_created": moment(key.date_created),
        "date_updated": moment(key.date_updated),
        "url": f"{base_url}/v1/Credentials/PublicKeys/{key.sid}",
    }


def settings_record(kind: Kind, stored: Mapping[str, object], account_sid: str, base_url: str) -> Json:
    """The settings of that kind; what was never stored has its default."""
    return {
        "account_sid": account_sid,
        "friendly_name": None,
        "aws_credentials_sid": None,
        "aws_s3_url": None,
        "aws_storage_enabled": False,
        "encryption_key_sid": None,
        "encryption_enabled": False,
        "url": f"{base_url}/v1/{SETTINGS[kind]}/Default",
        **stored,
    }


def moment(value: datetime | None) -> str | None:
    """ISO 8601 in whole seconds, `Z`."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_recording(medium: SimulatedMedium) -> Json:
    return {
        "source_sid": medium.source_sid,
        "type": medium.type,
        "container_format": medium.container,
        "codec": medium.codec,
        "grouping_sids": {"room_sid": medium.room_sid, "participant_sid": medium.participant_sid},
        "track_name": medium.track_name,
        "offset": medium.offset,
    }


def _of_composition(medium: SimulatedMedium) -> Json:
    return {
        "date_completed": moment(medium.date_completed),
        "date_deleted": moment(medium.date_deleted),
        "room_sid": medium.room_sid,
        "audio_sources": ["*"],
        "audio_sources_excluded": [],
        "video_layout": {"grid": {"video_sources": ["*"]}},
        "resolution": "640x480",
        "trim": True,
        "format": medium.container,
        "bitrate": 0 if not medium.size else medium.size * 8 // (1000 * max(medium.duration, 1)),
    }
