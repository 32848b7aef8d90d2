"""An asyncio loop in a thread of its own, and a few threads beside it for what blocks.

Nothing runs before somebody needs it, so that a process may fork first. In a forked child all begins anew: the
parent's loop and what belongs to it are left as they are, for their sockets are the parent's too.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from typing import Any, TypeVar

from twfs.errors import NoMoreThreads, Unreachable
from twfs.threads import start_thread

T = TypeVar("T")

_COMPUTING = 2
"""Threads for what only computes: RSA, some ms for each medium, and most machines have as many cores."""

_STOP_SECONDS = 2.0
"""How long `stop` waits for the loop's thread: it only ever holds a few ms of work, then cancels all that waits."""

_inherited: list[object] = []
"""Loops of parents, kept for ever: to close one would change what the parent's loop is told."""


class LoopThread:
    """A loop for the coroutines of one session. Safe for use by several threads."""

    def __init__(self, workers: int) -> None:
        """At most `workers` threads for what blocks."""
        self._workers = workers
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin now, for who wants to know now whether it can.

        Raises:
            NoMoreThreads: the machine refuses one of its threads.
            Unreachable: the loop has been stopped.
        """
        running = self._present()
        for pool in (running.pool, running.computing):
            pool.submit(int).result()

    def post(self, callback: Callable[..., object], *arguments: object) -> None:
        """Have `callback(*arguments)` called in the loop's thread, soon.

        Raises:
            Unreachable: the loop has been stopped.
        """
        try:
            self._present().loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop was closed meanwhile
            raise _going_down() from None

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work()` returns, run in the loop while the calling thread, another one, waits.

        Raises:
            Unreachable: the loop has been stopped.
            Exception: what it raises.
        """
        loop = self._present().loop
        coroutine = work()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:
            coroutine.close()
            raise _going_down() from None
        try:
            return future.result()
        except CancelledError:
            raise _going_down() from None
        except BaseException:
            future.cancel()
            raise

    async def blocking(self, call: Callable[..., T], *arguments: object) -> T:
        """What `call(*arguments)` returns, called in one of the threads beside; from within the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._present().pool, call, *arguments)

    async def computing(self, call: Callable[..., T], *arguments: object) -> T:
        """As `blocking`, for what waits for no server: it does not queue behind calls that do."""
        return await asyncio.get_running_loop().run_in_executor(self._present().computing, call, *arguments)

    def end(self, last: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run `last()` in the loop, if there is one, and stop."""
        if self._running is not None and self._running.pid == os.getpid() and not self._is_stopped:
            self.call(last)
        self.stop()

    def stop(self) -> None:
        """Cancel all that runs in the loop and end its thread; a thread that blocks is left behind (a daemon)."""
        with self._lock:
            self._is_stopped, running = True, self._running
        if running is not None and running.pid == os.getpid():
            running.stop()

    def _present(self) -> "_Running":
        """Of this process."""
        running = self._running
        if running is not None and running.pid == os.getpid() and not self._is_stopped:
            return running
        with self._lock:
            if self._is_stopped:
                raise _going_down()
            if self._running is None or self._running.pid != os.getpid():
                if self._running is not None:
                    _inherited.append(self._running)
                self._running = _Running(self._workers)
            return self._running


class _Running:
    """A loop that runs, in the process that made it."""

    def __init__(self, workers: int) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.pool = DaemonPool(workers)
        self.computing = DaemonPool(_COMPUTING)
        try:
            self._thread = start_thread(self._run, "network")
        except BaseException:
            self.loop.close()
            raise

    def stop(self) -> None:
        # It has ended already if the loop does not take anything any more.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self.loop.run_forever()
            self._cancel_all()
        finally:
            self.pool.shutdown(wait=False)
            self.computing.shutdown(wait=False)
            self.loop.close()

    def _cancel_all(self) -> None:
        """What waits for a thread that blocks is given up with it."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))


class DaemonPool(Executor):
    """Threads that nobody waits for when the process ends: those of `ThreadPoolExecutor` would hold it up."""

    def __init__(self, most: int) -> None:
        """At most so many threads, each begun when there is work that no other has time for."""
        self._most = most
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = 0
        self._threads = 0
        self._is_shut = False

    def submit(self, call: Callable[..., T], /, *arguments: Any, **named: Any) -> "Future[T]":
        """Have it called.

        Raises:
            RuntimeError: the pool is shut down.
        """
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*arguments, **named)
            except BaseException as error:  # noqa: BLE001 - handed over to who waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._is_shut:
                raise RuntimeError("the pool is shut down")
            self._make_thread()
            self._work.put(run)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Executor's
        """Take no more work; threads end when they have done what is waiting."""
        with self._lock:
            self._is_shut = True
            for _ in range(self._threads):
                self._work.put(None)

    def _make_thread(self) -> None:
        """Unless one is idle, or there may be no more. Must be called with the lock held."""
        if self._idle > 0:
            self._idle -= 1
            return
        if self._threads == self._most:
            return
        try:
            start_thread(self._serve, f"blocking-{self._threads}")
            self._threads += 1
        except NoMoreThreads:
            if not self._threads:
                raise

    def _serve(self) -> None:
        while (run := self._work.get()) is not None:
            run()
            del run  # or its arguments would stay for as long as nothing else is to be done
            with self._lock:
                # Who came while all were busy left work without counting on anybody.
                if self._work.empty():
                    self._idle += 1


def _going_down() -> Unreachable:
    return Unreachable("twfs is going down")
