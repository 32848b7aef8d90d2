"""Twilio and its bucket in memory, as one: what is deleted or replaced there is so for lists, looks and reads alike."""

from dataclasses import dataclass

from tests.catalog.fakes import FakeClock, FakeTwilio
from tests.media.fakes import MIB, FakeStoredMedia, House, Sealed, plain_object, random_bytes, sealed_object
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.store import Store
from twfs.clock import Clock, Deadline
from twfs.errors import MediaAbsent, Unreachable
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Vfs
from twfs.media.reader import MediaLibrary, ReadingSettings
from twfs.probe import ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.lease import UrlLease
from twfs.resources import Kind, Medium

TIMEOUT = 20.0


class Bucket(FakeStoredMedia):
    """Reads need a pre-signed URL that has not expired."""

    def __init__(self, clock: Clock) -> None:
        super().__init__({}, clock)
        self.is_down = False
        """Whether Twilio hands out no URLs."""
        self._valid: set[str] = set()
        self._handed_out = 0
        self._leases: dict[str, UrlLease] = {}

    def begin(self, sid: str, stored_range: ByteRange, facts: ObjectFacts) -> None:
        deadline = Deadline(self._clock, TIMEOUT)
        lease = self._leases.setdefault(sid, UrlLease(self._obtain, self._clock))
        signed = lease.get(deadline)
        if signed.url not in self._valid:
            signed = lease.refused(signed, deadline)
            assert signed.url in self._valid
        super().begin(sid, stored_range, facts)

    def expire(self) -> None:
        """No URL handed out so far works any more."""
        self._valid.clear()

    def _obtain(self, _deadline: Deadline) -> str:
        if self.is_down:
            raise Unreachable("no URL")
        self._handed_out += 1
        url = f"https://bucket.amazonaws.com/{self._handed_out}"
        self._valid.add(url)
        return url


class Twilio(FakeTwilio):
    """Whose objects lie in a `Bucket`."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(page_size=1)
        self.bucket = bucket

    def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
        super().inspect(medium, deadline)
        if medium.sid not in self.bucket.objects:
            raise MediaAbsent(f"{medium.sid} has no media")
        return self.bucket.objects[medium.sid].facts(self.bucket.etag(medium.sid))


@dataclass(frozen=True)
class Generation:
    """One object that was once stored."""

    sid: str
    etag: str
    plain: bytes


class World:
    """The account, and a mount of it without kernel and network."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bucket = Bucket(self.clock)
        self.house = House({}, cache_size=2 * MIB, connections=2, clock=self.clock, stored=self.bucket)
        self.twilio = Twilio(self.bucket)
        self.generations: dict[str, Generation] = {}
        """By ETag."""
        self.store = Store(None)
        self.count = 0
        self.mount()

    def mount(self) -> None:
        """With what is remembered from before."""
        unlocker = self.house.unlocker
        self.catalog = Catalog(self.twilio, self.twilio, unlocker, self.store, CatalogSettings(), self.clock)
        library = MediaLibrary(
            unlocker=unlocker,
            cache=self.house.cache,
            engine=self.house.engine,
            settings=ReadingSettings(MIB, TIMEOUT),
            clock=self.clock,
            on_changed=self.catalog.has_changed,
        )
        self.vfs = Vfs(self.catalog, library, FsSettings(0, 0, TIMEOUT), self.clock, {})

    def create(self, kind: Kind, status: str, size: int) -> str:
        self.count += 1
        self.clock.advance(1)
        sid = self.twilio.add(kind, self.count, status, created=self.clock.wall())
        self.bucket.objects[sid] = self._object(size)
        self.bucket.etags[sid] = 1
        self._remember(sid)
        return sid

    def replace(self, sid: str, size: int) -> None:
        """Not while a range is under way: S3 goes on with the object that it began with, the fake does not."""
        self.house.settle()
        self.bucket.replace(sid, self._object(size))
        self._remember(sid)

    def delete(self, sid: str, *, forget: bool) -> None:
        self.house.settle()
        (self.twilio.forget if forget else self.twilio.delete)(sid)
        del self.bucket.objects[sid]
        self.bucket.etags[sid] += 1

    def current(self, sid: str) -> Generation | None:
        """What lies there now."""
        return self.generations.get(self.bucket.etag(sid)) if sid in self.bucket.objects else None

    def recover(self) -> None:
        """Nothing fails any more, once what was begun before has come to its end."""
        self.twilio.fail_page.clear()
        self.twilio.fail_fetch = self.twilio.probe_down = None
        self.bucket.is_down = False
        self.house.settle()
        self.bucket.failures.clear()

    def work(self) -> None:
        """What the background threads would do by now."""
        self.catalog._refresher.look_at_suspects()
        for _ in range(100):
            if self.catalog._probing.step():
                break

    def close(self) -> None:
        self.house.settle()
        self.house.stop()
        self.catalog.stop()

    def _object(self, size: int) -> Sealed:
        plain = random_bytes(size, len(self.generations))
        return plain_object(plain) if self.count % 3 == 0 else sealed_object(plain, 128 + 64 * (self.count % 3))

    def _remember(self, sid: str) -> None:
        etag = self.bucket.etag(sid)
        self.generations[etag] = Generation(sid, etag, self.bucket.objects[sid].plain)
