"""Records of lists, parsed; what is none, or has too much in it, is told once."""

from twfs.catalog.trouble import Troubles
from twfs.errors import BadResource
from twfs.log import log
from twfs.resources import Kind, Medium, oversized, parse_medium


class Records:
    """Parses, and tells what it cannot take over."""

    def __init__(self, troubles: Troubles) -> None:
        """`troubles` is told of records that are skipped."""
        self._troubles = troubles
        self._cut: set[str] = set()
        """Fields that some record had too long."""

    def parse(self, kind: Kind, record: object) -> Medium | None:
        """The medium; None if the record is skipped."""
        try:
            return parse_medium(kind, record)
        except BadResource as error:
            self._troubles.arose(("record", kind), error, "a record of the listing is skipped")
            return None

    def tell_cut(self, medium: Medium, record: object) -> None:
        """One line for each field that is too long in some record."""
        for name in set(oversized(record)) - self._cut:
            self._cut.add(name)
            log.warning("%s: its %s is longer than Twilio allows, and is cut or left out", medium.sid, name)
