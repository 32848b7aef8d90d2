"""What the commands that transfer and prove media have in common."""

from collections import Counter
from collections.abc import Iterable

from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.transfer.outcome import Outcome
from twfs.transfer.proof import Md5

_WITHOUT = {Md5.MULTIPART: "uploaded in parts", Md5.KMS: "the bucket's own key", Md5.NONE: "no ETag of S3"}


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


def in_words(md5: Md5) -> str:
    """What the ETag proved; what it cannot prove is no failure."""
    return f"no MD5 to compare ({_WITHOUT[md5]})" if md5 in _WITHOUT else f"md5 {md5.value}"
