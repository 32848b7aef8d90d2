"""Media read whole and proven, and nothing written."""

import threading
from contextlib import closing

from twfs.errors import CredentialsRefused, TwfsError
from twfs.probe import MediaInfo
from twfs.resources import Medium
from twfs.transfer.outcome import Ending, Outcome, failure
from twfs.transfer.proof import Md5, Proof
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.whole import Watch, fetch_rest, readable_info, remembering_damage, unless_deleted, unless_replaced


class Verifier:
    """Verifies media of one session. Safe for use by several threads."""

    def __init__(self, pool: ReaderPool, watch: Watch, stop: threading.Event, *, with_md5: bool) -> None:
        """`stop` is set when nothing more can succeed, and may be set by others."""
        self._pool = pool
        self._session = pool.session
        self._watch = watch
        self._stop = stop
        self._with_md5 = with_md5

    def verify(self, medium: Medium) -> Outcome:
        """Read it all and prove it. Never raises for what is wrong with it: that is its outcome."""
        try:
            info = readable_info(self._session, medium)
            return unless_replaced(self._session, medium, info, lambda info: self._verify(medium, info))
        except TwfsError as error:
            if isinstance(error, CredentialsRefused):
                self._stop.set()
            return failure(medium, unless_deleted(self._session, medium, error))

    def _verify(self, medium: Medium, info: MediaInfo) -> Outcome:
        began = self._session.clock.monotonic()
        with closing(Proof(info, self._session.config.keyring, with_md5=self._with_md5)) as proof:
            fetch_rest(self._pool, medium, proof, 0, write=None, watch=self._watch, stop=self._stop)
            with remembering_damage(self._session.catalog, medium, info):
                md5 = proof.conclude()
        if md5 is not Md5.UNASKED:
            self._session.catalog.record_verified(medium.sid, proof.facts)
        return Outcome(
            medium,
            Ending.VERIFIED,
            plain_size=info.plain_size,
            stored_size=info.facts.stored_size if info.facts else None,
            etag=info.etag,
            md5=md5,
            private_key=proof.private_key,
            fetched=info.plain_size,
            seconds=self._session.clock.monotonic() - began,
        )
