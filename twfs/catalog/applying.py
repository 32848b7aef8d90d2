"""What lists and looks found, written to the store: one writer of the list at a time."""

import threading
from collections.abc import Callable, Collection
from sqlite3 import Connection

from twfs.catalog.options import CatalogSettings
from twfs.catalog.rows import Entry
from twfs.catalog.store import Store
from twfs.resources import Medium

OnChange = Callable[[Collection[str], Collection[Entry]], None]
"""Follows every change: the SIDs that went, and readable media that Twilio now claims to have another size."""


class Applying:
    """Writes media. Thread-safe."""

    def __init__(self, store: Store, settings: CatalogSettings, on_change: OnChange) -> None:
        """No I/O."""
        self._store = store
        self._settings = settings
        self._on_change = on_change
        self._lock = threading.Lock()
        self._deleted: set[str] = set()

    def write(
        self,
        changed: list[Medium],
        gone: Collection[str] = (),
        *,
        then: Callable[[Connection], None] | None = None,
    ) -> None:
        """Add or replace media, and drop those that are gone; deleted ones that a listing or a look names are, too.

        `then` is done in the same transaction.
        """
        with self._lock:
            kept = [medium for medium in changed if not self.is_deleted(medium)]
            dropped = {medium.sid for medium in changed if self.is_deleted(medium)}.union(gone)
            if not (kept or dropped or then):
                return
            applied = self._store.apply(kept, dropped, shows=self.shows, then=then)
        if self._store.is_whole and (kept or dropped):
            self._on_change(dropped, applied.contradicted)

    def forget(self, sid: str) -> None:
        """`sid` was deleted just now: it goes at once, and no listing that began before brings it back."""
        with self._lock:
            self._deleted.add(sid)
        self.write([], {sid})

    def became_whole(self) -> None:
        """All was listed: what is shown is asked for from now on."""
        self._on_change((), ())

    def is_deleted(self, medium: Medium) -> bool:
        """Whether it says so, or this process has deleted it."""
        return medium.status == "deleted" or medium.sid in self._deleted

    def shows(self, medium: Medium) -> bool:
        """Whether it is a file of the mount."""
        return medium.is_completed and self._settings.includes(medium)

    def would_hide(self, entry: Entry, medium: Medium) -> bool:
        """Whether a file would vanish if that were taken over, though it does not say that it was deleted."""
        return entry.is_shown and not self.shows(medium) and not self.is_deleted(medium)
