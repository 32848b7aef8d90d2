"""Puts together what keeps account of a mount, and what shows it: files, signals, HTTP, the access log."""

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twfs.fuse.binding import Binding
from twfs.log import log
from twfs.metrics import CallMeter
from twfs.mount.audit import Audit, audit_writer
from twfs.mount.metrics_file import metrics_file, metrics_handler, metrics_registry
from twfs.mount.metrics_server import MetricsServer, metrics_server
from twfs.mount.observation import Observation
from twfs.mount.open_files import Access, OpenFiles
from twfs.mount.processes import Process, process_of
from twfs.mount.session import Session
from twfs.mount.signals import Signals, has_terminal
from twfs.mount.status import status_file, status_of


@dataclass(frozen=True, slots=True)
class Observer:
    """What the mount must tell of itself, and where it can be seen."""

    calls: CallMeter
    open_files: OpenFiles
    files: Mapping[str, Callable[[], bytes]]
    """Of the folder `.twfs`."""
    _signals: Signals
    _server: MetricsServer | None

    def begin(self) -> None:
        """The mount stands; not before the daemonising fork, for threads are started."""
        self._signals.begin()
        if self._server is not None:
            self._server.begin()


@contextmanager
def observed(session: Session, source: str, place: Path, binding: Binding) -> Iterator[Observer]:
    """An observer while the block runs; before any thread is started, for signals must be blocked in all.

    Raises:
        ConfigError: the access log cannot be written, or the port for the metrics cannot be had.
    """
    audit = _audit(session, source, place)
    calls = CallMeter(session.clock.monotonic)
    open_files = OpenFiles(lambda: _who(binding), session.clock, audit or _unrecorded)
    seen = Observation(session, source, place, binding, calls, open_files, audit)
    state, registry = status_of(seen), metrics_registry(seen)
    files = {"status": status_file(state), "metrics": metrics_file(registry)}
    signals = Signals(_actions(session, state))
    with signals.blocked(), metrics_server(session.config.metrics, metrics_handler(registry)) as server:
        try:
            yield Observer(calls, open_files, files, signals, server)
        finally:
            open_files.end()


def _actions(session: Session, state: Callable[[], Mapping[str, Any]]) -> dict[signal.Signals, Callable[[], None]]:
    def log_status() -> None:
        log.info("status %s", json.dumps(state()))

    def refresh() -> None:
        log.info("looking for new media, credentials and private keys, as SIGHUP asks for")
        session.reloading.look_now()
        session.catalog.try_again()

    actions = {signal.SIGUSR1: log_status}
    return actions if has_terminal() else {**actions, signal.SIGHUP: refresh}


def _audit(session: Session, source: str, place: Path) -> Audit | None:
    config = session.config
    if config.audit is None:
        return None
    every = {"account_sid": config.account_sid, "source": source, "mountpoint": str(place)}
    return Audit(audit_writer(config.audit, place), session.clock.wall, **every)


def _unrecorded(_access: Access) -> None:
    """Nobody wants an access log."""


def _who(binding: Binding) -> tuple[int, Process]:
    uid, thread = binding.calling_thread()
    return uid, process_of(thread)
