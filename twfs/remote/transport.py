"""GETs of media as libcurl does them: many at once in one thread, each answer judged before a byte of it is used.

Only this module and `libcurl` know `pycurl`. Runs in an asyncio loop, which waits for the sockets and the timer that
libcurl names (`CURLMOPT_SOCKETFUNCTION`). Redirects are not followed here, because who follows one must first check
where it leads. Nothing is decoded, no cookie is kept, no password file is read.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pycurl

from twfs.clock import Deadline
from twfs.errors import DeadlineExceeded, Unreachable
from twfs.remote.answer_head import Head, Nonsense
from twfs.remote.exchange import Exchange, Judge
from twfs.remote.http import NotSent, NoWay, Way, way_to, without_query
from twfs.remote.libcurl import NEVER_SENT, in_words, new_easy, wants_password
from twfs.remote.proxies import AUTHENTICATION_NEEDED
from twfs.remote.silence import SUSPICION, is_condemned, longest_idle

_LONGEST_IDLE = 60
"""Seconds that a connection may have stood idle to be used again. S3 closes them sooner, NATs forget them later."""

_BESIDES = 16
"""Connections kept for what may run beside the ranged requests: probes, by readers and in the background."""

_SHORTEST_LOOK = 0.001
"""Seconds between two looks at how long something has been silent."""

_ALIVE_KEPT = 1024
"""Connections of which it is remembered when they were last known to be alive."""

_inherited: list[object] = []
"""What a forked child got of its parent, kept for ever: to close it would say goodbye on the parent's connections."""


class Transport:
    """Connections kept open for reuse, without credentials. All methods belong to one loop's thread."""

    def __init__(self, connections: int) -> None:
        """`connections` is how many ranged requests run at once; all are kept open."""
        self._most_kept = connections + _BESIDES
        self._multi: _Multi | None = None
        self._ways: dict[str, Way] = {}

    async def get(
        self, url: str, headers: Mapping[str, str], judge: Judge, deadline: Deadline, *, attempt: int = 0
    ) -> Head:
        """The headers of the answer to one GET, once all of its body was given to what `judge` named.

        `attempt`: how many before it brought nothing. `deadline` may be renewed meanwhile.

        Raises:
            NotSent: no connection; the server knows nothing of the request. NoWay: nor will there be one.
            Unreachable: it broke off, at whatever byte, or fell silent.
            DeadlineExceeded: it did not come in time.
            Exception: what `judge` or the sink raises.
        """
        deadline.remaining()
        multi = self._present()
        exchange = Exchange(without_query(url), judge, deadline, attempt)
        easy = multi.prepared(url, headers, self._way(exchange.where), exchange)
        return await multi.perform(easy, exchange)

    def close(self) -> None:
        """Drop all connections; nothing may be under way."""
        multi, self._multi = self._multi, None
        if multi is not None:
            multi.close()

    def _present(self) -> "_Multi":
        """What belongs to the loop that runs: in a forked child it is another one."""
        if self._multi is None or self._multi.loop is not asyncio.get_running_loop():
            if self._multi is not None:
                _inherited.append(self._multi)
            self._multi = _Multi(self._most_kept)
        return self._multi

    def _way(self, where: str) -> Way:
        """As the environment names it for a host; looked up once."""
        origin = "/".join(where.split("/", 3)[:3])
        if origin not in self._ways:
            self._ways[origin] = way_to(where)
        return self._ways[origin]


class _Multi:
    """libcurl's multi interface under the running loop."""

    def __init__(self, most_kept: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, most_kept)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._most_kept = most_kept
        self._spare: list[Any] = []
        self._running: dict[Any, Exchange] = {}
        self._watched: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._alive: dict[int, float] = {}
        """When connections, by libcurl's number, were last known to be alive."""
        self._silent_since = float(-(10**9))
        """What was last known to be alive before is not used again."""
        self._slowest = 0.0
        """Seconds to the first byte of the last answer on a new connection."""

    def prepared(self, url: str, headers: Mapping[str, str], way: Way, exchange: Exchange) -> Any:
        """A handle ready to perform it."""
        easy = self._spare.pop() if self._spare else new_easy(way.trusted)
        easy.setopt(pycurl.URL, url)
        easy.unsetopt(pycurl.HTTPHEADER)  # pycurl passes over an empty list
        easy.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
        easy.setopt(pycurl.PROXY, way.proxy)
        easy.setopt(pycurl.MAXAGE_CONN, longest_idle(time.monotonic(), self._silent_since, _LONGEST_IDLE))
        easy.setopt(pycurl.HEADERFUNCTION, exchange.header)
        easy.setopt(pycurl.WRITEFUNCTION, exchange.body)
        return easy

    async def perform(self, easy: Any, exchange: Exchange) -> Head:
        """As `Transport.get`."""
        # Not at once: until it is begun libcurl tells of what the handle did before. Asked first, for time may be up by
        # now: what were begun then nobody would end, and it would write where somebody else's bytes are.
        first = min(SUSPICION, exchange.deadline.remaining())
        self._running[easy] = exchange
        self._multi.add_handle(easy)
        exchange.alarm = self.loop.call_later(first, self._look, easy, exchange)
        try:
            return await exchange.over
        finally:
            if easy in self._running:  # who waited for it was cancelled
                self._drop(easy, None)

    def close(self) -> None:
        for easy in list(self._running):
            self._drop(easy, Unreachable("twfs is going down"))
        self._set_timer(-1)
        for easy in self._spare:
            easy.close()
        self._multi.close()
        for descriptor in list(self._watched):
            self._watch(pycurl.POLL_REMOVE, descriptor)

    def _drop(self, easy: Any, error: BaseException | None) -> None:
        """End what is under way; its connection is closed."""
        exchange = self._running.pop(easy)
        self._multi.remove_handle(easy)
        easy.close()
        exchange.ended(error)

    # What libcurl calls.

    def _watch(self, what: int, descriptor: int, _multi: object = None, _data: object = None) -> None:
        wanted = {pycurl.POLL_IN: 1, pycurl.POLL_OUT: 2, pycurl.POLL_INOUT: 3}.get(what, 0)
        before = self._watched.pop(descriptor, 0)
        if wanted & 1 and not before & 1:
            self.loop.add_reader(descriptor, self._act, descriptor, pycurl.CSELECT_IN)
        if before & 1 and not wanted & 1:
            self.loop.remove_reader(descriptor)
        if wanted & 2 and not before & 2:
            self.loop.add_writer(descriptor, self._act, descriptor, pycurl.CSELECT_OUT)
        if before & 2 and not wanted & 2:
            self.loop.remove_writer(descriptor)
        if wanted:
            self._watched[descriptor] = wanted

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = milliseconds >= 0
        self._timer = self.loop.call_later(milliseconds / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0) if due else None

    # What the loop calls.

    def _act(self, descriptor: int, events: int) -> None:
        """Let libcurl receive and send, and see what has come to its end."""
        self._multi.socket_action(descriptor, events)
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            for easy in done:
                self._done(easy)
            for easy, code, _ in failed:
                self._failed(easy, code)

    def _done(self, easy: Any) -> None:
        exchange = self._running.pop(easy)
        self._multi.remove_handle(easy)
        self._learn(easy)
        if len(self._spare) < self._most_kept:
            self._spare.append(easy)
        else:
            easy.close()
        exchange.ended(None)

    def _learn(self, easy: Any) -> None:
        """That a connection is alive, and how slow its host was if it is a new one."""
        number = easy.getinfo(pycurl.CONN_ID)
        self._alive.pop(number, None)
        self._alive[number] = time.monotonic()
        if len(self._alive) > _ALIVE_KEPT:
            del self._alive[next(iter(self._alive))]
        if easy.getinfo(pycurl.NUM_CONNECTS):
            self._slowest = easy.getinfo(pycurl.STARTTRANSFER_TIME) - easy.getinfo(pycurl.PRETRANSFER_TIME)

    def _failed(self, easy: Any, code: int) -> None:
        exchange = self._running[easy]
        error = exchange.failure
        if isinstance(error, Nonsense):
            error = Unreachable(f"{exchange.where}: {error}")
        if error is None:
            error = _lateness(exchange.deadline) or _named(easy, code, exchange.where)
        self._drop(easy, error)

    def _look(self, easy: Any, exchange: Exchange) -> None:
        """Give it up if it is time; else look again when it might be."""
        now, hearing = time.monotonic(), exchange.hearing
        is_sent = _learn_connection(easy, exchange)
        # Until it is sent libcurl's own limit holds.
        given_up_at = hearing.given_up_at(self._slowest) if is_sent else now + SUSPICION
        late = _lateness(exchange.deadline)
        if late is not None:
            self._drop(easy, late)
        elif now >= given_up_at:
            self._condemn(easy, exchange)
        else:
            wait = max(min(exchange.deadline.remaining(), given_up_at - now), _SHORTEST_LOOK)
            exchange.alarm = self.loop.call_later(wait, self._look, easy, exchange)

    def _condemn(self, easy: Any, exchange: Exchange) -> None:
        """It fell silent: so it, and with it what stood idle as long, is not waited for, nor used, any more."""
        silent_since = exchange.hearing.silent_since
        self._silent_since = max(self._silent_since, silent_since)
        self._drop(easy, Unreachable(f"{exchange.where}: the connection fell silent"))
        for other, its in list(self._running.items()):
            _learn_connection(other, its)
            alive_at = self._alive.get(other.getinfo(pycurl.CONN_ID), its.hearing.asked_at)
            if is_condemned(its.hearing, alive_at, silent_since):
                self._drop(other, Unreachable(f"{its.where}: the connection fell silent"))


def _learn_connection(easy: Any, exchange: Exchange) -> bool:
    """Whether the request was sent; then also on which kind of connection, and when."""
    sent_after = easy.getinfo(pycurl.PRETRANSFER_TIME)
    if sent_after:
        exchange.hearing.asked_at = exchange.began + sent_after
        exchange.hearing.is_reused = not easy.getinfo(pycurl.NUM_CONNECTS)
    return bool(sent_after)


def _named(easy: Any, code: int, where: str) -> Unreachable:
    """What libcurl ended with."""
    if wants_password(easy):
        return NoWay(f"{where}: {AUTHENTICATION_NEEDED}")
    never_left = code in NEVER_SENT or not easy.getinfo(pycurl.PRETRANSFER_TIME)
    return (NotSent if never_left else Unreachable)(f"{where}: {in_words(easy, code)}")


def _lateness(deadline: Deadline) -> DeadlineExceeded | None:
    """What to say if time is up."""
    try:
        deadline.remaining()
    except DeadlineExceeded as error:
        return error
    return None
