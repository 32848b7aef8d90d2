"""What is known of each medium's stored object: proven facts in the store, absences for a moment in memory."""

import threading
from collections import deque
from collections.abc import Iterable

from twfs.catalog import queries
from twfs.catalog.ports import Interpreter
from twfs.catalog.queries import Sums
from twfs.catalog.rows import STATES, Entry, Size
from twfs.catalog.store import Store
from twfs.catalog.trust import SizeTrust
from twfs.clock import Clock
from twfs.probe import MediaInfo, MediaState

ABSENT_SECONDS = 60.0
"""How long a 404 of /Media is believed: it also comes for some seconds after a recording was completed."""

_AT_ONCE = 64
"""Media that other keys have judged, looked up in one go."""

_BEGINNING = ("", 0)
"""Before all keys and numbers."""


class ProbeBook:
    """Every probe's outcome by SID.

    READABLE was proven once and holds for good. LOCKED and DAMAGED are what certain keys could not prove: where there
    are others, the stored facts are interpreted once more before that is believed. No method makes a request.
    """

    def __init__(self, store: Store, interpreter: Interpreter, trust: SizeTrust, clock: Clock) -> None:
        """No I/O."""
        self._store = store
        self._interpreter = interpreter
        self._trust = trust
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = interpreter.keys
        self._unproven: deque[str] = deque()
        self._proven_to: tuple[str, int] | None = _BEGINNING
        """How far that came; None: to the end."""
        self._absent: dict[str, float] = {}

    def load(self) -> None:
        """Take over what the store knows."""
        self._keys, self._proven_to = self._interpreter.keys, _BEGINNING
        self._trust.load()

    def plain_size(self, entry: Entry) -> int | None:
        """The plain size (bytes) of a medium if it was probed and interpreted."""
        return entry.size.plain_size if entry.size is not None and self.holds(entry.size) else None

    def is_unheard_of(self, entry: Entry) -> bool:
        """Whether nothing is known of it, not even something that must be proven first, or that it was absent."""
        return entry.size is None and not entry.has_damaged_size and not self.was_absent(entry.medium.sid)

    def known(self, sid: str) -> MediaInfo | None:
        """What is known of `sid`; RSA work only for one that other keys could not open, and only once."""
        entry = self._store.entry(sid)
        if entry is None:
            return None
        if entry.size is not None or entry.has_damaged_size:
            return self._store.probe(sid) if self.holds(entry.size) else self.prove(sid)
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
        entry = self._store.entry(sid)
        return entry is not None and entry.size is not None and self.holds(entry.size)

    def next_unproven(self) -> str | None:
        """A medium that `prove` should look at, if any is left; several threads are given several.

        One pass for each set of keys. Another mount with other keys writes its own verdicts to the same state file: if
        each proved again what the other has proven, neither would ever end.
        """
        with self._lock:
            if not self._unproven and self._proven_to is not None:
                rows = self._store.ask(queries.closed, self._keys, self._proven_to, _AT_ONCE)
                self._unproven.extend(sid for _, _, sid in rows)
                self._proven_to = rows[-1][:2] if rows else None
            return self._unproven.popleft() if self._unproven else None

    def prove(self, sid: str) -> MediaInfo | None:
        """Interpret the stored facts of `sid` with the present keys."""
        before = self._store.probe(sid)
        if before is None or before.facts is None:
            return None
        info = self._interpreter.interpret(before.facts)
        entry = self._store.entry(sid)
        if info != before or entry is None or not self.holds(entry.size):
            self.record(sid, info)
        return self._store.probe(sid)

    def doubt_unreadable(self) -> bool:
        """There are other keys: what was not readable must be proven anew; whether there is any such medium."""
        before, self._keys = self._keys, self._interpreter.keys
        if before == self._keys:
            return False
        with self._lock:
            self._unproven.clear()
            self._proven_to = _BEGINNING
        return any(each.state for each in self._store.known(queries.sums))

    def record(self, sid: str, info: MediaInfo) -> None:
        """A probe came back with facts."""
        before = self._store.entry(sid)
        if not self._store.save_probe(sid, info, self._keys):
            return
        with self._lock:
            self._absent.pop(sid, None)
        if before is None or before.size is None or (before.size.state, before.size.plain_size) != _size(info):
            self._trust.learn(sid, info)

    def record_absent(self, sid: str) -> bool:
        """A probe found no media; whether this is the first time for `sid`."""
        with self._lock:
            is_first = sid not in self._absent
            self._absent[sid] = self._clock.monotonic()
            return is_first

    def drop(self, sids: Iterable[str]) -> None:
        """These media are gone (the store forgets them with their resources)."""
        with self._lock:
            for sid in sids:
                self._absent.pop(sid, None)

    def states(self, sums: Iterable[Sums]) -> dict[str, int]:
        """How many media are in each state; `unknown` are those that were never probed or not yet interpreted."""
        counts = dict.fromkeys((*(state.value for state in MediaState), "unknown"), 0)
        for each in sums:
            is_known = each.state is not None and (not each.state or each.keys == self._keys)
            counts[STATES[each.state or 0].value if is_known else "unknown"] += each.media
        with self._lock:
            absent = min(len(self._absent), counts["unknown"])
        counts[MediaState.ABSENT.value] += absent
        counts["unknown"] -= absent
        return counts

    def holds(self, size: Size | None) -> bool:
        """Whether what is known of an object is what the present keys say."""
        return size is None or size.state is MediaState.READABLE or size.keys == self._keys


def _size(info: MediaInfo) -> tuple[MediaState, int]:
    return info.state, info.plain_size
