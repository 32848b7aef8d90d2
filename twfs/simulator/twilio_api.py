"""What `video.twilio.com` and `accounts.twilio.com` answer, for the resources that matter to stored media."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from uuid import uuid4

from twfs.resources import Kind
from twfs.simulator.account import PublicKey, SimulatedAccount, SimulatedMedium, index_of, new_sid
from twfs.simulator.exchange import Answer, Request
from twfs.simulator.listing import BadParameter, Listing, media_filter, whole
from twfs.simulator.records import (
    COLLECTION,
    SETTINGS,
    Json,
    medium_record,
    public_key_record,
    room_recording_record,
    settings_record,
)
from twfs.simulator.s3 import Bucket
from twfs.simulator.sealing import is_public_key_pem

_MORE_INFO = "https://www.twilio.com/docs/errors/"
_BAD_PARAMETER = 20001
_TTL = 600
_LONGEST_TTL = 3600
_LARGEST_PAGE = 100
_LARGEST_OTHER_PAGE = 1000
_SETTING_FIELDS = {
    "FriendlyName": "friendly_name",
    "AwsCredentialsSid": "aws_credentials_sid",
    "AwsS3Url": "aws_s3_url",
    "EncryptionKeySid": "encryption_key_sid",
}
_SETTING_SWITCHES = {"AwsStorageEnabled": "aws_storage_enabled", "EncryptionEnabled": "encryption_enabled"}

Handler = Callable[[Request, "re.Match[str]"], Answer]


class NoSuchResource(Exception):
    """Nothing is at that address (404)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request the API knows."""

    kind: str
    method: str
    path: re.Pattern[str]
    handle: Handler


def error(status: int, code: int, message: str) -> Answer:
    """Twilio's JSON error."""
    body = {"code": code, "message": message, "more_info": f"{_MORE_INFO}{code}", "status": status}
    return _json(status, body)


class TwilioApi:
    """The resources of one account. May be used from several threads."""

    def __init__(self, account: SimulatedAccount, bucket: Bucket, url_ttl: int | None) -> None:
        """`/Media` leads into `bucket`, by URLs that live `url_ttl` seconds, or what the request asks for."""
        self._account = account
        self._bucket = bucket
        self._url_ttl = url_ttl
        self.base_url = ""
        """Where this API is reached; known once the server listens."""
        self._routes = self._table()

    def kind(self, request: Request) -> str:
        """What the request is about: `api.list`, `api.fetch`, …; `api.unknown` if nothing that exists."""
        found = self._match(request)
        return found[0].kind if found else "api.unknown"

    def answer(self, request: Request) -> Answer:
        """What Twilio answers."""
        if not self._authorized(request.headers.get("authorization", "")):
            refused = error(401, 20003, "Authenticate")
            return replace(refused, headers={**refused.headers, "WWW-Authenticate": 'Basic realm="Twilio API"'})
        found = self._match(request)
        if found is None:
            return self._unknown(request)
        try:
            return found[0].handle(request, found[1])
        except NoSuchResource:
            return _absent(request)
        except BadParameter as bad:
            return error(400, _BAD_PARAMETER, str(bad))

    def _table(self) -> list[Route]:
        routes: list[Route] = []

        def add(kind: str, method: str, path: str, handle: Handler) -> None:
            routes.append(Route(kind, method, re.compile(path), handle))

        for kind in Kind:
            name, sid = COLLECTION[kind], rf"(?P<sid>{kind.sid_prefix}[0-9a-fA-F]{{32}})"
            prefix = "/v1" if kind is Kind.COMPOSITION else r"/v1(?:/Rooms/(?P<room>RM[0-9a-fA-F]{32}))?"
            add("api.list", "GET", rf"{prefix}/{name}", self._lister(kind))
            add("api.fetch", "GET", rf"{prefix}/{name}/{sid}", self._fetch)
            add("api.delete", "DELETE", rf"{prefix}/{name}/{sid}", self._delete)
            add("api.media", "GET", rf"{prefix}/{name}/{sid}/Media/?", self._media)
            add("api.settings", "GET", f"/v1/{SETTINGS[kind]}/Default", self._settings_reader(kind))
            add("api.settings", "POST", f"/v1/{SETTINGS[kind]}/Default", self._settings_writer(kind))
        keys = "/v1/Credentials/PublicKeys"
        add("api.keys", "GET", keys, self._list_keys)
        add("api.keys", "POST", keys, self._create_key)
        add("api.keys", "GET", rf"{keys}/(?P<sid>CR[0-9a-fA-F]{{32}})", self._fetch_key)
        add("api.keys", "POST", rf"{keys}/(?P<sid>CR[0-9a-fA-F]{{32}})", self._rename_key)
        add("api.keys", "DELETE", rf"{keys}/(?P<sid>CR[0-9a-fA-F]{{32}})", self._delete_key)
        return routes

    def _match(self, request: Request) -> tuple[Route, re.Match[str]] | None:
        for route in self._routes:
            match = route.path.fullmatch(request.path)
            if match is not None and route.method == request.method:
                return route, match
        return None

    def _authorized(self, header: str) -> bool:
        scheme, _, encoded = header.partition(" ")
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        user, _, password = text.partition(":")
        return scheme.lower() == "basic" and self._account.authorizes(user, password)

    def _unknown(self, request: Request) -> Answer:
        if any(route.path.fullmatch(request.path) for route in self._routes):
            return error(405, 20004, "Method not allowed")
        return _absent(request)

    def _lister(self, kind: Kind) -> Handler:
        def handle(request: Request, match: re.Match[str]) -> Answer:
            room = match.groupdict().get("room")
            page = self._listing(kind, room, request).page(request.query)
            return _json(200, {kind.value: [self._record(medium, room) for medium in page.items], "meta": page.meta})

        return handle

    def _listing(self, kind: Kind, room: str | None, request: Request) -> Listing[SimulatedMedium]:
        media = self._account.media(kind)
        wanted = media_filter(kind, request.query)

        def index(sid: str) -> int | None:
            medium = self._account.find(sid)
            return index_of(media, medium) if medium is not None and medium.kind is kind else None

        return Listing(
            key=kind.value,
            url=f"{self.base_url}{request.path}",
            items=media,
            sid_of=attrgetter("sid"),
            index_of=index,
            wanted=lambda medium: wanted(medium) and room in (None, medium.room_sid),
            largest_page=_LARGEST_PAGE if room is None else _LARGEST_OTHER_PAGE,
        )

    def _record(self, medium: SimulatedMedium, room: str | None) -> Json:
        write = medium_record if room is None else room_recording_record
        return write(medium, self._account.account_sid, self.base_url)

    def _medium(self, match: re.Match[str]) -> SimulatedMedium:
        medium = self._account.find(match["sid"])
        room = match.groupdict().get("room")
        if medium is None or (room is not None and medium.room_sid != room):
            raise NoSuchResource
        return medium

    def _fetch(self, _request: Request, match: re.Match[str]) -> Answer:
        return _json(200, self._record(self._medium(match), match.groupdict().get("room")))

    def _delete(self, _request: Request, match: re.Match[str]) -> Answer:
        medium = self._medium(match)
        if medium.status == "deleted":
            raise NoSuchResource
        self._account.delete(medium.sid)
        return _json(204, None)

    def _media(self, request: Request, match: re.Match[str]) -> Answer:
        medium = self._medium(match)
        ttl = whole("Ttl", request.parameters.get("Ttl", str(_TTL)), 1, _LONGEST_TTL)
        disposition = request.parameters.get("ContentDisposition")
        if disposition not in (None, "attachment", "inline"):
            raise BadParameter("ContentDisposition must be attachment or inline")
        if not medium.has_media:
            raise NoSuchResource
        ttl = ttl if self._url_ttl is None else self._url_ttl
        named = f'{disposition}; filename="{medium.sid}.{medium.container}"' if disposition else None
        url = self._bucket.signed_url(medium, ttl, named)
        answer = _json(302, {"redirect_to": url})
        return replace(answer, headers={**answer.headers, "Location": url})

    def _settings_reader(self, kind: Kind) -> Handler:
        def handle(_request: Request, _match: re.Match[str]) -> Answer:
            stored = self._account.settings(kind)
            return _json(200, settings_record(kind, stored, self._account.account_sid, self.base_url))

        return handle

    def _settings_writer(self, kind: Kind) -> Handler:
        read = self._settings_reader(kind)

        def handle(request: Request, match: re.Match[str]) -> Answer:
            self._account.store_settings(kind, self._parsed_settings(request.form))
            return read(request, match)

        return handle

    def _parsed_settings(self, form: dict[str, str]) -> Json:
        if not form.get("FriendlyName"):
            raise BadParameter("FriendlyName is required")
        settings: Json = {field: form[name] for name, field in _SETTING_FIELDS.items() if name in form}
        settings |= {field: _switch(name, form[name]) for name, field in _SETTING_SWITCHES.items() if name in form}
        key_sid = form.get("EncryptionKeySid")
        if key_sid is not None and self._account.find_public_key(key_sid) is None:
            raise BadParameter("EncryptionKeySid is no public key of this account")
        if settings.get("encryption_enabled") and key_sid is None:
            raise BadParameter("EncryptionEnabled needs EncryptionKeySid")
        return settings

    def _list_keys(self, request: Request, _match: re.Match[str]) -> Answer:
        keys = self._account.public_keys()
        places = {key.sid: index for index, key in enumerate(keys)}
        listing = Listing(
            key="credentials",
            url=f"{self.base_url}{request.path}",
            items=keys,
            sid_of=attrgetter("sid"),
            index_of=places.get,
            wanted=lambda _key: True,
            largest_page=_LARGEST_OTHER_PAGE,
        )
        page = listing.page(request.query)
        return _json(200, {"credentials": [self._key_record(key) for key in page.items], "meta": page.meta})

    def _create_key(self, request: Request, _match: re.Match[str]) -> Answer:
        pem = request.form.get("PublicKey", "")
        if not is_public_key_pem(pem):
            raise BadParameter("PublicKey is no RSA public key in PEM form")
        now = self._account.now()
        key = PublicKey(new_sid("CR"), _friendly_name(request), pem, now, now)
        self._account.put_public_key(key)
        return _json(201, self._key_record(key))

    def _fetch_key(self, _request: Request, match: re.Match[str]) -> Answer:
        return _json(200, self._key_record(self._key(match)))

    def _rename_key(self, request: Request, match: re.Match[str]) -> Answer:
        key = self._key(match)
        key = replace(key, friendly_name=_friendly_name(request), date_updated=self._account.now())
        self._account.put_public_key(key)
        return _json(200, self._key_record(key))

    def _delete_key(self, _request: Request, match: re.Match[str]) -> Answer:
        self._account.drop_public_key(self._key(match).sid)
        return _json(204, None)

    def _key(self, match: re.Match[str]) -> PublicKey:
        key = self._account.find_public_key(match["sid"])
        if key is None:
            raise NoSuchResource
        return key

    def _key_record(self, key: PublicKey) -> Json:
        return public_key_record(key, self._account.account_sid, self.base_url)


def _json(status: int, body: Json | None) -> Answer:
    """An answer with the request id that Twilio's support asks for."""
    headers = {"Content-Type": "application/json", "Twilio-Request-Id": f"RQ{uuid4().hex}"}
    return Answer(status, headers, b"" if body is None else json.dumps(body).encode())


def _absent(request: Request) -> Answer:
    return error(404, 20404, f"The requested resource {request.path} was not found")


def _switch(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadParameter(f"{name} must be true or false")
    return text.lower() == "true"


def _friendly_name(request: Request) -> str:
    name = request.form.get("FriendlyName", "")
    if len(name) > 64:
        raise BadParameter("FriendlyName must not be longer than 64 characters")
    return name
