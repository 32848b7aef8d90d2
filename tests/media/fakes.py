"""Stored media in memory: real ciphertext, counted, and failing, blocking or slow on demand."""

import asyncio
import base64
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from twfs.clock import Clock, Deadline, SystemClock
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.crypto.unlock import Unlocked, Unlocker
from twfs.errors import ObjectChanged, TwfsError
from twfs.event_loop import LoopThread
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache, Key
from twfs.media.range_engine import RangeEngine
from twfs.media.reader import MediaLibrary, MediumReader, ReadingSettings
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.resources import Kind, Medium

T = TypeVar("T")
MIB = 2**20
PATIENCE = 20.0
"""Seconds after which something that a test awaits is held to be lost."""


@dataclass(frozen=True)
class Sealed:
    """What lies in the bucket, and what it means."""

    stored: bytes = field(repr=False)
    plain: bytes = field(repr=False)
    metadata: Mapping[str, str]

    def facts(self, etag: str) -> ObjectFacts:
        return ObjectFacts(len(self.stored), etag, self.metadata, self.stored[-32:])


def plain_object(plain: bytes) -> Sealed:
    return Sealed(plain, plain, {})


def sealed_object(plain: bytes, key_bits: int = 256) -> Sealed:
    """AES-CBC with PKCS#7 padding, the content key wrapped for `private_key()`."""
    content_key, iv = os.urandom(key_bits // 8), os.urandom(16)
    padder, encryptor = PKCS7(128).padder(), Cipher(AES(content_key), CBC(iv)).encryptor()
    stored = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    wrapped = private_key().public_key().encrypt(content_key, PKCS1v15())
    metadata = {"x-amz-key": _text(wrapped), "x-amz-iv": _text(iv), "x-amz-matdesc": "{}"}
    return Sealed(stored, plain, metadata)


@cache
def private_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@lru_cache(maxsize=32)
def random_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


class FakeStoredMedia:
    """A bucket. Counts the ranges that were begun and the bytes that were read, per medium."""

    def __init__(self, objects: Mapping[str, Sealed], clock: Clock) -> None:
        self.objects = dict(objects)
        self.etags = Counter(dict.fromkeys(objects, 1))
        self.ranges: list[tuple[str, ByteRange]] = []
        self.bytes_read = 0
        self.failures: dict[str, tuple[int, BaseException]] = {}
        """Per medium: at which stored byte each range fails, and how."""
        self.fails_once = False
        """A failure that struck is over."""
        self.open_error: BaseException | None = None
        self.close_error: BaseException | None = None
        self.seconds_per_read = 0.0
        self.open_streams = 0
        self.most_open_streams = 0
        self.blocked = threading.Semaphore(0)
        """Released once by every read that has to wait at a closed gate."""
        self.closing = threading.Semaphore(0)
        """Released by every stream that is about to close."""
        self.may_close = threading.Event()
        self.may_close.set()
        self._gate = threading.Event()
        self._gate.set()
        self._clock = clock
        self._lock = threading.Lock()

    async def fetch(
        self,
        medium: Medium,
        stored_range: ByteRange,
        facts: ObjectFacts,
        take: Callable[[bytes], object],
        deadline: Deadline,
    ) -> None:
        """Pieces end at the cache's blocks: what a job does at their ends is seen."""
        if self.open_error is not None:
            raise self.open_error
        assert 0 <= stored_range.start < stored_range.end <= facts.stored_size
        try:
            self.begin(medium.sid, stored_range, facts)
            position = stored_range.start
            while position < stored_range.end:
                deadline.remaining()
                end = min(position // BLOCK_SIZE * BLOCK_SIZE + BLOCK_SIZE, stored_range.end)
                piece = await self._piece(medium.sid, position, end)
                position = end
                take(piece)
        finally:
            self.closing.release()
            await reached(self.may_close.is_set)
            self.end()
            if self.close_error is not None:
                raise self.close_error

    def replace(self, sid: str, sealed: Sealed) -> None:
        """Another object under the same name: who opened the old one must not get a byte of it."""
        self.objects[sid] = sealed
        self.etags[sid] += 1

    def etag(self, sid: str) -> str:
        return f'"{sid}-{self.etags[sid]}"'

    def block(self) -> None:
        self._gate.clear()

    def unblock(self) -> None:
        self._gate.set()

    def begin(self, sid: str, stored_range: ByteRange, facts: ObjectFacts) -> None:
        with self._lock:
            self.ranges.append((sid, stored_range))
            self.open_streams += 1
            self.most_open_streams = max(self.most_open_streams, self.open_streams)
        if facts.etag != self.etag(sid):
            raise ObjectChanged(f"{sid}: the object changed while open")

    def end(self) -> None:
        with self._lock:
            self.open_streams -= 1

    async def _piece(self, sid: str, position: int, end: int) -> bytes:
        if not self._gate.is_set():
            self.blocked.release()
            await reached(self._gate.is_set)
        if self.seconds_per_read:
            await self._clock.pause(self.seconds_per_read)
        if sid in self.failures and position <= self.failures[sid][0] < end:
            raise (self.failures.pop(sid) if self.fails_once else self.failures[sid])[1]
        with self._lock:
            self.bytes_read += end - position
        return self.objects[sid].stored[position:end]


async def reached(holds: Callable[[], bool]) -> None:
    """Wait, as a task, until it does."""
    for _ in range(int(PATIENCE / 0.001)):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to this")


class CountingUnlocker(Unlocker):
    """Remembers whose content key was found."""

    def __init__(self) -> None:
        super().__init__(Keyring([PrivateKey(private_key(), "test key")]))
        self.unlocked: list[str] = []

    def unlock(self, facts: ObjectFacts) -> Unlocked | None:
        self.unlocked.append(facts.etag)
        return super().unlock(facts)


class House:
    """All of `twfs.media` over a bucket of objects."""

    def __init__(
        self,
        objects: Mapping[str, Sealed],
        *,
        cache_size: int = 64 * MIB,
        connections: int = 8,
        readahead: int = 16 * MIB,
        timeout: float = 30.0,
        clock: Clock | None = None,
        stored: FakeStoredMedia | None = None,
    ) -> None:
        self.clock = SystemClock() if clock is None else clock
        self.stored = stored or FakeStoredMedia(objects, self.clock)
        self.cache = BlockCache(cache_size)
        self.loop = LoopThread(4)
        self.engine = RangeEngine(self.stored, self.loop, connections, self.clock)
        self.changed: list[str] = []
        self.waiting = threading.Semaphore(0)
        """Released whenever a reader begins to wait for a block."""
        self.unlocker = CountingUnlocker()
        self.timeout = timeout
        self.library = MediaLibrary(
            unlocker=self.unlocker,
            cache=self.cache,
            engine=self.engine,
            settings=ReadingSettings(readahead, timeout),
            clock=self.clock,
            on_changed=self.changed.append,
        )
        self._tell_of_waiters()

    def _tell_of_waiters(self) -> None:
        inner = self.cache.on_wait

        def on_wait(blocks: Sequence[Block]) -> None:
            inner(blocks)
            self.waiting.release()

        self.cache.on_wait = on_wait

    def open(self, sid: str) -> MediumReader:
        facts = self.stored.objects[sid].facts(self.stored.etag(sid))
        return self.library.open(Medium(sid, Kind.RECORDING), self.unlocker.interpret(facts))

    def read(self, reader: MediumReader, start: int, size: int, seconds: float = PATIENCE) -> bytes:
        buffer = bytearray(size)
        count = reader.read_into(memoryview(buffer), start, Deadline(self.clock, seconds))
        return bytes(buffer[:count])

    def requests(self, sid: str | None = None) -> list[ByteRange]:
        return [stored_range for at, stored_range in self.stored.ranges if sid in (None, at)]

    def settle(self) -> None:
        """Wait until nothing is queued nor fetched."""
        eventually(lambda: not self.cache.usage()["filling_bytes"])

    def stop(self) -> None:
        """No thread is left."""
        self.engine.stop()
        self.loop.stop()


@contextmanager
def house(objects: Mapping[str, Sealed], **options: object) -> Iterator[House]:
    """A running house; after it no thread is left, and no buffer is lost."""
    built = House(objects, **options)  # type: ignore[arg-type]
    try:
        yield built
    finally:
        built.stored.unblock()
        built.stop()
        eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "network"])
    check_buffers(built.cache)
    assert built.stored.open_streams == 0


def use_block(blocks: BlockCache, key: Key, deadline: Deadline, consume: Callable[[Block], T]) -> T | None:
    """What `consume` makes of one block; None if it is not there."""
    made: list[T] = []
    owner, index = key
    used = blocks.use(owner, range(index, index + 1), deadline, lambda block: made.append(consume(block)))
    assert used == len(made)
    return made[0] if made else None


def check_buffers(cache: BlockCache) -> None:
    """At rest every buffer is free or a ready block's, one block's only, and nobody holds or waits."""
    views = [*cache._free, *(block.view for block in cache._ready.values())]
    assert not cache._filling
    assert len({id(view) for view in views}) == len(views) == cache._made <= cache._count
    assert all(block.holders == len(block.arrivals) == 0 for block in cache._ready.values())


def eventually(holds: object) -> None:
    """Wait until `holds()`; for states that no event tells of."""
    assert callable(holds)
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.002)):
        if holds():
            return
        pause.wait(0.002)
    raise AssertionError("it did not come to this")


class Workers:
    """Threads whose results are gathered and whose errors are kept."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def run(self, work: object, *arguments: object) -> threading.Thread:
        assert callable(work)

        def body() -> None:
            try:
                self.results.append(work(*arguments))
            except (TwfsError, AssertionError) as error:
                self.errors.append(error)

        thread = threading.Thread(target=body, name="worker")
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self) -> "Workers":
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a worker hangs"
        return self
