"""The one way in which stored bytes are fetched: jobs queued, run, and brought to an end, in one asyncio loop.

Which job runs when is decided by `range_queue`; how a range is had over broken connections and worn-out URLs is the
business of `StoredMedia`. Here is what lies between: each job ends well, fails, or is queued again, whatever happens.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from twfs.clock import Clock, Deadline
from twfs.errors import TwfsError, Unreachable
from twfs.event_loop import LoopThread
from twfs.log import log
from twfs.media.fairness import SILENT_SECONDS
from twfs.media.ports import StoredMedia
from twfs.media.range_queue import NotWanted, RangeJob, RangeQueue

_LOOK_AGAIN_SECONDS = SILENT_SECONDS / 4
"""Between looks whether connections have fallen silent, while something waits for one."""


class Cancelled(TwfsError):
    """The range was no longer wanted; a reader that wants it after all asks anew."""


class RangeEngine:
    """Runs jobs, in the loop's thread. Safe for use by several threads; its methods do not wait."""

    def __init__(self, stored: StoredMedia, loop: LoopThread, connections: int, clock: Clock) -> None:
        """Nothing runs before `start`, or the first job."""
        self.connections = connections
        self._stored = stored
        self._loop = loop
        self._clock = clock
        self._queue = RangeQueue(connections)
        self._tasks: dict[RangeJob, asyncio.Task[None]] = {}
        self._home: asyncio.AbstractEventLoop | None = None
        self._again: asyncio.TimerHandle | None = None
        self._is_stopped = False
        self.bytes_fetched = 0
        self.requests = 0

    def start(self) -> None:
        """Begin before the first job; after the daemonising fork, never before.

        Raises:
            NoMoreThreads: the machine refuses its thread.
        """
        self._loop.start()

    def submit(self, job: RangeJob) -> None:
        """Queue a job. It will come to its end or fail, whatever happens."""
        try:
            self._loop.post(self._submit, job)
        except TwfsError as error:
            job.fail(error)

    def cancel(self, jobs: Sequence[RangeJob]) -> None:
        """What of these is queued is dropped; what runs ends where it may, unless a reader waits for more."""
        if jobs:
            with suppress(Unreachable):  # of what has been stopped nothing is left
                self._loop.post(self._cancel, tuple(jobs))

    def hurry(self, concerns: Callable[[RangeJob], bool]) -> None:
        """A reader waits for what these jobs bring: they must not queue behind prefetching."""
        if not self._queue.counts[1]:
            return  # what is handed in at this moment is asked when it is queued
        with suppress(Unreachable):
            self._loop.post(self._hurry, concerns)

    def stop(self) -> None:
        """Fail all that is queued or runs, and all that comes after."""
        self._is_stopped = True
        if self._home is not None:
            with suppress(Unreachable):
                self._loop.call(self._stop)

    def usage(self) -> dict[str, int]:
        """Ranges and bytes fetched so far; how many ranges are under way, and how many wait for a connection."""
        running, waiting = self._queue.counts
        return {"requests": self.requests, "bytes": self.bytes_fetched, "running": running, "queued": waiting}

    # All that follows runs in the loop.

    def _submit(self, job: RangeJob) -> None:
        self._be_at_home()
        if self._is_stopped:
            job.fail(_going_down())
            return
        # A reader may have found what is reserved for the job, and begun to wait, before it was handed in.
        job.urgent = job.urgent or job.is_awaited()
        self._queue.add(job)
        self._begin()

    def _be_at_home(self) -> None:
        """In a forked child the loop is another one, and what the parent's was about is not done here."""
        home = asyncio.get_running_loop()
        if self._home is not home:
            strays, self._queue = self._queue.jobs, RangeQueue(self.connections)
            self._home, self._tasks, self._again = home, {}, None
            for job in strays:
                job.fail(Unreachable("the process was forked while it was fetched"))

    def _cancel(self, jobs: Sequence[RangeJob]) -> None:
        for job in jobs:
            if self._queue.cancel(job):
                job.fail(Cancelled("no longer wanted"))

    def _hurry(self, concerns: Callable[[RangeJob], bool]) -> None:
        self._queue.hurry(concerns)

    async def _stop(self) -> None:
        self._be_at_home()
        for job in self._queue.clear():
            job.fail(_going_down())
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self) -> None:
        """Whatever there is a connection for; look again soon if some may have fallen silent then."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        while not self._is_stopped and (job := self._queue.next(self._clock.monotonic())) is not None:
            self._tasks[job] = asyncio.get_running_loop().create_task(self._run(job))
        if self._queue.counts[1] and not self._is_stopped:
            self._again = asyncio.get_running_loop().call_later(_LOOK_AGAIN_SECONDS, self._begin)

    async def _run(self, job: RangeJob) -> None:
        before = job.fetched
        failure = await self._failure(job, self._fetch(job))
        if job.is_held_up and not self._is_stopped:
            failure = await self._failure(job, self._loop.computing(job.complete)) or failure
        self.requests += 1
        self.bytes_fetched += job.fetched - before
        self._end(job, failure)

    async def _fetch(self, job: RangeJob) -> None:
        deadline = Deadline(self._clock, job.step_seconds)
        job.progressed = deadline.renew
        job.begin()

        def take(piece: bytes) -> None:
            job.heard_at = self._clock.monotonic()
            job.take(piece)

        await self._stored.fetch(job.medium, job.rest, job.facts, take, deadline)

    async def _failure(self, job: RangeJob, work: Awaitable[None]) -> TwfsError | None:
        """Why it did not go well, if so; that the rest is not wanted is no failure."""
        try:
            await work
        except NotWanted:
            return None
        except TwfsError as error:
            return error
        except asyncio.CancelledError:
            return _going_down()
        except Exception as error:  # noqa: BLE001  (whatever it is: somebody waits for the bytes)
            log.exception("fetching %s failed", job.medium.sid)
            return Unreachable(f"unexpected {type(error).__name__} while fetching")
        return None

    def _end(self, job: RangeJob, failure: TwfsError | None) -> None:
        """Fail it, queue it again, or let it go; and begin what comes next."""
        del self._tasks[job]
        self._queue.ended(job)
        if failure is not None:
            job.fail(failure)
        elif not job.is_over and job.gives_way and not job.cancelled:
            self._queue.put_back(job)
        elif not job.is_over:
            job.fail(Cancelled("no longer wanted"))
        self._begin()


def _going_down() -> Unreachable:
    return Unreachable("twfs is going down")
