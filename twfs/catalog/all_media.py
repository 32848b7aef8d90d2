"""All media as a mapping, for who goes through them: read from the state file as they are wanted, page by page."""

from collections.abc import ItemsView, Iterator, Mapping, ValuesView

from twfs.catalog import queries
from twfs.catalog.rows import Entry
from twfs.catalog.store import Store
from twfs.resources import Medium

_PAGE = 1000
"""Media read in one go: some 20 ms in which a change has to wait at most."""


class AllMedia(Mapping[str, Medium]):
    """Shown media by SID, in listing order. Two looks may differ; what is there during a pass over all comes once.

    Everything raises `Unreachable` as long as no listing came whole.
    """

    def __init__(self, store: Store) -> None:
        """No I/O."""
        self._store = store

    def __getitem__(self, sid: str) -> Medium:
        """The medium, by the catalogue's cache.

        Raises:
            KeyError: it is not shown.
        """
        entry = self._store.shown(sid)
        if entry is None:
            raise KeyError(sid)
        return entry.medium

    def __iter__(self) -> Iterator[str]:
        """The SIDs."""
        return (entry.medium.sid for entry in self._entries())

    def __len__(self) -> int:
        """How many: a sum that is kept."""
        return sum(each.media for each in self._store.ask(queries.sums))

    def items(self) -> ItemsView[str, Medium]:
        """Without a look-up for each."""
        return _Items(self)

    def values(self) -> ValuesView[Medium]:
        """Without a look-up for each."""
        return _Values(self)

    def _entries(self) -> Iterator[Entry]:
        number = 0
        while some := self._store.ask(queries.shown_after, number, _PAGE):
            yield from some
            number = some[-1].number


class _Items(ItemsView[str, Medium]):
    _mapping: AllMedia

    def __iter__(self) -> Iterator[tuple[str, Medium]]:
        return ((entry.medium.sid, entry.medium) for entry in self._mapping._entries())  # noqa: SLF001 - its own view


class _Values(ValuesView[Medium]):
    _mapping: AllMedia

    def __iter__(self) -> Iterator[Medium]:
        return (entry.medium for entry in self._mapping._entries())  # noqa: SLF001 - its own view
