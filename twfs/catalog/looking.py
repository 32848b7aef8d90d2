"""One look at a stored object, and what it tells of network and account."""

import threading

from twfs.catalog.pauses import Pauses
from twfs.catalog.ports import Inspector, Interpreter
from twfs.catalog.store import Store
from twfs.catalog.trouble import Troubles
from twfs.clock import Clock, Deadline
from twfs.errors import (
    CredentialsRefused,
    DeadlineExceeded,
    MediaDamaged,
    NoSuchName,
    NotFound,
    RemoteError,
    Unreachable,
)
from twfs.probe import MediaInfo
from twfs.resources import Kind

_SIZE_LIMIT = 2**63


class Looking:
    """Asks and interprets; knows when background probing pauses for what that met. Thread-safe."""

    def __init__(
        self, inspector: Inspector, interpreter: Interpreter, store: Store, clock: Clock, troubles: Troubles
    ) -> None:
        """No request."""
        self._inspector = inspector
        self._interpreter = interpreter
        self._store = store
        self._clock = clock
        self._troubles = troubles
        self._lock = threading.Lock()
        self._pauses = Pauses(clock)

    def look(self, sid: str, deadline: Deadline) -> MediaInfo:
        """What the object is now.

        Raises:
            MediaAbsent, MediaDamaged, RemoteError, CredentialsRefused: as in `Inspector`.
            NoSuchName: there is no such medium.
        """
        entry = self._store.shown(sid)
        if entry is None:
            raise NoSuchName(f"there is no medium {sid}")
        kind, began = entry.medium.kind, self._clock.monotonic()
        try:
            facts = self._inspector.inspect(entry.medium, deadline)
        except (RemoteError, CredentialsRefused) as error:
            if _is_outage(error):
                self.pause(None, began, error)
            else:
                self._resume(None)
                if is_shared(error):
                    self.pause(kind, began, error)
            raise
        self._resume(None)
        self._resume(kind)
        if not 0 <= facts.stored_size < _SIZE_LIMIT:
            raise MediaDamaged(f"{sid}: S3 claims a size of {facts.stored_size} bytes")
        return self._interpreter.interpret(facts)

    def pause(self, kind: Kind | None, began: float, error: Exception) -> None:
        """A request that began then failed for a reason that all media share, or all of a kind."""
        with self._lock:
            self._pauses.begin(kind, began)
        self._troubles.arose(("probing", kind), error, f"examining {kind or 'media'} in the background is paused")

    def go_on(self) -> None:
        """End all pauses: what made them may be over."""
        with self._lock:
            self._pauses.end()

    def paused(self, kind: Kind | None = None) -> float:
        """Seconds that are left of the pause of this kind; None: of the one of all media."""
        with self._lock:
            return self._pauses.left(kind)

    def _resume(self, kind: Kind | None) -> None:
        with self._lock:
            self._pauses.end((kind,))
        self._troubles.ended(("probing", kind), f"examining {kind or 'media'} in the background goes on")


def is_shared(error: Exception) -> bool:
    """Whether it would, or may, meet other media of its kind too: what is not about one medium alone.

    A `RemoteError` that is nothing more particular is an answer that cannot be followed: one that leads to a host that
    is not allowed, or refuses the request as such.
    """
    return isinstance(error, RemoteError | CredentialsRefused) and not isinstance(error, NotFound)


def _is_outage(error: Exception) -> bool:
    """Whether it is about network or account, and would meet every other medium too."""
    return isinstance(error, Unreachable | DeadlineExceeded | CredentialsRefused)
