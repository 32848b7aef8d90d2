"""Exporting on a Dask cluster: one medium a task, each worker with a session of its own.

What travels to the workers: the account's name, the options given by flags, the destination's URL, and of each medium
what Twilio lists and S3 said of it (the content key in it is wrapped). Credentials and private keys do not: each worker
takes them from its own environment and files, as a mount there would.

A worker that dies loses nothing: the scheduler gives its task to another one (distributed.scheduler.allowed-failures
times, 3 by default), and nothing has its name at the destination before it is whole.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from distributed import Client, WorkerPlugin, as_completed, get_worker

from twfs.config.keys import tell_what_was_passed_over
from twfs.config.load import load_config
from twfs.errors import ConfigError, ObjectChanged, TwfsError, without_traceback
from twfs.export.job import Job, Order, carry_out, examine, failed, missed
from twfs.export.outcome import Outcome
from twfs.mount.hardening import environment
from twfs.mount.session import Session, open_session
from twfs.resources import Medium
from twfs.transfer.crew import crew_size, work_through
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.shortcomings import Shortcomings
from twfs.transfer.whole import replacement

T = TypeVar("T")

_CONNECT_SECONDS = 10


class WorkerLost(TwfsError):
    """The cluster gave a task up."""


@dataclass(frozen=True, slots=True)
class _Changed:
    """A worker met another object than the job says."""

    job: Job
    change: ObjectChanged


class WorkerSession(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """A session for all tasks of one export in one worker: opened by the first, closed with the export."""

    def __init__(self, source: str, overrides: Mapping[str, str], account_sid: str) -> None:
        """Texts only: this is what travels. `account_sid` is whose media are exported."""
        self.name = f"twfs-export-{uuid4().hex}"
        self._source = source
        self._overrides = dict(overrides)
        self._account_sid = account_sid

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - distributed's signature
        """On the worker, before the first task."""
        self.shortcomings = Shortcomings()
        self._lock = threading.Lock()
        self._resources = ExitStack()
        self._pool: ReaderPool | None = None

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - distributed's signature
        """On the worker, after the last task."""
        self._resources.close()

    def pool(self) -> ReaderPool:
        """The worker's session, and the threads that fetch in it.

        Raises:
            ConfigError: this worker is not configured for the account.
        """
        with self._lock:
            if self._pool is None:
                config = load_config(self._source, self._overrides, environment())
                tell_what_was_passed_over(config.keyring)
                if config.account_sid != self._account_sid:
                    raise ConfigError(f"this worker is configured for {config.account_sid}, not {self._account_sid}")
                session = self._resources.enter_context(open_session(config))
                self._pool = self._resources.enter_context(ReaderPool(session))
            return self._pool


def export_on_cluster(
    session: Session,
    media: Sequence[Medium],
    order: Order,
    *,
    scheduler: str,
    source: str,
    overrides: Mapping[str, str],
) -> Iterator[Outcome]:
    """Copy `media` as ordered on the workers of `scheduler`; what became of each, as they come.

    Raises:
        ConfigError: no scheduler answers there.
    """
    plugin = WorkerSession(source, overrides, session.config.account_sid)
    with _connected(scheduler) as client:
        client.register_plugin(plugin)
        try:
            yield from _exported(client, session, media, order, plugin.name)
        finally:
            client.unregister_worker_plugin(plugin.name)


def export_on_worker(plugin_name: str, job: Job, order: Order) -> Outcome | ObjectChanged:
    """The task. A change is given back: of one that is raised the worker would log all that the task was given."""
    plugin: WorkerSession = get_worker().plugins[plugin_name]
    try:
        pool = plugin.pool()
    except TwfsError as error:
        return _failed(job, error)
    try:
        return carry_out(pool, job, order, threading.Event(), shortcomings=plugin.shortcomings)
    except ObjectChanged as change:
        return without_traceback(change)


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler at {scheduler}: {error}") from None
    with client:
        yield client


def _exported(
    client: Any, session: Session, media: Sequence[Medium], order: Order, plugin_name: str
) -> Iterator[Outcome]:
    """All media; those that turned out to be other objects once more, with what they are now.

    That is found out here, for the catalogue of a worker knows of no media.
    """
    send = partial(_sent, client, session, order=order, plugin_name=plugin_name)
    changed: list[_Changed] = []
    for result in send(media, lambda medium: examine(session, medium)):
        if isinstance(result, _Changed):
            changed.append(result)
        else:
            yield result
    for result in send(changed, lambda each: _anew(session, each)):
        yield _failed(result.job, result.change) if isinstance(result, _Changed) else result


def _sent(
    client: Any,
    session: Session,
    items: Sequence[T],
    look: Callable[[T], Job | Outcome],
    *,
    order: Order,
    plugin_name: str,
) -> Iterator[Outcome | _Changed]:
    """Tasks are handed in as `look` finds what there is to do; their results come after."""
    tasks: dict[Any, Job] = {}
    stop = threading.Event()
    for found in work_through(items, look, crew_size(session.config), stop, session.clock):
        if isinstance(found, Outcome):
            yield found
            continue
        key = f"twfs-export-{found.medium.sid}-{uuid4().hex}"
        tasks[client.submit(export_on_worker, plugin_name, found, order, key=key, pure=False)] = found
    for task in as_completed(tasks, loop=client.loop):
        yield _result_of(task, tasks.pop(task))


def _anew(session: Session, changed: _Changed) -> Job | Outcome:
    """The job with what the medium is now, or why there is none."""
    job = changed.job
    try:
        return Job(job.medium, replacement(session, job.medium, job.info, changed.change))
    except TwfsError as error:
        return missed(session, job.medium, error, job.info.plain_size)


def _result_of(task: Any, job: Job) -> Outcome | _Changed:
    if task.status == "finished":
        result: Outcome | ObjectChanged = task.result()
        return _Changed(job, result) if isinstance(result, ObjectChanged) else result
    error = task.exception() if task.status == "error" else WorkerLost(f"the cluster gave it up ({task.status})")
    return _failed(job, error)


def _failed(job: Job, error: BaseException) -> Outcome:
    return failed(job.medium, error, job.info.plain_size)
