"""Media as files: fetched, decrypted, proven, and only then under their names."""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from twfs.crypto.cbc import AES_BLOCK
from twfs.crypto.keyring import PrivateKey
from twfs.errors import CredentialsRefused, MediaDamaged, TwfsError
from twfs.log import log
from twfs.probe import MediaInfo
from twfs.resources import Medium
from twfs.transfer.goal_folder import FolderGone
from twfs.transfer.obstacle import DestinationFailed, obstacle_at
from twfs.transfer.outcome import Ending, Outcome, failure
from twfs.transfer.part_file import PartFile
from twfs.transfer.present import is_there
from twfs.transfer.proof import Md5, Proof
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.shortcomings import Shortcomings
from twfs.transfer.whole import (
    Stopped,
    Watch,
    fetch_rest,
    readable_info,
    remembering_damage,
    unless_deleted,
    unless_replaced,
)


@dataclass(frozen=True, slots=True)
class _Filled:
    """How a part file became whole."""

    md5: Md5
    private_key: PrivateKey | None
    fetched: int
    resumed_at: int

    @property
    def is_proven(self) -> bool:
        """Whether all its bytes are S3's: bytes of before that no MD5 covers may be any."""
        return self.md5 is Md5.OK or (self.md5 is not Md5.UNASKED and not self.resumed_at)


class Downloader:
    """Fetches media of one session. Safe for use by several threads."""

    def __init__(
        self,
        pool: ReaderPool,
        goal_of: Callable[[Medium], Path],
        stop: threading.Event,
        *,
        with_md5: bool,
    ) -> None:
        """`goal_of` names each medium's file; `stop` is set when nothing more can succeed, and may be set by others."""
        self._pool = pool
        self._session = pool.session
        self._goal_of = goal_of
        self._stop = stop
        self._with_md5 = with_md5
        self._stopping = threading.Lock()
        self._shortcomings = Shortcomings()

    def fetch(self, medium: Medium, watch: Watch) -> Outcome:
        """Have the medium as a file. Never raises for what is wrong with it or with the disk: that is its outcome."""
        goal = self._goal_of(medium)
        try:
            info = readable_info(self._session, medium)
            if is_there(goal, medium.sid, info.plain_size, medium.changed_at, self._shortcomings):
                watch.spared(info.plain_size)
                return Outcome(medium, Ending.UNCHANGED, "", goal, info.plain_size, _stored_size(info), info.etag)
            return unless_replaced(self._session, medium, info, lambda info: self._fetch(medium, info, goal, watch))
        except (CredentialsRefused, FolderGone) as error:
            return self._stopped_by(medium, error)
        except TwfsError as error:
            return failure(medium, unless_deleted(self._session, medium, error))
        except OSError as error:
            obstacle = obstacle_at(goal.parent, error)
            failed = DestinationFailed(obstacle.reason)
            return self._stopped_by(medium, failed) if obstacle.is_everywhere else failure(medium, failed)

    def _stopped_by(self, medium: Medium, cause: TwfsError) -> Outcome:
        """The row of a medium whose trouble is that of all others: told of the first one alone."""
        with self._stopping:
            is_first = not self._stop.is_set()
            self._stop.set()
        return failure(medium, cause if is_first else Stopped("called off"))

    def _fetch(self, medium: Medium, info: MediaInfo, goal: Path, watch: Watch) -> Outcome:
        began = self._session.clock.monotonic()
        with PartFile(goal, _identity(medium, info), self._shortcomings) as part:
            filled = self._fill(medium, info, part, watch)
            part.commit(medium.changed_at)
        if filled.is_proven and info.facts is not None:
            self._session.catalog.record_verified(medium.sid, info.facts)
        return Outcome(
            medium,
            Ending.WRITTEN,
            path=goal,
            plain_size=info.plain_size,
            stored_size=_stored_size(info),
            etag=info.etag,
            md5=filled.md5,
            private_key=filled.private_key,
            fetched=filled.fetched,
            resumed_at=filled.resumed_at,
            seconds=self._session.clock.monotonic() - began,
        )

    def _fill(self, medium: Medium, info: MediaInfo, part: PartFile, watch: Watch) -> _Filled:
        """Make the part file whole.

        Raises:
            MediaDamaged: it is not what S3 stores, fetched from its first byte on; the part file is gone.
            Exception: as `fetch_rest`; the part file is kept.
        """
        with closing(Proof(info, self._session.config.keyring, with_md5=self._with_md5)) as proof:
            resumed_at = _resume(part, proof)
            fetched = info.plain_size - resumed_at
            watch.spared(resumed_at)
            fetch_rest(self._pool, medium, proof, resumed_at, write=part.write, watch=watch, stop=self._stop)
            try:
                return _Filled(proof.conclude(), proof.private_key, fetched, resumed_at)
            except MediaDamaged as error:
                if not resumed_at:
                    # Nothing to go on with: one of its bytes is wrong, and nobody knows which.
                    part.discard()
                    with remembering_damage(self._session.catalog, medium, info):
                        raise
                # Its beginning may have been spoiled on this disk: that says nothing of what S3 stores.
                log.warning("%s is fetched once more, all of it; with the beginning at hand: %s", medium.sid, error)
        part.cut(0)
        watch.spared(-info.plain_size)
        again = self._fill(medium, info, part, watch)
        return replace(again, fetched=fetched + again.fetched)


def _resume(part: PartFile, proof: Proof) -> int:
    """How many bytes need not be fetched again: whole AES blocks; they have been given to the proof."""
    part.cut(part.size // AES_BLOCK * AES_BLOCK if part.size <= proof.plain_size else 0)
    if proof.needs_all:
        part.replay(proof.replay)
    else:
        proof.skip(part.size)
    return part.size


def _identity(medium: Medium, info: MediaInfo) -> str:
    return f"{medium.sid} {info.identity} {info.plain_size}"


def _stored_size(info: MediaInfo) -> int | None:
    return info.facts.stored_size if info.facts else None
