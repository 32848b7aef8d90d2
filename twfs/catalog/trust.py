"""When Twilio's `size` may stand in for a probe: only where probes of this account have proven what it counts.

Nothing says whether `size` counts plaintext or ciphertext, nor does a record say whether its object is encrypted.
So every probe of a readable medium is a witness, for recordings and compositions apart:
- Encrypted media that agree prove that the plaintext is counted, for padding makes every ciphertext longer. Of plain
  objects both counts are the same.
- Plain media that agree prove only that `size` is one of the two. That is enough for a medium whose `size` is no
  multiple of the AES block: no ciphertext has such a length, so whatever the object is, its plaintext has.
One witness that disagrees ends the trust in its kind for good, and so does a medium that has a size and no media.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from twfs.catalog import queries
from twfs.catalog.queries import Sums
from twfs.catalog.store import Store
from twfs.log import log
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

WITNESSES = 100
"""Agreeing probes that it takes. After n of n the share of media that disagree is below 3/n with 95% confidence (the
rule of three), here 3%; they cost 100 of the probes that the background makes anyway, 2.5 s at the default `api_rate`.
Those that disagree all the same are found by the background, or when they are opened, which always probes."""

_AES_BLOCK = 16


class SizeTrust:
    """Whether sizes that Twilio claims are believed. Thread-safe; no request."""

    def __init__(self, find: Callable[[str], Medium | None], store: Store) -> None:
        """`find` gives what Twilio says of a SID. No I/O."""
        self._find = find
        self._store = store
        self._lock = threading.Lock()
        self._agreeing: Counter[tuple[Kind, bool]] = Counter()
        self._ended: frozenset[Kind] = frozenset()
        self.revocations = 0
        """How often sizes that were told on trust had to be taken back."""

    def load(self) -> None:
        """Take over what the probes of earlier mounts have proven, and which trust has ended."""
        sums = self._store.known(queries.sums)
        with self._lock:
            self._ended |= self._store.evidence.distrusted()
            self._ended |= {each.kind for each in sums if each.agrees is False}
            self._agreeing = Counter()
            for each in sums:
                self._agreeing[each.kind, each.encrypted] += each.media if each.agrees else 0

    def has_ended(self, kind: Kind) -> bool:
        """Whether nothing can bring trust in this kind back."""
        return kind in self._ended

    @property
    def has_begun(self) -> bool:
        """Whether any claimed size may be believed."""
        return any(kind not in self._ended and max(self._count(kind)) >= WITNESSES for kind in Kind)

    def lacks_witnesses(self, kind: Kind) -> bool:
        """Whether more probes could still bring about trust."""
        return not self.has_ended(kind) and self._count(kind)[0] < WITNESSES

    def size_of(self, medium: Medium) -> int | None:
        """The plain size (bytes) that Twilio claims for `medium`, if that is to be believed.

        A track that was muted all the time has no media; what its record says is unknown. So a medium that is not
        said to last any time, or to have any bytes, is not believed.
        """
        claimed = medium.claimed_size
        if not claimed or not medium.duration or medium.kind in self._ended:
            return None
        encrypted, plain = self._count(medium.kind)
        if encrypted >= WITNESSES or (plain >= WITNESSES and claimed % _AES_BLOCK):
            return claimed
        return None

    def known_bytes(self, sums: Iterable[Sums]) -> int:
        """Sum of the plain sizes known of all media: proven, or claimed where that is to be believed."""
        return sum(each.size if each.state is not None else self._believed_bytes(each) for each in sums)

    def _believed_bytes(self, claimed: Sums) -> int:
        encrypted, plain = self._count(claimed.kind)
        if claimed.kind in self._ended or max(encrypted, plain) < WITNESSES:
            return 0
        return claimed.size if encrypted >= WITNESSES else claimed.odd_size

    def learn(self, sid: str, info: MediaInfo) -> None:
        """A medium was probed; what no key opens proves nothing."""
        if info.state is MediaState.READABLE:
            self.witness(sid, info.plain_size, encrypted=info.encrypted)

    def witness(self, sid: str, plain_size: int, *, encrypted: bool) -> None:
        """A readable medium has `plain_size` bytes."""
        medium = self._find(sid)
        if medium is None or medium.claimed_size is None:
            return
        if medium.claimed_size == plain_size:
            with self._lock:
                self._agreeing[medium.kind, encrypted] += 1
        else:
            self._end(medium, f"{plain_size} bytes where Twilio says {medium.claimed_size}")

    def found_absent(self, sid: str) -> None:
        """A medium that Twilio lists, and should long have, turned out to have no media."""
        medium = self._find(sid)
        if medium is not None and medium.claimed_size and medium.duration:
            self._end(medium, f"no media where Twilio says {medium.claimed_size} bytes")

    def _count(self, kind: Kind) -> tuple[int, int]:
        return self._agreeing[kind, True], self._agreeing[kind, False]

    def _end(self, medium: Medium, finding: str) -> None:
        kind = medium.kind
        with self._lock:
            if kind in self._ended:
                return
            was_trusted = max(self._count(kind)) >= WITNESSES
            self._ended |= {kind}
            self.revocations += was_trusted
        self._store.evidence.save_distrust(kind)
        if was_trusted:
            log.warning("%s has %s: sizes of %s are believed no more, each is examined", medium.sid, finding, kind)
        else:
            log.debug("%s has %s: each of the %s is examined for its size", medium.sid, finding, kind)
