"""The simulator's HTTP server: its own thread and event loop; the only simulator module that knows aiohttp."""

import asyncio
import contextlib
import socket
import struct
import threading
from functools import partial
from types import TracebackType
from typing import Self

from aiohttp import web

from twfs.simulator.account import SimulatedAccount
from twfs.simulator.exchange import Answer, Request
from twfs.simulator.faults import Fault, FaultBox
from twfs.simulator.journal import Journal, ServedRequest
from twfs.simulator.service import Service
from twfs.threads import start_thread

_CHUNK = 256 * 1024
"""Bytes written at once: large enough for full speed on loopback, small enough that many bodies flow at once."""
_SLOW_CHUNKS_PER_SECOND = 50
_FAREWELL = 0.2
"""Seconds that answers under way may take when the server stops."""
_FOR_EVER = 86_400.0
"""Seconds that a stalled answer waits; the server's end cancels it."""
_LARGEST_PORT = 2**16 - 1

_LAST_TURNS = 5
"""Of the loop, more than it takes from accepting a connection to the server's knowing it."""

_NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with time 0: close() resets the connection."""


_API_HOST, _BUCKET_HOST = "127.0.0.1", "127.0.0.2"
"""Two names of this machine: wget, and curl before 7.83, take the same host on another port for the same service."""


class Simulator:
    """Serves one account on loopback between `start` and `stop`, or within `with`.

    API and bucket have a host each, as Twilio and S3 have: HTTP clients that follow a redirect from one to the other
    leave the account's credentials behind.
    """

    def __init__(
        self,
        account: SimulatedAccount,
        port: int = 0,
        url_ttl: int | None = None,
        latency: float = 0.0,
        api_rate: int | None = None,
    ) -> None:
        """Not yet listening.

        `port`: the API's; 0 is any free one, as the bucket always has.
        `url_ttl`: seconds that pre-signed URLs live, whatever was asked for. `latency`: seconds before each answer.
        `api_rate`: API requests per second, beyond which it answers 429.
        """
        self.account = account
        self.url = ""
        """The API's."""
        self.bucket_url = ""
        self._port = port
        self._bucket_port = 0
        self._latency = latency
        self._service = Service(account, url_ttl=url_ttl, api_rate=api_rate)
        self._faults = FaultBox()
        self._journal = Journal()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._failure: OSError | OverflowError | None = None

    def start(self) -> None:
        """Listen, and serve in a thread of its own.

        Raises:
            OSError: the port cannot be had.
            OverflowError: it is no port's number.
            NoMoreThreads: the machine refuses the thread.
        """
        ready = threading.Event()
        self._failure = None
        self._thread = start_thread(lambda: asyncio.run(self._run(ready)), "simulator")
        ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None and self._stopping is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        self._loop = self._stopping = self._thread = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def inject(self, fault: Fault) -> None:
        """Have `fault` strike the next requests it fits; of several the oldest first."""
        self._faults.inject(fault)

    def clear_faults(self) -> None:
        """Let everything go well from now on."""
        self._faults.clear()

    def remove_fault(self, fault: Fault) -> None:
        """Let this one strike no more, if it still would."""
        self._faults.remove(fault)

    def strikes(self, fault: Fault | None = None) -> int:
        """How many requests this very fault, or all together, have disturbed so far."""
        return self._faults.strikes(fault)

    def expire_urls(self) -> None:
        """Every pre-signed URL handed out so far is answered 403 from now on."""
        self._service.expire_urls()

    @property
    def requests(self) -> list[ServedRequest]:
        """Copies of the requests so far, in the order of their arrival (of very many, the newest)."""
        return self._journal.entries()

    def count(self, kind: str) -> int:
        """Requests of that kind so far; `api` and `s3` count all of the service."""
        return self._journal.count(kind)

    def bytes_sent(self, kind: str) -> int:
        """Bytes of bodies sent in answer to requests of that kind so far."""
        return self._journal.bytes_sent(kind)

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._journal.clear()

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with contextlib.AsyncExitStack() as services:
                api = await self._listen(services, (_API_HOST, self._port), to_bucket=False)
                bucket = await self._listen(services, (_BUCKET_HOST, self._bucket_port), to_bucket=True)
                # URLs signed before stay good if it is stopped and started again.
                self._bucket_port = bucket.getsockname()[1]
                self.url, self.bucket_url = _url(api), _url(bucket)
                self._service.listen_at(self.url, self.bucket_url)
                ready.set()
                await self._stopping.wait()
                await _stop_accepting(api, bucket)
        except (OSError, OverflowError) as failure:
            self._failure = failure
        finally:
            ready.set()

    async def _listen(
        self, services: contextlib.AsyncExitStack, address: tuple[str, int], *, to_bucket: bool
    ) -> socket.socket:
        """The socket where one of the services is reached until `services` are closed."""
        listening = _listening(*address)
        server = web.Server(partial(self._serve, to_bucket=to_bucket), access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_FAREWELL)
        await runner.setup()
        services.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening).start()
        return listening

    async def _serve(self, incoming: web.BaseRequest, *, to_bucket: bool) -> web.StreamResponse:
        request = await _request(incoming, to_bucket=to_bucket)
        kind = self._service.kind(request)
        entry = self._journal.open(kind, request)
        fault = self._faults.strike(kind, request)
        await asyncio.sleep(self._latency + (fault.delay if fault else 0))
        answer = self._service.answer(kind, request, fault)
        self._journal.begin(entry, answer.status)
        response = _response(answer, tells_length=fault is None or not fault.endless)
        if fault is not None and fault.cut_after == 0:
            _cut(incoming, reset=fault.reset_after is not None)
            return response
        # A client that hangs up has what it wanted, or has lost patience: that is its right.
        with contextlib.suppress(ConnectionError):
            await response.prepare(incoming)
            if request.method != "HEAD":
                await self._send(incoming, response, answer, fault, entry)
        return response

    async def _send(
        self,
        incoming: web.BaseRequest,
        response: web.StreamResponse,
        answer: Answer,
        fault: Fault | None,
        entry: ServedRequest,
    ) -> None:
        length = len(answer.body)
        end = length if fault is None or fault.last_byte is None else min(length, fault.last_byte)
        await self._write(response, answer, end, fault, entry)
        while fault is not None and fault.endless and end:
            await self._write(response, answer, end, fault, entry)
        if fault is None or end == length:
            await response.write_eof()
        elif fault.cut_after is None:
            await asyncio.sleep(_FOR_EVER)
        else:
            _cut(incoming, reset=fault.reset_after is not None)

    async def _write(
        self, response: web.StreamResponse, answer: Answer, end: int, fault: Fault | None, entry: ServedRequest
    ) -> None:
        """Bytes `[0, end)` of the body."""
        rate = fault.rate if fault else None
        step = _CHUNK if rate is None else max(1, min(_CHUNK, int(rate / _SLOW_CHUNKS_PER_SECOND)))
        for at in range(0, end, step):
            chunk = _part(answer, at, min(at + step, end))
            self._journal.sent(entry, len(chunk))
            await response.write(chunk)
            # Without a pause one fast reader would keep the loop from everyone else.
            await asyncio.sleep(0 if rate is None else len(chunk) / rate)


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _LARGEST_PORT:
        # What create_server would raise, too, but leave its socket open.
        raise OverflowError(f"{port} is no port")
    return socket.create_server((host, port))


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()
    return f"http://{host}:{port}"


async def _stop_accepting(*listening: socket.socket) -> None:
    """Let connections that the kernel has taken become known to the server, which then closes them.

    asyncio of Python 3.11 leaves those open that it is about to take over when its server is closed.
    """
    for each in listening:
        asyncio.get_running_loop().remove_reader(each)
    for _ in range(_LAST_TURNS):
        await asyncio.sleep(0)


async def _request(incoming: web.BaseRequest, *, to_bucket: bool) -> Request:
    path, _, query = incoming.raw_path.partition("?")
    headers = {name.lower(): value for name, value in incoming.headers.items()}
    return Request(incoming.method, path, query, headers, await incoming.read(), to_bucket)


def _response(answer: Answer, *, tells_length: bool) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    if answer.status != 204 and tells_length:
        response.content_length = len(answer.body)
    return response


def _part(answer: Answer, start: int, end: int) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body[start:end]
    return answer.body.read(start, end)


def _cut(incoming: web.BaseRequest, *, reset: bool) -> None:
    """End the connection without ending the answer."""
    transport = incoming.transport
    if transport is None:
        return
    if reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    else:
        transport.close()
