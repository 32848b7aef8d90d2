"""One medium to be exported: what is known of it, its name, and the work itself."""

import threading
from contextlib import closing
from dataclasses import dataclass, replace

from twfs.errors import MediaAbsent, ObjectChanged, TwfsError
from twfs.export.destination import Destination, Goods, LocalFolder, Write
from twfs.export.outcome import Ending, Outcome
from twfs.export.refusals import obstacle_of
from twfs.folders import date_path
from twfs.fs.names import view_name
from twfs.mount.session import Session
from twfs.probe import MediaInfo
from twfs.resources import Medium
from twfs.transfer.goal_folder import FolderGone
from twfs.transfer.proof import Proof
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.shortcomings import Shortcomings
from twfs.transfer.whole import Stopped, Watch, fetch_rest, readable_info, unless_deleted


@dataclass(frozen=True, slots=True)
class Order:
    """Where to, and how."""

    destination_url: str
    with_md5: bool = True
    """Whether an ETag that looks like an MD5 is one (not in buckets under KMS)."""


@dataclass(frozen=True, slots=True)
class Job:
    """A medium that can be read. Holds nothing secret (the content key in it is wrapped), so it may travel."""

    medium: Medium
    info: MediaInfo

    @property
    def goods(self) -> Goods:
        """As the destination sees it."""
        medium, info = self.medium, self.info
        etag = info.etag if info.facts is not None and info.facts.has_strong_etag else ""
        return Goods(name_of(medium), info.plain_size, medium.changed_at, medium.sid, info.identity, etag)


def name_of(medium: Medium) -> str:
    """`2017/11/23/NAME`, as in `by-date` of a mount."""
    return f"{date_path(medium.created_at)}/{view_name(medium)}"


def examine(session: Session, medium: Medium) -> Job | Outcome:
    """The job of exporting it, or why there is none. A size not yet known is asked for, once for good."""
    try:
        return Job(medium, readable_info(session, medium))
    except TwfsError as error:
        return missed(session, medium, error)


def carry_out(
    pool: ReaderPool,
    job: Job,
    order: Order,
    stop: threading.Event,
    watch: Watch | None = None,
    *,
    shortcomings: Shortcomings | None = None,
) -> Outcome:
    """Copy it unless it is there. Of what else is wrong with it or with the destination the outcome tells.

    Raises:
        ObjectChanged: it is another object than the job says.
    """
    goods = job.goods
    destination: Destination | None = None
    try:
        destination = Destination.at(order.destination_url, shortcomings)
        if destination.has(goods):
            return ended(job.medium, Ending.SKIPPED, "it is there already", goods.plain_size)
        with destination.writing(goods) as write:
            _pour(pool, job, write, stop, watch or Unwatched(), with_md5=order.with_md5)
    except Exception as error:  # a destination's library raises what it likes; the report says what
        outcome = missed(pool.session, job.medium, error, goods.plain_size)
        if isinstance(error, ObjectChanged) and outcome.ending is Ending.FAILED:
            raise
        return _refused(outcome, error, order.destination_url, destination)
    return ended(job.medium, Ending.WRITTEN, "", goods.plain_size)


def ended(medium: Medium, ending: Ending, reason: str, plain_size: int | None = None) -> Outcome:
    """The row of a medium."""
    return Outcome(medium.sid, name_of(medium), ending, reason, plain_size)


def missed(session: Session, medium: Medium, error: Exception, plain_size: int | None = None) -> Outcome:
    """The row of a medium that was not exported: skipped if Twilio has no media for it, or has them no more."""
    cause = unless_deleted(session, medium, error)
    if isinstance(cause, MediaAbsent):
        return Outcome(medium.sid, name_of(medium), Ending.SKIPPED, str(cause), has_media=False)
    return failed(medium, cause, plain_size)


def failed(medium: Medium, error: BaseException, plain_size: int | None = None) -> Outcome:
    """The row of a medium that was not exported."""
    text = " ".join(str(error).split())
    named = text if isinstance(error, TwfsError) else f"{type(error).__name__}: {text}"
    return ended(medium, Ending.FAILED, named.removeprefix(f"{medium.sid}: "), plain_size)


def _refused(outcome: Outcome, error: Exception, url: str, destination: Destination | None) -> Outcome:
    """The row with the destination's trouble in its words, if that it was."""
    if isinstance(error, TwfsError):
        return replace(outcome, is_shared=isinstance(error, Stopped | FolderGone))
    root = destination.root if isinstance(destination, LocalFolder) else None
    obstacle = obstacle_of(url, root, error)
    return replace(outcome, reason=obstacle.reason, is_shared=obstacle.is_everywhere) if obstacle else outcome


def _pour(pool: ReaderPool, job: Job, write: Write, stop: threading.Event, watch: Watch, *, with_md5: bool) -> None:
    """Give `write` all of the medium, and prove it.

    Raises:
        TwfsError: it could not be had, or is not what S3 stores.
        Exception: whatever `write` raises.
    """
    with closing(Proof(job.info, pool.session.config.keyring, with_md5=with_md5)) as proof:
        fetch_rest(pool, job.medium, proof, 0, write=write, watch=watch, stop=stop)
        proof.conclude()


class Unwatched:
    """Nobody looks on while bytes come."""

    def spared(self, count: int) -> None:
        """Not told to anybody."""

    def advanced(self, count: int) -> None:
        """Not told to anybody."""
