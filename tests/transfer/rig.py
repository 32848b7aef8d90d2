"""A session of a simulated account, and who looks on."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, customer
from twfs.config.load import load_config
from twfs.mount.session import Session, open_session
from twfs.probe import ObjectFacts
from twfs.resources import Medium
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject
from twfs.simulator.server import Simulator
from twfs.transfer.choice import by_sid
from twfs.transfer.download import Downloader
from twfs.transfer.outcome import Outcome
from twfs.transfer.reader_pool import ReaderPool
from twfs.transfer.verify import Verifier


@dataclass
class Counted:
    """A watch that adds up, and may set `stop` when so many bytes have come."""

    fetched: int = 0
    spared_bytes: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    enough: int | None = None

    def spared(self, count: int) -> None:
        self.spared_bytes += count

    def advanced(self, count: int) -> None:
        self.fetched += count
        if self.enough is not None and self.fetched >= self.enough:
            self.stop.set()


@dataclass
class Rig:
    """One customer's session."""

    place: Customer
    pool: ReaderPool

    @property
    def session(self) -> Session:
        return self.pool.session

    @property
    def simulator(self) -> Simulator:
        return self.place.simulator

    def medium(self, sid: str) -> Medium:
        (medium,) = by_sid(self.session, [sid])
        return medium

    def is_verified(self, sid: str) -> bool:
        """Whether the object that is known of it is remembered as proven."""
        return self.session.catalog.is_verified(sid, self.facts(sid))

    def facts(self, sid: str) -> ObjectFacts:
        info = self.session.catalog.known_info(sid)
        assert info is not None
        assert info.facts is not None
        return info.facts

    def fetch(self, sid: str, goal: Path, watch: Counted | None = None, *, with_md5: bool = True) -> Outcome:
        watch = watch or Counted()
        medium = self.medium(sid)
        return Downloader(self.pool, lambda _: goal, watch.stop, with_md5=with_md5).fetch(medium, watch)

    def verify(self, sid: str, watch: Counted | None = None, *, with_md5: bool = True) -> Outcome:
        watch = watch or Counted()
        medium = self.medium(sid)
        return Verifier(self.pool, watch, watch.stop, with_md5=with_md5).verify(medium)


@contextmanager
def rig(folder: Path, account: SimulatedAccount, *keys: RSAPrivateKey, **options: str) -> Iterator[Rig]:
    """A session that reads, while the block runs; options beside those that name the account and its key."""
    with customer(folder, account, *keys) as place, pool_of(place, options) as pool:
        yield Rig(place, pool)


@contextmanager
def pool_of(place: Customer, options: Mapping[str, str]) -> Iterator[ReaderPool]:
    """Those of another session of the same customer, that knows what sessions before have learnt."""
    config = load_config(place.source, {**place.options, **options}, {"HOME": "/nowhere"})
    with open_session(config) as session, ReaderPool(session) as pool:
        yield pool


@dataclass(frozen=True)
class Corrupted:
    """An object whose byte `at` is another one whenever it is read, whatever its ETag says."""

    true: StoredObject
    at: int

    @property
    def size(self) -> int:
        return self.true.size

    @property
    def etag(self) -> str:
        return self.true.etag

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.true.metadata

    @property
    def content_type(self) -> str:
        return self.true.content_type

    def read(self, start: int, end: int) -> bytes:
        data = bytearray(self.true.read(start, end))
        if start <= self.at < end:
            data[self.at - start] ^= 1
        return bytes(data)
