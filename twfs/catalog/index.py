"""What media exist, folder by folder: the part of the catalogue that the file system lists and looks names up by.

Every question is a short query to the state file, which neither waits for the network nor for a writer. As long as it
is not known what there is, it raises `Unreachable`.
"""

from collections.abc import Mapping, Sequence

from twfs.catalog import queries
from twfs.catalog.all_media import AllMedia
from twfs.catalog.known import ProbeBook
from twfs.catalog.probes import Prober
from twfs.catalog.rows import Size
from twfs.catalog.store import Store
from twfs.catalog.trust import SizeTrust
from twfs.folders import KnownFolder, PlacedMedium, Totals
from twfs.resources import Medium


class Index:
    """Names, sizes and sums, as far as known."""

    _store: Store
    _prober: Prober
    _trust: SizeTrust
    _book: ProbeBook

    def find(self, sid: str) -> PlacedMedium | None:
        """The completed medium of that SID, if it is of the selection."""
        entry = self._store.shown(sid)
        return None if entry is None else PlacedMedium(entry.number + queries.COOKIES_FROM, entry.medium)

    def folder(self, path: str) -> KnownFolder | None:
        """The folder at `path`, if it is shown (`twfs.folders`)."""
        return self._store.ask(queries.folder, path)

    def subfolders(self, path: str, after: int, limit: int) -> Sequence[KnownFolder]:
        """At most `limit` of the folders shown in `path` that have cookies above `after`, in that order."""
        return self._store.ask(queries.subfolders, path, after, limit)

    def page(self, path: str, after: int, limit: int) -> Sequence[PlacedMedium]:
        """The same of the media in `path`."""
        return self._store.ask(queries.page, path, after, limit)

    def known_sizes(self, sids: Sequence[str]) -> list[tuple[int, bool] | None]:
        """What `known_size` tells of each, in one go."""
        sizes = self._store.ask(queries.sizes, sids)
        return [self._known_size(sid, sizes[sid]) if sid in sizes else None for sid in sids]

    def _known_size(self, sid: str, size: Size | None) -> tuple[int, bool] | None:
        if size is None:
            # What Twilio says of it matters only where that is believed.
            return self._prober.known_size(sid) if self._trust.has_begun else None
        return (size.plain_size, True) if self._book.holds(size) else None

    def totals(self) -> Totals:
        """How much there is, as far as known."""
        sums = self._store.ask(queries.sums)
        return Totals(sum(each.media for each in sums), self._trust.known_bytes(sums))

    def media(self) -> Mapping[str, Medium]:
        """All completed media of the selection by SID, as they are whenever that is asked."""
        return AllMedia(self._store)
