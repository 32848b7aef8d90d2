"""What is known of each medium's stored object: proven facts in the store, absences for a moment in memory."""

import threading
from collections.abc import Collection, Iterable

from twfs.catalog.ports import Interpreter
from twfs.catalog.store import Store
from twfs.catalog.trust import SizeTrust
from twfs.clock import Clock
from twfs.probe import MediaInfo, MediaState

ABSENT_SECONDS = 60.0
"""How long a 404 of /Media is believed: it also comes for some seconds after a recording was completed."""


class ProbeBook:
    """Every probe's outcome by SID.

    READABLE was proven once and holds for good. LOCKED and DAMAGED are what the keys of *that* mount could not
    prove: each mount interprets the stored facts once more before it believes them. No method makes a request.
    """

    def __init__(self, store: Store, interpreter: Interpreter, trust: SizeTrust, clock: Clock) -> None:
        """No I/O."""
        self._store = store
        self._interpreter = interpreter
        self._trust = trust
        self._clock = clock
        self._lock = threading.Lock()
        self._believed: dict[str, tuple[MediaState, int]] = {}
        self._unproven: dict[str, None] = {}
        self._absent: dict[str, float] = {}

    def load(self) -> None:
        """Take over what the store knows."""
        self._trust.load()
        for sid, state, plain_size, encrypted in self._store.probed():
            if state is MediaState.READABLE:
                self._believed[sid] = (state, plain_size)
                self._trust.witness(sid, plain_size, encrypted=encrypted)
            else:
                self._unproven[sid] = None

    def plain_size(self, sid: str) -> int | None:
        """The plain size (bytes) of `sid` if it was probed and interpreted; from memory, no I/O."""
        believed = self._believed.get(sid)
        return None if believed is None else believed[1]

    def is_unheard_of(self, sid: str) -> bool:
        """Whether nothing is known of `sid`, not even something that must be proven first, or that it was absent."""
        with self._lock:
            return not (sid in self._believed or sid in self._unproven or sid in self._absent)

    def known(self, sid: str) -> MediaInfo | None:
        """What is known of `sid`; RSA work only for one that an earlier mount could not read, and only once."""
        if sid in self._believed:
            info = self._store.probe(sid)
            if info is None:
                self._forget(sid)
            return info
        if sid in self._unproven:
            return self.prove(sid)
        with self._lock:
            asked = self._absent.get(sid)
        if asked is not None and self._clock.monotonic() - asked < ABSENT_SECONDS:
            return MediaInfo(MediaState.ABSENT, 0)
        return None

    def was_absent(self, sid: str) -> bool:
        """Whether the last probe of `sid` found no media, however long ago in this mount."""
        with self._lock:
            return sid in self._absent

    def is_believed(self, sid: str) -> bool:
        """Whether `sid` was probed and interpreted, so that nothing is left to do for it."""
        return sid in self._believed

    def first_unproven(self) -> str | None:
        """A medium that `prove` should look at, if any is left; each call names another one."""
        with self._lock:
            sid = next(iter(self._unproven), None)
            if sid is not None:
                # Only to the end: until it is proven, `known` must go on proving it on demand.
                self._unproven[sid] = self._unproven.pop(sid)
            return sid

    def prove(self, sid: str) -> MediaInfo | None:
        """Interpret the stored facts of `sid` with the present keys."""
        before = self._store.probe(sid)
        if before is None or before.facts is None:
            self._forget(sid)
            return None
        info = self._interpreter.interpret(before.facts)
        if info != before:
            self._store.save_probe(sid, info)
        self._believe(sid, info)
        return info

    def doubt_unreadable(self) -> bool:
        """There are more keys: what was not readable must be proven anew; whether there is any such medium."""
        with self._lock:
            closed = [sid for sid, (state, _) in self._believed.items() if state is not MediaState.READABLE]
            for sid in closed:
                del self._believed[sid]
                self._unproven[sid] = None
            return bool(closed)

    def record(self, sid: str, info: MediaInfo) -> None:
        """A probe came back with facts."""
        self._store.save_probe(sid, info)
        self._believe(sid, info)

    def record_absent(self, sid: str) -> bool:
        """A probe found no media; whether this is the first time for `sid`."""
        with self._lock:
            is_first = sid not in self._absent
            self._absent[sid] = self._clock.monotonic()
            return is_first

    def drop(self, sids: Iterable[str]) -> None:
        """These media are gone (the store forgets them with their resources)."""
        for sid in sids:
            self._forget(sid)

    def states(self, sids: Collection[str]) -> dict[str, int]:
        """How many of `sids` are in each state; `unknown` are those that were never probed or not yet interpreted."""
        counts = dict.fromkeys((*(state.value for state in MediaState), "unknown"), 0)
        for sid in sids:
            believed = self._believed.get(sid)
            if believed is not None:
                counts[believed[0].value] += 1
            else:
                counts[MediaState.ABSENT.value if sid in self._absent else "unknown"] += 1
        return counts

    def plain_bytes(self, sids: Collection[str]) -> int:
        """Sum of the plain sizes known of `sids`."""
        # One look at each: another thread may drop it between two.
        return sum(self.plain_size(sid) or 0 for sid in sids)

    def _believe(self, sid: str, info: MediaInfo) -> None:
        believed = (info.state, info.plain_size)
        if self._believed.get(sid) != believed:
            self._trust.learn(sid, info)
        with self._lock:
            self._believed[sid] = believed
            self._unproven.pop(sid, None)
            self._absent.pop(sid, None)

    def _forget(self, sid: str) -> None:
        with self._lock:
            self._believed.pop(sid, None)
            self._unproven.pop(sid, None)
            self._absent.pop(sid, None)
