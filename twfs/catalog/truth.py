"""The last known truth: every resource by SID, changed in one stroke and read without a lock."""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from twfs.resources import Kind, Medium


class Truth:
    """All known resources, and those of them that are files of the mount.

    One writer at a time (the refresher sees to it); any number of readers: what they hold never changes.
    """

    def __init__(self, includes: Callable[[Medium], bool]) -> None:
        """Nothing known. `includes` tells which media the user selected."""
        self._includes = includes
        self._known: dict[str, Medium] = {}
        self._shown: Mapping[str, Medium] = MappingProxyType({})
        self.version = 0
        """Grows whenever `media()` changes."""

    def media(self) -> Mapping[str, Medium]:
        """Completed media of the selection by SID, in listing order: a snapshot."""
        return self._shown

    def get(self, sid: str) -> Medium | None:
        """The resource of any status, if known."""
        return self._known.get(sid)

    @property
    def count(self) -> int:
        """How many resources of any status are known."""
        return len(self._known)

    def of_kind(self, kind: Kind) -> list[Medium]:
        """All known resources of `kind`, of any status."""
        return [medium for medium in self._known.values() if medium.kind is kind]

    def unsettled(self) -> list[Medium]:
        """Resources whose status will still change."""
        return [medium for medium in self._known.values() if not medium.is_settled]

    def apply(self, changed: Iterable[Medium], gone: Collection[str] = ()) -> None:
        """Add or replace `changed`, drop `gone`, and show the outcome at once."""
        known = dict(self._known)
        known.update((medium.sid, medium) for medium in changed)
        for sid in gone:
            known.pop(sid, None)
        shown = {sid: medium for sid, medium in known.items() if medium.is_completed and self._includes(medium)}
        self._known = known
        if shown != self._shown:
            self._shown = MappingProxyType(shown)
            self.version += 1
