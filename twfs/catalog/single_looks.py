"""Single looks at media that are in doubt or not finished: only they make a medium vanish."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import nsmallest

from twfs.catalog import queries
from twfs.catalog.ports import Listing
from twfs.catalog.rows import Entry
from twfs.catalog.side_by_side import side_by_side
from twfs.catalog.store import Store
from twfs.catalog.trouble import Troubles
from twfs.clock import Clock
from twfs.errors import CredentialsRefused, NotFound, RemoteError
from twfs.resources import Kind, Medium

FETCH_LIMIT = 100
"""Single looks per round: 100 in 60 s are 2% of the account's quota of 80 requests/s."""
DOUBT_SECONDS = 10.0
"""A medium is looked at again for a reader's complaint no more often than this."""

Parse = Callable[[Kind, object], Medium | None]


@dataclass
class Found:
    """What single looks found."""

    changed: list[Medium] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    """Those that Twilio still has."""
    unknown: set[str] = field(default_factory=set)
    """Those that are known no more, for which there was nothing to ask."""
    came_through: bool = True
    """Whether no outage ended them early."""


class SingleLooks:
    """Which media are in doubt, and what asking for each finds. Doubts may come from any thread."""

    def __init__(  # noqa: PLR0917 - what it is made of
        self,
        listing: Listing,
        store: Store,
        clock: Clock,
        troubles: Troubles,
        parse: Parse,
        is_stopping: Callable[[], bool],
    ) -> None:
        """No request. `parse` makes a medium of a record, None of what is none."""
        self._listing = listing
        self._store = store
        self._clock = clock
        self._troubles = troubles
        self._parse = parse
        self._is_stopping = is_stopping
        self._lock = threading.Lock()
        # True: a reader complained, so its object must be examined again if it is still there.
        self._suspects: dict[str, bool] = {}
        self._doubted_at: dict[str, float] = {}
        self.turns: dict[str, int] = {}
        """How often each medium that waits was asked for."""

    def __len__(self) -> int:
        """Media whose existence is in doubt."""
        return len(self._suspects)

    def doubt(self, sid: str) -> None:
        """A list lacks it, or says something else than is known."""
        with self._lock:
            self._suspects.setdefault(sid, False)

    def complaint(self, sid: str) -> bool:
        """A reader was told that `sid` is not there; whether it is to be asked for soon."""
        if self._store.known(queries.find, sid) is None:
            return False
        with self._lock:
            now = self._clock.monotonic()
            if now - self._doubted_at.get(sid, -DOUBT_SECONDS) < DOUBT_SECONDS:
                return False
            self._doubted_at = {each: at for each, at in self._doubted_at.items() if now - at < DOUBT_SECONDS}
            self._doubted_at[sid] = now
            self._suspects[sid] = True
            return True

    def look(self, is_fresh: Callable[[Entry], bool] | None, at_once: int = 1) -> Found:
        """Ask for suspects and for unsettled media that are not fresh, at most `FETCH_LIMIT` in all.

        Args:
            is_fresh: whether a list has just told the status of an unsettled one; None: of suspects alone.
            at_once: so many requests.
        """
        with self._lock:
            suspects = list(self._suspects)
        waiting = suspects
        if is_fresh is not None:
            unsettled = (entry for entry in self._store.known(queries.unsettled) if not is_fresh(entry))
            waiting = list(dict.fromkeys([*suspects, *(entry.medium.sid for entry in unsettled)]))
            self.turns = {sid: self.turns.get(sid, 0) for sid in waiting}
        # Those first that were asked for least: one for which no answer comes holds up no other.
        turn = nsmallest(FETCH_LIMIT, waiting, key=lambda sid: self.turns.get(sid, 0))
        known = self._store.known(queries.find_all, turn)
        found = self._ask_for([known[sid].medium for sid in turn if sid in known], at_once)
        found.unknown.update(sid for sid in turn if sid not in known)
        return found

    def clear(self, found: Found) -> list[str]:
        """What was found was applied: those that are there or gone are in doubt no more; readers' that are there."""
        settled = found.confirmed | found.gone | found.unknown
        with self._lock:
            complaints = [sid for sid in settled if self._suspects.pop(sid, False)]
        return [sid for sid in complaints if sid in found.confirmed]

    def _ask_for(self, asked: list[Medium], at_once: int) -> Found:
        """Ask for each; an outage ends it early."""
        found = Found()
        side_by_side("look", lambda medium: self._look(medium, found), asked, at_once)
        # Also when there was none to ask for: what could not be looked at was settled by a list, or is gone.
        if found.came_through:
            self._troubles.ended("single", "media in doubt could be looked at again")
        return found

    def _look(self, medium: Medium, found: Found) -> None:
        """Ask for one, unless it is known by now that none can be asked for."""
        if self._is_stopping() or not found.came_through:
            return
        self.turns[medium.sid] = self.turns.get(medium.sid, 0) + 1
        try:
            record = self._listing.fetch(medium.kind, medium.sid)
        except NotFound:
            found.gone.add(medium.sid)
        except (RemoteError, CredentialsRefused) as error:
            found.came_through = False
            self._troubles.arose("single", error, "media in doubt could not be looked at; they stay as they are")
        else:
            self._take_record(medium, record, found)

    def _take_record(self, medium: Medium, record: object, found: Found) -> None:
        now_it_is = self._parse(medium.kind, record)
        if now_it_is is None or now_it_is.sid != medium.sid:
            return
        found.confirmed.add(medium.sid)
        if now_it_is != medium:
            found.changed.append(now_it_is)
