"""Twilio's REST API whatever the resource: asking, paging, changing, and what its failures mean.

Facts (paging, quota, error bodies): Twilio's OpenAPI description and documentation.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping

from twfs.clock import Clock, Deadline
from twfs.errors import CredentialsRefused, DeadlineExceeded, NotFound, RemoteError, Unreachable
from twfs.log import log
from twfs.remote.hosts import check_same_host, joined
from twfs.remote.http import Answer, HttpPool, NotSent, without_query
from twfs.remote.perseverance import LONGEST_PAUSE, Perseverance
from twfs.remote.retry import Lasting, RateLimit, Transient, retry_after, retrying
from twfs.remote.untrusted_json import parsed
from twfs.resources import Page

_LARGEST_ANSWER = 4 * 2**20
"""Bytes of a page of 100 records, which has about 100 KiB; more than this is no page."""

LARGEST_ERROR = 64 * 2**10
"""Bytes of an error's body that are looked at."""

_MOST_PAGES = 100_000
"""Ten million media: a list that is longer never ends."""

_LONGEST_URL = 8 * 2**10
"""Of a page; what is longer has grown from page to page, for it is relative."""

_MOST_STALE_PAGES = 5
"""Pages in a row without a new record: one may be all known, where records move on while a list is read, or empty."""

_REMEMBERED_RECORDS = 1000
"""Of the pages before: those of a million records would be most of what a first listing needs of memory."""

_QUOTA_PAUSE = 1.0
"""Seconds that all requests pause after a 429: the quota is counted per second."""

_LONGEST_QUOTA_PAUSE = 60.0
"""A longer Retry-After is honoured so far: nothing undocumented may silence the account for days."""

_DONE = (200, 201, 204)
_REFUSED = (401, 403)
_HEADERS = {"Accept": "application/json"}
_OR_NOT = "; it may have been carried out, or not"


class OutcomeUnknown(RemoteError):
    """A change may have been carried out, or not: it was sent, and no answer told what became of it."""


class RestApi:
    """One account, through the REST API. Safe for use by several threads.

    URLs that methods take are those of the configuration and paths of Twilio's description, never a server's words.
    """

    def __init__(
        self,
        http: HttpPool,
        base_url: str,
        limit: RateLimit,
        clock: Clock,
        timeout: float,
        *,
        look_for_credentials: Callable[[], None] = lambda: None,
    ) -> None:
        """`http` carries the account's credentials; `timeout` (s) bounds each request, retries included.

        Where they are refused, `look_for_credentials` may replace those of `http`.
        """
        self._http = http
        self._look_for_credentials = look_for_credentials
        self._base_url = base_url.rstrip("/")
        self._limit = limit
        self._clock = clock
        self._timeout = timeout

    def resource(self, url: str) -> Mapping[str, object]:
        """One resource.

        Raises:
            NotFound: Twilio says that there is none.
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403.
        """
        return _object(self._json(url, None, self._deadline()), url)

    def records(self, url: str) -> Iterator[object]:
        """All raw records of a list.

        Raises:
            RemoteError: a page did not come, or is not what it should be.
            CredentialsRefused: 401 or 403.
        """
        for page in self._pages(url, None):
            yield from page

    def create_or_change(self, url: str, form: Mapping[str, str]) -> Mapping[str, object]:
        """POST `form`; the resource as it is then.

        It is sent again only if it certainly was not carried out: when no connection came about, and after a 429,
        by which Twilio refuses before it acts. After anything else - a reset, silence, a server's error - it may
        have been, and a second POST could create a second resource or undo what somebody else changed meanwhile.

        Raises:
            OutcomeUnknown: it may have been carried out, or not.
            NotFound: there is no such resource.
            RemoteError: it was not carried out.
            CredentialsRefused: 401 or 403.
        """
        content = self._change("POST", url, form)
        try:
            return _object(content, url)
        except RemoteError as error:
            raise OutcomeUnknown(f"{error}{_OR_NOT}") from None

    def remove(self, url: str) -> None:
        """DELETE; sent again only as `create_or_change` is: a 404 could else mean both success and failure.

        Raises:
            OutcomeUnknown: it may have been carried out, or not.
            NotFound: there is no such resource.
            RemoteError: it was not carried out.
            CredentialsRefused: 401 or 403.
        """
        self._change("DELETE", url, None)

    def _pages(self, url: str, params: Mapping[str, str] | None, place: str | None = None) -> Iterator[Page]:
        """The pages of a list, each asked for when it is wanted; from `place` on, which an earlier page named.

        Before each pause in waiting for one comes an empty page, behind which the awaited one is to follow.
        """
        page_url: str | None = place or url
        asked = 0
        if place is not None:
            check_same_host(place, url)
        perseverance = Perseverance()
        seen: set[str] = set()
        known: deque[str] = deque(maxlen=_REMEMBERED_RECORDS)
        stale_pages = 0
        while page_url is not None:
            if page_url in seen or asked >= _MOST_PAGES or len(page_url) > _LONGEST_URL:
                raise Unreachable(f"{without_query(url)}: the list never ends")
            seen.add(page_url)
            asked += 1
            # Only the first request is made of our own words; the parameters are part of the following URLs.
            page = yield from self._page(page_url, params if page_url == url else None, perseverance)
            perseverance.came()
            records, following = _page_content(page, page_url)
            sids = _sids(records)
            stale_pages = stale_pages + 1 if sids.issubset(known) else 0
            if stale_pages >= _MOST_STALE_PAGES:
                raise Unreachable(f"{without_query(url)}: the list never ends, its pages come again and again")
            known.extend(sids)
            if following is not None:
                check_same_host(following, url)
            yield Page(records, following)
            page_url = following

    def _page(
        self, url: str, params: Mapping[str, str] | None, perseverance: Perseverance
    ) -> Generator[Page, None, object]:
        """One page, asked for again for as long as the pages before it are worth it."""
        level = logging.WARNING
        while True:
            try:
                return self._json(url, params, self._deadline())
            except Lasting:
                raise
            except (Unreachable, DeadlineExceeded) as error:
                asked = error.after if isinstance(error, Transient) else None
                pause = perseverance.pause(self._clock.monotonic(), asked)
                if pause is None:
                    raise
                if pause >= LONGEST_PAUSE:
                    # One line for a page, and none where it only flaps.
                    log.log(level, "the next page of a list does not come, and is waited for: %s", error)
                    level = logging.DEBUG
            # Whoever reads the list may end it here.
            yield Page(following=url)
            self._clock.sleep(pause)

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
        answer = self._sent(method, url, deadline, params=params)
        if answer.status in expected:
            return answer
        with answer:
            raise self._failure(answer, url, deadline)

    def _sent(self, method: str, url: str, deadline: Deadline, **words: Mapping[str, str] | None) -> Answer:
        """The answer to a request; to a second one where the first was refused, and there are other credentials."""
        used = self._http.authorization.version
        answer = self._http.request(method, url, _HEADERS, deadline, **words)
        if answer.status in _REFUSED:
            self._look_for_credentials()
            if self._http.authorization.version != used:
                # Twilio refuses before it acts: even a change was certainly not carried out.
                answer.close()
                return self._http.request(method, url, _HEADERS, deadline, **words)
        return answer

    def _change(self, method: str, url: str, form: Mapping[str, str] | None) -> object:
        deadline = self._deadline()
        return retrying(lambda: self._change_once(method, url, form, deadline), deadline)

    def _change_once(self, method: str, url: str, form: Mapping[str, str] | None, deadline: Deadline) -> object:
        self._limit.acquire(deadline)
        try:
            with self._sent(method, url, deadline, form=form) as answer:
                if answer.status in _DONE:
                    return _content(answer, deadline)
                failure = self._failure(answer, url, deadline)
        except NotSent:
            raise
        except (Unreachable, DeadlineExceeded) as error:
            raise OutcomeUnknown(f"{error}{_OR_NOT}") from error
        if isinstance(failure, Transient) and answer.status != 429:
            raise OutcomeUnknown(f"{failure}{_OR_NOT}")
        raise failure

    def _failure(self, answer: Answer, url: str, deadline: Deadline) -> RemoteError | CredentialsRefused:
        body = _error_body(answer, deadline)
        message = _error_message(answer, url, body)
        log.debug("%s", message)
        if answer.status in _REFUSED:
            origin = self._http.authorization.origin
            come_from = f", which come from {origin}" if origin else ""
            return CredentialsRefused(f"{message}; check account_sid, api_key and the secret{come_from}")
        if answer.status == 404:
            # What a gateway says of its own routes is no word about a resource: on a 404 things are taken for gone.
            foreign = Transient(f"{message}, not in Twilio's words; is a proxy in between?")
            return NotFound(message) if _is_of_twilio(body) else foreign
        if answer.status == 429:
            asked = retry_after(answer.headers.get("Retry-After"))
            self._limit.hold_off(_QUOTA_PAUSE if asked is None else min(asked, _LONGEST_QUOTA_PAUSE))
            return Transient(message, asked)
        if answer.status >= 500 or answer.status == 408:
            # 408 is what some balancers say on a connection that was idle, just as a request comes along.
            return Transient(message, retry_after(answer.headers.get("Retry-After")))
        return RemoteError(message)

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._timeout)


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


def _sids(records: list[object]) -> set[str]:
    found = (record.get("sid") for record in records if isinstance(record, Mapping))
    return {sid for sid in found if isinstance(sid, str)}


def _parse(answer: Answer, url: str, deadline: Deadline) -> object:
    body = _whole(answer, deadline)
    try:
        return parsed(body)
    except ValueError:
        kind = answer.headers.get("Content-Type", "no content type")[:60]
        raise Transient(f"{without_query(url)}: the answer is not JSON ({kind}); is a proxy in between?") from None


def _content(answer: Answer, deadline: Deadline) -> object:
    """The JSON of an answer that reports success; None if it has no body.

    Raises:
        Unreachable: it is none.
    """
    body = _whole(answer, deadline)
    try:
        return parsed(body) if body else None
    except ValueError:
        raise Unreachable("Twilio's answer is not JSON; is a proxy in between?") from None


def _whole(answer: Answer, deadline: Deadline) -> bytes:
    """The body.

    Raises:
        Lasting: it is larger than any that the API sends.
    """
    body = answer.read_bounded(_LARGEST_ANSWER + 1, deadline)
    if len(body) > _LARGEST_ANSWER:
        raise Lasting(f"{answer.where}: the answer is larger than {_LARGEST_ANSWER} bytes, and is refused")
    return body


def _object(content: object, url: str) -> Mapping[str, object]:
    if not isinstance(content, Mapping):
        raise RemoteError(f"{url}: the answer is no resource")
    return content


def _error_body(answer: Answer, deadline: Deadline) -> Mapping[str, object]:
    """Twilio's `{code, message, more_info, status}`, or whatever object came; empty if none did."""
    try:
        body = parsed(answer.read_bounded(LARGEST_ERROR, deadline))
    except (ValueError, Unreachable):
        return {}
    return body if isinstance(body, Mapping) else {}


def _is_of_twilio(body: Mapping[str, object]) -> bool:
    return isinstance(body.get("code"), int) or body.get("status") == 404


def _error_message(answer: Answer, url: str, body: Mapping[str, object]) -> str:
    """One line from an error's body, with the id that Twilio's support asks for."""
    said, code = body.get("message"), body.get("code")
    words = [f"{without_query(url)}: HTTP {answer.status}"]
    words += [f"code {code}"[:40]] if isinstance(code, int) else []
    words += [said[:200]] if isinstance(said, str) else []
    request_id = answer.headers.get("Twilio-Request-Id")
    words += [f"request {request_id[:40]}"] if request_id else []
    return ", ".join("".join(char if char.isprintable() else " " for char in word) for word in words)
