"""An object's content key: found out once, and while the first bytes are on their way."""

import threading

from twfs.crypto.unlock import Unlocked, Unlocker
from twfs.errors import MediaDamaged
from twfs.probe import ObjectFacts

_SENT = 0.002
"""Seconds in which another thread has sent its request. RSA's proof keeps the interpreter for 6 ms (2048 bits; 40 ms
with 4096): begun at once it would hold the request back, begun later it costs a reader far away nothing."""


class Unlocking:
    """The content key of one encrypted object. Safe for use by several threads."""

    def __init__(self, unlocker: Unlocker, sid: str, facts: ObjectFacts, plain_size: int) -> None:
        """`plain_size` is what was told of the object, and must turn out to be true."""
        self._unlocker = unlocker
        self._sid = sid
        self._facts = facts
        self._plain_size = plain_size
        self._unlocked: Unlocked | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def while_waiting(self) -> None:
        """Find it out, unless that is done; lets who has just been asked to fetch send the request first.

        Raises:
            NoKey, MediaDamaged: as `result`.
        """
        if self._unlocked is None and not self._is_over.wait(_SENT):
            self.result()

    def at_hand(self) -> Unlocked | None:
        """What it takes to decrypt the object, if that has been found out."""
        return self._unlocked

    def result(self) -> Unlocked:
        """What it takes to decrypt the object.

        Raises:
            NoKey: no private key at hand fits.
            MediaDamaged: the object contradicts its envelope or what was told of it.
        """
        with self._lock:
            if self._unlocked is None:
                self._unlocked = self._proven()
                self._is_over.set()
            return self._unlocked

    def _proven(self) -> Unlocked:
        unlocked = self._unlocker.unlock(self._facts)
        if unlocked is None:
            raise MediaDamaged(f"{self._sid}: it was encrypted, and now has no envelope")
        if unlocked.plain_size != self._plain_size:
            raise MediaDamaged(f"{self._sid}: its size is {unlocked.plain_size}, not {self._plain_size} as was known")
        return unlocked
