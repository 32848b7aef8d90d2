"""A medium open for reading, and the library that opens them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twfs.clock import Clock, Deadline
from twfs.crypto.unlock import Unlocker
from twfs.errors import DeadlineExceeded, MediaDamaged, ObjectChanged, Unreachable
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache
from twfs.media.block_job import BlockJob
from twfs.media.lanes import Lanes
from twfs.media.plain_object import PlainObject
from twfs.media.prefetch import Plan, Prefetcher, Share, Stream
from twfs.media.range_engine import Cancelled, RangeEngine
from twfs.media.unlocking import Unlocking
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.ranges import ByteRange, block_indexes, runs
from twfs.resources import Medium

_WINDOWS_SHARE = 0.5
"""Part of the cache that all windows together may take: before a byte of a window is read as much again is fetched."""

_CONTENT_KEYS = 1024
"""Media whose content key is remembered."""

_IDLE_SECONDS = 10.0
"""A handle not read for so long has no claim on a share of the windows."""


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How reading may use memory."""

    readahead: int
    """Largest prefetch window of a stream, in bytes."""
    timeout: float
    """Seconds that a block may take to come."""


class MediaLibrary:
    """Opens media; holds what all open ones share. Safe for use by several threads."""

    def __init__(
        self,
        *,
        unlocker: Unlocker,
        cache: BlockCache,
        engine: RangeEngine,
        settings: ReadingSettings,
        clock: Clock,
        on_changed: Callable[[str], None],
    ) -> None:
        self._unlocker = unlocker
        self.cache = cache
        self.engine = engine
        cache.on_wait = self._hurry
        self._settings = settings
        self._clock = clock
        self.on_changed = on_changed
        self._lanes = Lanes(engine.connections)
        self._read_at: dict[MediumReader, float] = {}
        """Those not idle, by when they were last read: the one longest ago first."""
        self._content_keys: OrderedDict[tuple[str, str, int], Unlocking] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, medium: Medium, info: MediaInfo) -> "MediumReader":
        """Open a medium for reading, without a request. `info` must be READABLE with the keys at hand.

        Raises:
            MediaDamaged: it is not, or its size contradicts what is stored.
        """
        facts = info.facts
        if facts is None or info.state is not MediaState.READABLE:
            raise MediaDamaged(f"{medium.sid}: nothing of it can be read")
        if not info.encrypted and facts.stored_size != info.plain_size:
            raise MediaDamaged(f"{medium.sid}: its size is {facts.stored_size}, not {info.plain_size} as was known")
        unlocking = self._unlocking(medium.sid, facts, info.plain_size) if info.encrypted else None
        return MediumReader(PlainObject(medium, facts, info.plain_size, unlocking), self)

    @property
    def step_seconds(self) -> float:
        """How long a block may take to come."""
        return self._settings.timeout

    def _hurry(self, blocks: Sequence[Block]) -> None:
        self.engine.hurry(lambda job: isinstance(job, BlockJob) and job.is_for_any(blocks))

    def _unlocking(self, sid: str, facts: ObjectFacts, plain_size: int) -> Unlocking:
        """The object's content key, remembered: RSA takes some 6 ms, and players open a file many times."""
        key = (sid, facts.fingerprint, plain_size)
        with self._lock:
            unlocking = self._content_keys.pop(key, None) or Unlocking(self._unlocker, sid, facts, plain_size)
            self._content_keys[key] = unlocking
            if len(self._content_keys) > _CONTENT_KEYS:
                self._content_keys.popitem(last=False)
        return unlocking

    def share(self, reader: "MediumReader") -> Share:
        """What this reader, which is being read, may use of the memory and the connections that all have."""
        now = self._clock.monotonic()
        with self._lock:
            self._read_at.pop(reader, None)
            self._read_at[reader] = now
            while now - self._read_at[longest_idle := next(iter(self._read_at))] > _IDLE_SECONDS:
                del self._read_at[longest_idle]
            active = len(self._read_at)
            lanes = max(self._lanes.most(now) // active, 1)
        return Share(min(self._settings.readahead, int(self.cache.capacity * _WINDOWS_SHARE) // active), lanes)

    def windows(self) -> dict[str, int]:
        """Media being read, the streams they are read by, and the bytes to keep asked for ahead of these."""
        with self._lock:
            readers = list(self._read_at)
        streams = [stream for reader in readers for stream in reader.streams]
        return {
            "readers": len(readers),
            "streams": len(streams),
            "bytes": sum(stream.window for stream in streams),
        }

    def closed(self, reader: "MediumReader") -> None:
        """The reader gives its share back."""
        with self._lock:
            self._read_at.pop(reader, None)


class MediumReader:
    """One medium as one handle reads it. Safe for use by several threads."""

    def __init__(self, plain_object: PlainObject, library: MediaLibrary) -> None:
        """Nothing is fetched before the first read."""
        self._object = plain_object
        self._library = library
        self._object_key = (plain_object.medium.sid, plain_object.facts.fingerprint)
        self._prefetcher = Prefetcher(plain_object.plain_size)
        self._planning = threading.Lock()
        self._ahead: list[BlockJob] = []
        self._is_closed = False
        self._is_changed = False

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext."""
        return self._object.plain_size

    @property
    def has_differed(self) -> bool:
        """Whether bytes of it that were fetched again were other ones, so that copies may be wrong."""
        return self._library.cache.has_differed(self._object_key)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Where it is being read on from, as planned so far."""
        return self._prefetcher.streams

    def read_into(self, view: memoryview, plain_offset: int, deadline: Deadline) -> int:
        """Plaintext from `plain_offset` into `view`: as many bytes as fit, fewer only at the end of the medium.

        Raises:
            ObjectChanged: the object is another one than was opened.
            RemoteError, CredentialsRefused: it cannot be had by the deadline.
            NoKey, MediaDamaged: it cannot be decrypted, which is found out at the first read.
        """
        wanted = ByteRange(plain_offset, plain_offset + len(view)).clipped(self.plain_size)
        if not wanted.size:
            return 0
        asked = self._plan(wanted, deadline)
        if self._object.unlocking is not None:
            self._object.unlocking.while_waiting()
        try:
            self._copy(wanted, view, asked, deadline)
        except ObjectChanged:
            self._report_change()
            raise
        return wanted.size

    def close(self) -> None:
        """Stop fetching ahead, give the share of memory back."""
        with self._planning:
            self._is_closed = True
            ahead, self._ahead = self._ahead, []
            self._library.closed(self)
        self._library.engine.cancel(ahead)

    def _copy(self, wanted: ByteRange, view: memoryview, asked: dict[int, Block], deadline: Deadline) -> None:
        """Copy what is wanted of all blocks; have fetched again what was dropped meanwhile, not what failed."""

        def copy(block: Block) -> None:
            base = block.key[1] * BLOCK_SIZE
            start, end = max(wanted.start, base), min(wanted.end, base + block.size)
            view[start - wanted.start : end - wanted.start] = block.view[start - base : end - base]

        left = block_indexes(wanted, BLOCK_SIZE)
        is_anew = False
        while left:
            try:
                used = self._library.cache.use(self._object_key, left, deadline, copy)
            except Cancelled:
                used = 0
            except (Unreachable, DeadlineExceeded):
                # Whoever had it fetched may have spent time and attempts before this reader came, which has its own.
                if is_anew or any(block.error for block in asked.values()):
                    raise
                used, is_anew = 0, True
            left = left[used:]
            if left and not used:
                asked |= self._ask_again(left, asked, deadline)

    def _ask_again(self, left: range, asked: dict[int, Block], deadline: Deadline) -> dict[int, Block]:
        # Its error may have come, and been forgotten by the cache, before this reader began to wait.
        if left.start in asked:
            self._library.cache.raise_failure(asked[left.start])
        deadline.remaining()
        return self._demand(self._library.cache.look_up(self._object_key, left)[0], deadline)

    def _report_change(self) -> None:
        with self._planning:
            is_news, self._is_changed = not self._is_changed, True
        if is_news:
            self._library.on_changed(self._object.medium.sid)

    def _plan(self, wanted: ByteRange, deadline: Deadline) -> dict[int, Block]:
        """Have fetched what is missing, which is returned, then what will probably be read next."""
        missing, is_there = self._library.cache.look_up(self._object_key, block_indexes(wanted, BLOCK_SIZE))
        asked = self._demand(missing, deadline) if missing else {}
        with self._planning:
            if self._is_closed:
                return asked
            plan = self._prefetcher.plan(wanted, self._library.share(self), missed=bool(asked), late=not is_there)
            dropped: list[BlockJob] = []
            if plan.jumped:
                dropped, self._ahead = self._ahead, []
            elif plan.ahead.size:
                self._fetch_ahead(plan)
        if dropped:
            self._library.engine.cancel(dropped)
        return asked

    def _demand(self, missing: list[int], deadline: Deadline) -> dict[int, Block]:
        """Have missing blocks fetched at once: those that now are, by index.

        Waits for room for the first block only: a reader that holds some and waits for more would block others.
        """
        cache = self._library.cache
        reserved: dict[int, Block] = {}
        for index in missing:
            key, size = (self._object_key, index), self._block_size(index)
            block = cache.reserve_ahead(key, size) if reserved else cache.reserve(key, size, deadline)
            if block is not None:
                reserved[index] = block
        for job in self._jobs(reserved, len(reserved), urgent=True):
            self._library.engine.submit(job)
        return reserved

    def _fetch_ahead(self, plan: Plan) -> None:
        """Must be called with `_planning` held."""
        cache = self._library.cache
        reserved: dict[int, Block] = {}
        for index in cache.look_up(self._object_key, block_indexes(plan.ahead, BLOCK_SIZE))[0]:
            block = cache.reserve_ahead((self._object_key, index), self._block_size(index))
            if block is not None:
                reserved[index] = block
        self._ahead = [job for job in self._ahead if not job.is_over]
        for job in self._jobs(reserved, max(plan.part_size // BLOCK_SIZE, 1), urgent=False):
            self._ahead.append(job)
            self._library.engine.submit(job)

    def _jobs(self, blocks: dict[int, Block], most_blocks: int, *, urgent: bool) -> list[BlockJob]:
        """Reserved blocks by ascending index, as jobs of neighbours, `most_blocks` at most in each."""
        cache, seconds = self._library.cache, self._library.step_seconds
        return [
            BlockJob(self._object, [blocks[index] for index in part], cache, seconds, urgent=urgent)
            for run in runs(list(blocks))
            for part in (run[first : first + most_blocks] for first in range(0, len(run), most_blocks))
        ]

    def _block_size(self, index: int) -> int:
        return min(BLOCK_SIZE, self.plain_size - index * BLOCK_SIZE)
