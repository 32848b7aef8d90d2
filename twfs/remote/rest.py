"""What Twilio's REST API has besides media: any resource, any list, and changes."""

import json
from collections.abc import Iterator, Mapping

from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, RemoteError, Unreachable
from twfs.remote.hosts import check_same_host
from twfs.remote.http import Answer, NotSent, without_query
from twfs.remote.retry import Transient, retrying
from twfs.remote.twilio import TwilioApi, _page_content

_LARGEST_ANSWER = 2**20
"""A single resource has about 1 KiB."""

_MOST_PAGES = 1000
_DONE = (200, 201, 204)


class OutcomeUnknown(RemoteError):
    """A change may have been carried out, or not: it was sent, and no answer told what became of it."""


class RestApi(TwilioApi):
    """One account, through the REST API, with what changes it. Safe for use by several threads.

    URLs that methods take are those of the configuration and paths of Twilio's description, never a server's words.
    """

    def resource(self, url: str) -> Mapping[str, object]:
        """One resource.

        Raises:
            NotFound: there is none.
            RemoteError: no usable answer.
            CredentialsRefused: 401 or 403.
        """
        return _object(self._json(url, None, self._deadline()), url)

    def records(self, url: str) -> Iterator[object]:
        """All raw records of a list, page by page.

        Raises:
            RemoteError: a page did not come, or is not what it should be.
            CredentialsRefused: 401 or 403.
        """
        page: str | None = url
        seen: set[str] = set()
        while page is not None:
            if page in seen or len(seen) >= _MOST_PAGES:
                raise Unreachable(f"{without_query(url)}: the list never ends")
            seen.add(page)
            check_same_host(page, url)
            found, page = _page_content(self._json(page, None, self._deadline()), page)
            yield from found

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
        return _object(self._change("POST", url, form), url)

    def remove(self, url: str) -> None:
        """DELETE; sent again only as `create_or_change` is: a 404 could else mean both success and failure.

        Raises:
            OutcomeUnknown: it may have been carried out, or not.
            NotFound: there is no such resource.
            RemoteError: it was not carried out.
            CredentialsRefused: 401 or 403.
        """
        self._change("DELETE", url, None)

    def _change(self, method: str, url: str, form: Mapping[str, str] | None) -> object:
        deadline = self._deadline()
        return retrying(lambda: self._change_once(method, url, form, deadline), deadline)

    def _change_once(self, method: str, url: str, form: Mapping[str, str] | None, deadline: Deadline) -> object:
        self._limit.acquire(deadline)
        try:
            with self._http.request(method, url, {"Accept": "application/json"}, deadline, form=form) as answer:
                if answer.status in _DONE:
                    return _content(answer, deadline)
                failure = self._failure(answer, url, deadline)
        except NotSent:
            raise
        except (Unreachable, DeadlineExceeded) as error:
            raise OutcomeUnknown(f"{error}; it may have been carried out, or not") from error
        if isinstance(failure, Transient) and answer.status != 429:
            raise OutcomeUnknown(f"{failure}; it may have been carried out, or not")
        raise failure


def _content(answer: Answer, deadline: Deadline) -> object:
    """The JSON of an answer that reports success; None if it has no body.

    Raises:
        Unreachable: it is none.
    """
    body = answer.read_bounded(_LARGEST_ANSWER, deadline)
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise Unreachable("Twilio's answer is not JSON; is a proxy in between?") from None


def _object(content: object, url: str) -> Mapping[str, object]:
    if not isinstance(content, Mapping):
        raise RemoteError(f"{url}: the answer is no resource")
    return content
