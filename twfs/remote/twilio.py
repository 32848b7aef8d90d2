"""Twilio's REST API: lists, single resources, and where the media of one are to be had.

Facts (paging, quota, error bodies, the forms of the /Media redirect): Twilio's OpenAPI description and documentation.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from twfs.clock import Clock, Deadline
from twfs.errors import CredentialsRefused, MediaAbsent, NotFound, RemoteError, Unreachable
from twfs.log import log
from twfs.remote.hosts import check_same_host, joined
from twfs.remote.http import Answer, HttpPool, without_query
from twfs.remote.retry import RateLimit, Transient, retry_after, retrying
from twfs.resources import Kind, ListFilter

_PATHS = {Kind.RECORDING: "Recordings", Kind.COMPOSITION: "Compositions"}
_PAGE_SIZE = 100
"""The largest that the API takes."""

_LARGEST_ANSWER = 8 * 2**20
"""A page of 100 records has about 100 KiB; more than this is no page."""

_LARGEST_ERROR = 64 * 2**10
_MOST_PAGES = 100_000
"""Ten million media: a list that is longer never ends."""

_REDIRECTS = (301, 302, 303, 307, 308)
_URL_SECONDS = 3600
"""The longest life of a pre-signed URL that /Media grants (`Ttl`)."""

_QUOTA_PAUSE = 1.0
"""Seconds that all requests pause after a 429: the quota is counted per second."""

_LONGEST_QUOTA_PAUSE = 60.0
"""A longer Retry-After is honoured so far: nothing undocumented may silence the account for days."""


class TwilioApi:
    """One account, through the REST API. Safe for use by several threads."""

    def __init__(self, http: HttpPool, base_url: str, limit: RateLimit, clock: Clock, timeout: float) -> None:
        """`http` carries the account's credentials; `timeout` (s) bounds each request, retries included."""
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._limit = limit
        self._clock = clock
        self._timeout = timeout

    def pages(self, kind: Kind, wanted: ListFilter) -> Iterator[list[object]]:
        """The list of one kind, as pages of raw records, each asked for when it is wanted.

        Raises:
            RemoteError: a page did not come, or is not what it should be.
            CredentialsRefused: 401 or 403.
        """
        url: str | None = f"{self._base_url}/v1/{_PATHS[kind]}"
        params: Mapping[str, str] | None = _list_params(kind, wanted)
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= _MOST_PAGES:
                raise Unreachable(f"the list of {kind} never ends")
            seen.add(url)
            page = self._json(url, params, self._deadline())
            records, following = _page_content(page, url)
            if following is not None:
                check_same_host(following, self._base_url)
            yield records
            url, params = following, None

    def fetch(self, kind: Kind, sid: str) -> object:
        """One raw record.

        Raises:
            NotFound: there is none.
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403.
        """
        return self._json(f"{self._base_url}/v1/{_PATHS[kind]}/{sid}", None, self._deadline())

    def delete(self, kind: Kind, sid: str, deadline: Deadline) -> None:
        """Delete a medium; that it is gone already (404) is as good. Once more does no more than once: it is retried.

        Raises:
            RemoteError: any answer but 204 and 404, or none; then it may be gone or not.
            CredentialsRefused: 401 or 403.
        """
        url = f"{self._base_url}/v1/{_PATHS[kind]}/{sid}"
        try:
            retrying(lambda: self._delete_once(url, deadline), deadline)
        except NotFound:
            log.debug("%s: it was gone already", url)

    def media_url(self, kind: Kind, sid: str, deadline: Deadline) -> str:
        """A pre-signed URL of the media, not checked yet.

        Raises:
            MediaAbsent: Twilio has no media for it (404).
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403.
        """
        # Twilio's own libraries need the form with the slash to work too; without it is the documented one.
        url = f"{self._base_url}/v1/{_PATHS[kind]}/{sid}/Media"
        params = {"Ttl": str(_URL_SECONDS)}
        try:
            return retrying(lambda: self._media_url_once(url, params, deadline), deadline)
        except NotFound as error:
            raise MediaAbsent(f"{sid}: Twilio has no media for it") from error

    def _media_url_once(self, url: str, params: Mapping[str, str], deadline: Deadline) -> str:
        with self._ask(url, params, deadline, expected=(200, *_REDIRECTS)) as answer:
            # Read in any case: a connection whose answer was not read to its end cannot be used again.
            body = answer.read_bounded(_LARGEST_ERROR, deadline)
            location = answer.headers.get("Location") or _redirect_to(body)
        if location is None:
            raise Unreachable(f"{url}: the answer names no place of the media")
        return joined(url, location)

    def _delete_once(self, url: str, deadline: Deadline) -> None:
        with self._ask(url, None, deadline, expected=(204,), method="DELETE") as answer:
            answer.read_bounded(_LARGEST_ERROR, deadline)

    def _json(self, url: str, params: Mapping[str, str] | None, deadline: Deadline) -> object:
        def once() -> object:
            with self._ask(url, params, deadline, expected=(200,)) as answer:
                return _parse(answer, url, deadline)

        return retrying(once, deadline)

    def _ask(
        self,
        url: str,
        params: Mapping[str, str] | None,
        deadline: Deadline,
        expected: tuple[int, ...],
        method: str = "GET",
    ) -> Answer:
        self._limit.acquire(deadline)
        answer = self._http.request(method, url, {"Accept": "application/json"}, deadline, params=params)
        if answer.status in expected:
            return answer
        with answer:
            raise self._failure(answer, url, deadline)

    def _failure(self, answer: Answer, url: str, deadline: Deadline) -> RemoteError | CredentialsRefused:
        message = _error_message(answer, url, deadline)
        log.debug("%s", message)
        if answer.status in (401, 403):
            return CredentialsRefused(f"{message}; check account_sid, api_key and the secret")
        if answer.status == 404:
            return NotFound(message)
        if answer.status == 429:
            asked = retry_after(answer.headers.get("Retry-After"))
            self._limit.hold_off(_QUOTA_PAUSE if asked is None else min(asked, _LONGEST_QUOTA_PAUSE))
            return Transient(message, asked)
        if answer.status >= 500:
            return Transient(message, retry_after(answer.headers.get("Retry-After")))
        return RemoteError(message)

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._timeout)


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


def _page_content(page: object, url: str) -> tuple[list[object], str | None]:
    """The records, which stand under the name that `meta.key` gives, and the next page's URL."""
    meta = page.get("meta") if isinstance(page, Mapping) else None
    key = meta.get("key") if isinstance(meta, Mapping) else None
    records = page.get(key) if isinstance(page, Mapping) and isinstance(key, str) else None
    if not isinstance(records, list) or not isinstance(meta, Mapping):
        raise Unreachable(f"{without_query(url)}: the answer is no page of a list")
    following = meta.get("next_page_url")
    if following is not None and not isinstance(following, str):
        raise Unreachable(f"{without_query(url)}: the next page's URL is none")
    return records, joined(url, following) if following else None


def _parse(answer: Answer, url: str, deadline: Deadline) -> object:
    body = answer.read_bounded(_LARGEST_ANSWER, deadline)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        kind = answer.headers.get("Content-Type", "no content type")[:60]
        raise Transient(f"{without_query(url)}: the answer is not JSON ({kind}); is a proxy in between?") from None


def _redirect_to(body: bytes) -> str | None:
    """`redirect_to` of /Media's answer, for where a proxy or library has taken the header away."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    location = content.get("redirect_to") if isinstance(content, Mapping) else None
    return location if isinstance(location, str) and location else None


def _error_message(answer: Answer, url: str, deadline: Deadline) -> str:
    """One line from Twilio's error body `{code, message, more_info, status}`, with the id that its support asks for."""
    try:
        body = json.loads(answer.read_bounded(_LARGEST_ERROR, deadline))
    except (ValueError, RecursionError, Unreachable):
        body = None
    said = body.get("message") if isinstance(body, Mapping) else None
    code = body.get("code") if isinstance(body, Mapping) else None
    words = [f"{without_query(url)}: HTTP {answer.status}"]
    words += [f"code {code}"[:40]] if isinstance(code, int) else []
    words += [said[:200]] if isinstance(said, str) else []
    request_id = answer.headers.get("Twilio-Request-Id")
    words += [f"request {request_id[:40]}"] if request_id else []
    return ", ".join("".join(char if char.isprintable() else " " for char in word) for word in words)
