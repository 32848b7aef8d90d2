"""What systemd is told of a mount: that it stands, what it does, that it still answers, that it ends (sd_notify(3))."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from twfs.clock import Clock
from twfs.errors import ConfigError
from twfs.log import OncePerTrouble, log
from twfs.mount.hardening import childs_environment
from twfs.threads import start_thread

_MICROSECONDS = 1e6
_PINGS_PER_TIMEOUT = 3
"""One late answer must not be the end; sd_watchdog_enabled(3) asks for two at least."""
_PATIENCE_SECONDS = 5.0
_TELL_SECONDS = 5.0
_EXTEND_USEC = 60_000_000
"""For which systemd is to wait after each sign that a listing comes on: some retries of one page take as long."""


class Notifier:
    """Datagrams to the service manager; without one that listens, nothing happens."""

    def __init__(self, address: str | None) -> None:
        """Sends to `address`: a path, or `@name` for a socket of the abstract name space.

        Raises:
            ConfigError: the address is neither.
        """
        if address and address[0] not in "/@":
            raise ConfigError(f"NOTIFY_SOCKET={address!r} is no socket of this machine; unset it")
        self._address = f"\0{address[1:]}" if address and address[0] == "@" else address

    @property
    def is_heard(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self._address)

    def send(self, **fields: str) -> None:
        """`READY="1"` and its like, in one datagram; a line feed in a value becomes a space."""
        if not self._address:
            return
        text = "\n".join(f"{name}={' '.join(value.splitlines())}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                # A path need not be UTF-8; a datagram must be.
                channel.sendto(text.encode(errors="replace"), self._address)
        except OSError as error:
            # The service manager draws its own conclusions from silence; the mount must go on.
            log.warning("the service manager cannot be told %s: %s", ", ".join(fields), error.strerror)


class Answers(Protocol):
    """Whether the mount answers at this moment, found out within `seconds`."""

    def __call__(self, seconds: float) -> bool:
        """True: it does."""
        ...


class Listed(Protocol):
    """A catalogue that is being listed."""

    @property
    def listed(self) -> int:
        """Media that this process has seen so far."""

    @property
    def listed_before(self) -> int:
        """Those of an earlier attempt, which it goes on from."""


class Supervision:
    """Keeps the service manager informed while a mount stands, from a thread of its own."""

    def __init__(self, notifier: Notifier, period: float | None, answers: Answers, describe: Callable[[], str]) -> None:
        """Every `period` seconds, if `answers`, the watchdog is told so, with the line that `describe` gives."""
        self._notifier = notifier
        self._period = period
        self._answers = answers
        self._describe = describe
        self._complaints = OncePerTrouble()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """The mount stands; not before the daemonising fork, for a thread is started."""
        self._notifier.send(READY="1", **self._status())
        if self._period is not None:
            self._thread = start_thread(partial(self._watch, self._period), "watchdog")

    def end(self) -> None:
        """The mount is ending."""
        self._ended.set()
        self._notifier.send(STOPPING="1", STATUS="ending")
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)

    def _watch(self, period: float) -> None:
        while not self._ended.wait(period):
            if self._answers(period):
                self._notifier.send(WATCHDOG="1", **self._status())
            elif not self._ended.is_set():
                log.error("the mount does not answer; the service manager will end it")

    def _status(self) -> dict[str, str]:
        """The line, unless it fails: neither the mount nor its signs of life hang on that."""
        if not self._notifier.is_heard:
            # Of 100,000 media it takes a fifth of a second, while the mount is waited for.
            return {}
        try:
            return {"STATUS": self._describe()}
        except Exception as failure:  # noqa: BLE001 - whatever it is
            self._complaints.warn("status", f"the service manager is told no status: {type(failure).__name__}")
            return {}


def supervision(place: Path, environ: Mapping[str, str], describe: Callable[[], str]) -> Supervision:
    """What the environment asks for: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.

    Raises:
        ConfigError: one of them is nonsense.
    """
    notifier = Notifier(environ.get("NOTIFY_SOCKET"))
    return Supervision(notifier, _period(environ), lambda seconds: answers(place, seconds), describe)


def answers(place: Path, seconds: float) -> bool:
    """Whether a process of its own gets an answer from the mount at `place` within `seconds`.

    Not this process: killed while it waits for an answer of its own, it could not die, for the kernel would wait
    for the answer too. `stat -f` asks for statfs(2), which no cache of the kernel answers.
    """
    try:
        asked = subprocess.run(  # noqa: S603 - a fixed tool, the path is one argument
            ["/usr/bin/stat", "--file-system", "--format=%T", "--", str(place)],
            env=childs_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    except OSError as error:
        log.warning("cannot ask whether the mount answers: %s", error)
        return False
    return asked.returncode == 0


@contextmanager
def listing_told(environ: Mapping[str, str], catalog: Listed, clock: Clock) -> Iterator[None]:
    """Tell the service manager how a listing comes on while the block runs, and have it wait as long as it does.

    Raises:
        ConfigError: `NOTIFY_SOCKET` is nonsense.
    """
    notifier = Notifier(environ.get("NOTIFY_SOCKET"))
    if not notifier.is_heard:
        yield
        return
    over = threading.Event()
    told = ListingTold(notifier, catalog, clock)
    thread = start_thread(lambda: told.until(over), "listing-told")
    try:
        yield
    finally:
        over.set()
        thread.join()


class ListingTold:
    """Tells how a listing comes on."""

    def __init__(self, notifier: Notifier, catalog: Listed, clock: Clock) -> None:
        """It begins now."""
        self._notifier = notifier
        self._catalog = catalog
        self._clock = clock
        self._began = clock.monotonic()
        self._last = 0

    def until(self, over: threading.Event) -> None:
        """Tell it again and again."""
        while not over.wait(_TELL_SECONDS):
            self.tell()

    def tell(self) -> None:
        """Only of a listing that comes on the end is worth waiting for."""
        now = self._catalog.listed
        line = listing_line(self._catalog, self._clock.monotonic() - self._began)
        more = {"EXTEND_TIMEOUT_USEC": str(_EXTEND_USEC)} if now > self._last else {}
        self._last = now
        self._notifier.send(STATUS=line, **more)


def listing_line(catalog: Listed, seconds: float) -> str:
    """How many media a listing has shown so far, that of an earlier attempt included, and how fast they come."""
    listed = catalog.listed
    line = f"listing the account: {catalog.listed_before + listed:,} media so far"
    return f"{line}, {listed / seconds:,.0f}/s" if seconds >= 1 and listed else line


def status_line(place: Path, catalog: Mapping[str, Any], *, stands: bool = True) -> str:
    """What `systemctl status` shows of a mount whose catalogue says that of itself, and that `stands` at `place`."""
    if not stands:
        return f"not mounted at {place} any more; what is served is a copy in another mount namespace"
    count = sum(catalog["media"].values())
    trouble = catalog["refresh_error"] or catalog["probe_error"]
    return f"{count} media at {place}" + (f"; {trouble}" if trouble else "")


def _period(environ: Mapping[str, str]) -> float | None:
    """Seconds between two signs of life; None if nobody waits for them, or for another process's."""
    text = environ.get("WATCHDOG_USEC")
    if not text or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ConfigError(f"WATCHDOG_USEC={text!r} is no time; unset it")
    return int(text) / _MICROSECONDS / _PINGS_PER_TIMEOUT
