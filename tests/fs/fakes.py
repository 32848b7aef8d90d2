"""A catalogue and a library in memory: they count what they are asked and fail on demand."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from twfs.clock import Clock, Deadline
from twfs.errors import NoSuchName, NotVerified
from twfs.folders import FIRST_COOKIE, FIXED_FOLDERS, ROOT, KnownFolder, PlacedMedium, Totals, homes
from twfs.log import log
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Kind, Medium

NOVEMBER_23 = 1_511_455_627
"""2017-11-23T16:47:07Z."""


FIRST_ETAG = '"e1"'


def sid_of(number: int, prefix: str = "RT") -> str:
    return f"{prefix}{number:032x}"


def recording(number: int, **fields: object) -> Medium:
    values = {
        "status": "completed",
        "account_sid": sid_of(1, "AC"),
        "created_at": NOVEMBER_23 + number,
        "duration": 60,
        "codec": "VP8",
        "container": "mkv",
        "media_type": "video",
        "room_sid": sid_of(7, "RM"),
        "participant_sid": sid_of(8, "PA"),
        "track_name": "camera",
        "source_sid": sid_of(9, "MT"),
        "offset_ms": 1000 * number,
    }
    return Medium(sid=sid_of(number), kind=Kind.RECORDING, **(values | fields))  # type: ignore[arg-type]


def composition(number: int, **fields: object) -> Medium:
    values = {"status": "completed", "created_at": NOVEMBER_23 + number, "container": "mp4"}
    return Medium(sid=sid_of(number, "CJ"), kind=Kind.COMPOSITION, **(values | fields))  # type: ignore[arg-type]


def readable(size: int, **fields: object) -> MediaInfo:
    return MediaInfo(MediaState.READABLE, size, **({"encrypted": True, "etag": FIRST_ETAG} | fields))  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def content_of(sid: str, size: int, etag: str = FIRST_ETAG) -> bytes:
    """The plaintext of a medium: the same in every process."""
    return random.Random(sid + etag).randbytes(size)


class FakeCatalog:
    """Media and what a probe found of each; `failures` by SID are raised instead."""

    def __init__(self, media: Mapping[Medium, MediaInfo] | None = None) -> None:
        self.version = 1
        self.size_version = 1
        self._cookies: dict[str, int] = {}
        """By SID and by path of a folder; none is ever given again."""
        self._versions: dict[str, tuple[object, int]] = {}
        """What each folder held when it was last looked at, and since which version."""
        self.infos: dict[str, MediaInfo] = {}
        self.failures: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        self.deadlines: list[float] = []
        self.unprobed: set[str] = set()
        self.claims: dict[str, int] = {}
        """Sizes by SID that are told on trust until `info` is asked."""
        self._media: Mapping[str, Medium] = MappingProxyType({})
        self.replace(media or {})

    def replace(self, media: Mapping[Medium, MediaInfo]) -> None:
        """Other media from now on. An object that is another one under the same SID makes what was told of it wrong."""
        self.size_version += any(self.infos.get(medium.sid, info) != info for medium, info in media.items())
        self._media = MappingProxyType({medium.sid: medium for medium in media})
        self.infos = {medium.sid: info for medium, info in media.items()}
        self._number()
        self.version += 1

    def media(self) -> Mapping[str, Medium]:
        """All of them, for tests."""
        return self._media

    def find(self, sid: str) -> PlacedMedium | None:
        self.calls["find"] += 1
        medium = self._media.get(sid)
        return None if medium is None else PlacedMedium(self._cookie(sid), medium)

    def folder(self, path: str) -> KnownFolder | None:
        self.calls["folder"] += 1
        below = [medium for medium in self._media.values() if any(_is_in(home, path) for home in homes(medium))]
        if not below and path not in (ROOT, *FIXED_FOLDERS):
            return None
        changed_at = max([0, *(medium.changed_at for medium in below)])
        media = sum(path in homes(medium) for medium in below)
        folders = len(self._paths_in(path))
        return KnownFolder(path, self._cookie(path), changed_at, folders, media, self._folder_version(path, below))

    def subfolders(self, path: str, after: int, limit: int) -> Sequence[KnownFolder]:
        self.calls["subfolders"] += 1
        found = sorted(filter(None, map(self.folder, self._paths_in(path))), key=lambda folder: folder.cookie)
        return [folder for folder in found if folder.cookie > after][:limit]

    def page(self, path: str, after: int, limit: int) -> Sequence[PlacedMedium]:
        self.calls["page"] += 1
        media = [
            PlacedMedium(self._cookie(sid), medium) for sid, medium in self._media.items() if path in homes(medium)
        ]
        return [placed for placed in sorted(media) if placed.cookie > after][:limit]

    def known_sizes(self, sids: Sequence[str]) -> list[tuple[int, bool] | None]:
        return [self.known_size(sid) for sid in sids]

    def totals(self) -> Totals:
        self.calls["totals"] += 1
        sizes = self.known_sizes(list(self._media))
        return Totals(len(self._media), sum(size[0] for size in sizes if size is not None))

    def _cookie(self, key: str) -> int:
        return self._cookies[key]

    def _number(self) -> None:
        """What is new comes behind all that ever was: media in their order, each after the folders that it is in."""
        keys = [ROOT, *FIXED_FOLDERS]
        for medium in self._media.values():
            keys += [path for home in homes(medium) for path in _ways(home)] + [medium.sid]
        for key in keys:
            self._cookies.setdefault(key, FIRST_COOKIE + len(self._cookies))

    def _paths_in(self, path: str) -> set[str]:
        known = {way for medium in self._media.values() for home in homes(medium) for way in _ways(home)}
        return {each for each in known | set(FIXED_FOLDERS) if each.rpartition("/")[0] == path and each}

    def _folder_version(self, path: str, below: list[Medium]) -> int:
        before, since = self._versions.get(path, (None, 0))
        if before != below:
            since = self.version
            self._versions[path] = (list(below), since)
        return since

    def info(self, sid: str, deadline: Deadline) -> MediaInfo:
        self.calls["info"] += 1
        self.deadlines.append(deadline.remaining())
        if sid in self.failures:
            raise self.failures[sid]
        if sid not in self.infos:
            raise NoSuchName(f"{sid} is gone")
        self.unprobed.discard(sid)
        self.claims.pop(sid, None)
        return self.infos[sid]

    def size(self, sid: str, deadline: Deadline) -> tuple[int, bool]:
        if sid in self.claims:
            return self.claims[sid], False
        return self.info(sid, deadline).plain_size, True

    def known_size(self, sid: str) -> tuple[int, bool] | None:
        self.calls["known_size"] += 1
        if sid in self.claims:
            return self.claims[sid], False
        is_unknown = sid in self.unprobed or sid in self.failures or sid not in self.infos
        return None if is_unknown else (self.infos[sid].plain_size, True)

    def known_info(self, sid: str) -> MediaInfo | None:
        self.calls["known_info"] += 1
        return None if sid in self.unprobed else self.infos.get(sid)


def _ways(home: str) -> list[str]:
    """A folder and those above it but the root, from above."""
    return [home[:end] for end in range(2, len(home) + 1) if end == len(home) or home[end] == "/"]


def _is_in(home: str, path: str) -> bool:
    return home == path or home.startswith(f"{path}/")


class FakeRemover:
    """Deletes all but `unproven` SIDs out of a `FakeCatalog`; `failure` is raised instead."""

    def __init__(self, catalog: FakeCatalog, unproven: Collection[str] = ()) -> None:
        self.catalog = catalog
        self.unproven = unproven
        self.failure: Exception | None = None
        self.was_read: list[Callable[[str], bool] | None] = []
        self.deleted: list[tuple[str, str]] = []
        """SIDs, and who asked."""

    def remove(self, medium: Medium, deadline: Deadline, by: str, was_read: Callable[[str], bool] | None) -> None:
        self.catalog.deadlines.append(deadline.remaining())
        self.was_read.append(was_read)
        if self.failure is not None:
            raise self.failure
        if medium.sid in self.unproven:
            raise NotVerified(f"{medium.sid} is not deleted: nothing proves it")
        self.deleted.append((medium.sid, by))
        log.warning("%s: deleted, asked for by %s", medium.sid, by)
        media = self.catalog.media().values()
        self.catalog.replace({other: self.catalog.infos[other.sid] for other in media if other.sid != medium.sid})


class FakeLibrary:
    """Media whose bytes are `content_of` them; `open_failure` and `read_failure` are raised instead."""

    def __init__(self, clock: Clock, *, shortfall: int = 0, stall: float = 0.0) -> None:
        self.clock = clock
        self.shortfall = shortfall
        self.stall = stall
        self.open_failure: Exception | None = None
        self.read_failure: BaseException | None = None
        self.reads: list[tuple[str, int, int]] = []
        self.open_now = 0
        self.opened = 0
        self._lock = threading.Lock()

    def open(self, medium: Medium, info: MediaInfo) -> "FakeMedium":
        if self.open_failure is not None:
            raise self.open_failure
        with self._lock:
            self.open_now += 1
            self.opened += 1
        return FakeMedium(self, medium.sid, info)

    def note_close(self) -> None:
        with self._lock:
            self.open_now -= 1


class FakeMedium:
    """One open medium. The last bytes come only after `stall` seconds of the clock."""

    def __init__(self, library: FakeLibrary, sid: str, info: MediaInfo) -> None:
        self._library = library
        self._sid = sid
        self._size = info.plain_size
        self._content = content_of(sid, info.plain_size, info.etag)

    def read_into(self, view: memoryview, plain_offset: int, deadline: Deadline) -> int:
        deadline.remaining()
        self._library.reads.append((self._sid, plain_offset, len(view)))
        if self._library.read_failure is not None:
            raise self._library.read_failure
        if plain_offset + len(view) >= self._size and self._library.stall:
            deadline.sleep(self._library.stall)
        part = self._content[plain_offset : plain_offset + len(view)]
        part = part[: len(part) - self._library.shortfall]
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._library.note_close()
