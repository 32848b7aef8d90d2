"""What the commands that transfer and prove media have in common."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from twfs.cli.progress import Progress
from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.transfer.outcome import Outcome
from twfs.transfer.proof import Md5
from twfs.transfer.whole import Watch

R = TypeVar("R")

_WITHOUT = {Md5.MULTIPART: "uploaded in parts", Md5.KMS: "the bucket's own key", Md5.NONE: "no ETag of S3"}


def progress_of(session: Session, media: Sequence[Medium]) -> Progress:
    """For all these media. No request."""
    total = sum(_expected_bytes(session, medium) for medium in media)
    return Progress(total, session.clock, media=len(media))


def watched(
    session: Session, progress: Progress, work: Callable[[Medium, Watch], R], has_failed: Callable[[R], bool]
) -> Callable[[Medium], R]:
    """`work`, with `progress` told of each medium's bytes and end."""

    def do(medium: Medium) -> R:
        share = progress.share(_expected_bytes(session, medium))
        result = work(medium, share)
        share.ended(is_good=not has_failed(result))
        return result

    return do


@contextmanager
def resumable() -> Iterator[None]:
    """Have an interrupted command say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("run the same command again to go on; what was fetched is kept") from None


def tally(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many of each ending there are, by its name."""
    return dict(sorted(Counter(outcome.ending.value for outcome in outcomes).items()))


def in_words(md5: Md5) -> str:
    """What the ETag proved; what it cannot prove is no failure."""
    return f"no MD5 to compare ({_WITHOUT[md5]})" if md5 in _WITHOUT else f"md5 {md5.value}"


def _expected_bytes(session: Session, medium: Medium) -> int:
    """About how many bytes it has: a size not known yet is as Twilio claims it. No request."""
    info = session.catalog.known_info(medium.sid)
    return info.plain_size if info else medium.claimed_size or 0
