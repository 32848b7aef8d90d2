"""What `get` and `verify` have in common."""

from collections import Counter
from collections.abc import Iterable

from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.transfer.outcome import Outcome


def expected_bytes(session: Session, media: Iterable[Medium]) -> int:
    """About how many bytes these media have: sizes not known yet are as Twilio claims them. No request."""
    total = 0
    for medium in media:
        info = session.catalog.known_info(medium.sid)
        total += info.plain_size if info else medium.claimed_size or 0
    return total


def tally(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many of each ending there are, by its name."""
    return dict(sorted(Counter(outcome.ending.value for outcome in outcomes).items()))
