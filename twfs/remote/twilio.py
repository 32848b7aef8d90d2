"""An account's recordings and compositions in Twilio's REST API, and where the media of one are to be had.

Facts (the forms of the /Media redirect, filters): Twilio's OpenAPI description and documentation.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from twfs.clock import Deadline
from twfs.errors import MediaAbsent, NotFound, Unreachable
from twfs.log import log
from twfs.remote.hosts import joined
from twfs.remote.rest import LARGEST_ERROR, RestApi
from twfs.remote.retry import retrying
from twfs.remote.untrusted_json import parsed
from twfs.resources import Kind, ListFilter, Page

_PATHS = {Kind.RECORDING: "Recordings", Kind.COMPOSITION: "Compositions"}
_SETTINGS = {Kind.RECORDING: "RecordingSettings", Kind.COMPOSITION: "CompositionSettings"}
_PAGE_SIZE = 100
"""The largest that the API takes."""

_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_URL = 16 * 2**10
"""Of the media, of which thousands are kept: a signed one has 1 to 2 KB."""

_URL_SECONDS = 3600
"""The longest life of a pre-signed URL that /Media grants (`Ttl`)."""


class TwilioApi(RestApi):
    """One account's media, through the REST API. Safe for use by several threads."""

    def pages(self, kind: Kind, wanted: ListFilter, place: str | None = None) -> Iterator[Page]:
        """The list of one kind, as pages of raw records, each asked for when it is wanted.

        Args:
            kind: whose list.
            wanted: which part of it.
            place: `following` of an earlier page of this list: where to go on.

        Raises:
            RemoteError: a page did not come, or is not what it should be; at the first one, if it is no `Unreachable`,
                that this place is refused.
            CredentialsRefused: 401 or 403.
        """
        return self._pages(f"{self._base_url}/v1/{_PATHS[kind]}", _list_params(kind, wanted), place)

    def fetch(self, kind: Kind, sid: str, deadline: Deadline | None = None) -> object:
        """One raw record; without a `deadline` within `timeout`.

        Raises:
            NotFound: there is none.
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403.
        """
        return self._json(f"{self._base_url}/v1/{_PATHS[kind]}/{sid}", None, deadline or self._deadline())

    def delete(self, kind: Kind, sid: str, deadline: Deadline) -> None:
        """Delete a medium; that it is gone already (404) is as good. Once more does no more than once: it is retried.

        Raises:
            RemoteError: any answer but 204 and Twilio's 404, or none; then it may be gone or not.
            CredentialsRefused: 401 or 403.
        """
        url = f"{self._base_url}/v1/{_PATHS[kind]}/{sid}"
        try:
            retrying(lambda: self._delete_once(url, deadline), deadline)
        except NotFound:
            log.debug("%s: it was gone already", url)

    def media_url(self, kind: Kind, sid: str, deadline: Deadline) -> str:
        """A pre-signed URL of the media, not checked yet. Asked for once: who reads the media tries again as a whole.

        Raises:
            MediaAbsent: Twilio has no media for it (404).
            RemoteError: no usable answer; Unreachable: another attempt may bring one.
            CredentialsRefused: 401 or 403.
        """
        # Twilio's own libraries need the form with the slash to work too; without it is the documented one.
        url = f"{self._base_url}/v1/{_PATHS[kind]}/{sid}/Media"
        params = {"Ttl": str(_URL_SECONDS)}
        try:
            return self._place_of_media(url, params, deadline)
        except NotFound as error:
            raise MediaAbsent(f"{sid}: Twilio has no media for it") from error

    def encrypts(self, kind: Kind, deadline: Deadline) -> bool:
        """Whether the account's settings have new media of that kind encrypted.

        Raises:
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403, which credentials that may read media may get nevertheless.
        """
        settings = self._json(f"{self._base_url}/v1/{_SETTINGS[kind]}/Default", None, deadline)
        return isinstance(settings, Mapping) and settings.get("encryption_enabled") is True

    def _place_of_media(self, url: str, params: Mapping[str, str], deadline: Deadline) -> str:
        with self._ask(url, params, deadline, expected=(200, *_REDIRECTS)) as answer:
            # Read in any case: a connection whose answer was not read to its end cannot be used again.
            body = answer.read_bounded(LARGEST_ERROR, deadline)
            location = answer.headers.get("Location") or _redirect_to(body)
        if location is None or len(location) > _LONGEST_URL:
            raise Unreachable(f"{url}: the answer names no place of the media")
        return joined(url, location)

    def _delete_once(self, url: str, deadline: Deadline) -> None:
        with self._ask(url, None, deadline, expected=(204,), method="DELETE") as answer:
            answer.read_bounded(LARGEST_ERROR, deadline)


def _list_params(kind: Kind, wanted: ListFilter) -> dict[str, str]:
    params = {"PageSize": str(_PAGE_SIZE)}
    if wanted.created_after is not None:
        params["DateCreatedAfter"] = _iso(wanted.created_after)
    if wanted.created_before is not None:
        params["DateCreatedBefore"] = _iso(wanted.created_before)
    if wanted.room_sid is not None:
        params["GroupingSid" if kind is Kind.RECORDING else "RoomSid"] = wanted.room_sid
    return params


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _redirect_to(body: bytes) -> str | None:
    """`redirect_to` of /Media's answer, for where a proxy or library has taken the header away."""
    try:
        content = parsed(body)
    except ValueError:
        return None
    location = content.get("redirect_to") if isinstance(content, Mapping) else None
    return location if isinstance(location, str) and location else None
