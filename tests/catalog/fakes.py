"""A Twilio account in memory that counts what it is asked and fails on demand; a clock that is moved by hand."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from twfs.clock import Deadline
from twfs.errors import MediaAbsent, NotFound, RemoteError, TwfsError, Unreachable
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, ListFilter, Medium, Page

ACCOUNT = "AC" + "0" * 32
START = 1_511_455_637
"""2017-11-23T16:47:17Z."""


class FakeClock:
    """Both clocks move only by `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall_now = float(START)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.wall_now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.wall_now += seconds


def sid_of(kind: Kind, number: int) -> str:
    return f"{kind.sid_prefix}{number:032x}"


def room_of(number: int) -> str:
    return f"RM{number:032x}"


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record_of(
    kind: Kind, number: int, status: str = "completed", created: float = START, room: int = 1
) -> dict[str, Any]:
    """A record as Twilio writes it (OpenAPI description of Video v1)."""
    sid = sid_of(kind, number)
    base = {"account_sid": ACCOUNT, "status": status, "sid": sid, "date_created": iso(created), "size": 23 + number}
    links = {"media": f"https://video.twilio.com/v1/{kind.value.title()}/{sid}/Media"}
    if kind is Kind.COMPOSITION:
        return {**base, "room_sid": room_of(room), "format": "mp4", "date_completed": None, "links": links}
    grouping = {"room_sid": room_of(room), "participant_sid": f"PA{number:032x}"}
    return {
        **base,
        "source_sid": f"MT{number:032x}",
        "type": "audio",
        "container_format": "mka",
        "codec": "OPUS",
        "track_name": f"track {number}",
        "offset": 10,
        "duration": 60,
        "grouping_sids": grouping,
        "media_external_location": None,
        "links": links,
        "url": f"https://video.twilio.com/v1/Recordings/{sid}",
    }


def facts_of(sid: str, size: int = 1000) -> ObjectFacts:
    return ObjectFacts(
        stored_size=size,
        etag=f'"{hashlib.sha256(sid.encode()).hexdigest()[:32]}"',
        metadata={"x-amz-key": sid * 10, "x-amz-iv": "AAECAwQFBgcICQoLDA0ODw==", "x-amz-matdesc": "{}"},
        tail=hashlib.sha256(sid.encode()).digest(),
    )


class FakeTwilio:
    """Is both `Listing` and `Inspector`; one page holds `page_size` records."""

    def __init__(self, page_size: int = 3) -> None:
        self.page_size = page_size
        self.records: dict[str, dict[str, Any]] = {}
        self.extra: dict[Kind, list[object]] = {kind: [] for kind in Kind}
        """Records of any shape at the end of a list."""
        self.hidden: set[str] = set()
        """There, but in no list."""
        self.objects: dict[str, ObjectFacts] = {}
        self.requests: Counter[str] = Counter()
        """`recordings`, `compositions` (pages), `fetch`, `probe`."""
        self.filters: list[tuple[Kind, ListFilter]] = []
        self.inspected: list[str] = []
        self.fail_page: dict[Kind, tuple[int, TwfsError]] = {}
        """Which page (from 0) of a kind's lists fails, and how."""
        self.refused_places: set[str] = set()
        """Where no list can be gone on with."""
        self.fail_fetch: TwfsError | None = None
        self.fail_fetch_of: dict[str, TwfsError] = {}
        self.fail_probe: dict[str, TwfsError] = {}
        self.probe_down: TwfsError | None = None
        self.gate: threading.Event | None = None
        """Probes wait for it."""
        self._lock = threading.Lock()

    def add(self, kind: Kind, number: int, status: str = "completed", created: float = START, room: int = 1) -> str:
        record = record_of(kind, number, status, created, room)
        sid = str(record["sid"])
        self.records[sid] = record
        self.objects[sid] = facts_of(sid)
        return sid

    def complete(self, sid: str) -> None:
        self.records[sid]["status"] = "completed"

    def delete(self, sid: str) -> None:
        self.records[sid]["status"] = "deleted"
        self.objects.pop(sid, None)

    def forget(self, sid: str) -> None:
        del self.records[sid]
        self.objects.pop(sid, None)

    def completed(self) -> set[str]:
        return {sid for sid, record in self.records.items() if record["status"] == "completed"}

    def pages(self, kind: Kind, wanted: ListFilter, place: str | None = None) -> Iterator[Page]:
        self.filters.append((kind, wanted))
        records = [record for sid, record in self.records.items() if sid not in self.hidden]
        listed: list[object] = [record for record in records if self._is_wanted(kind, record, wanted)]
        listed += self.extra[kind]
        if place is not None and place in self.refused_places:
            raise RemoteError("HTTP 400: no such page")
        for first in range(int(place or 0), max(len(listed), 1), self.page_size):
            number = first // self.page_size
            with self._lock:
                self.requests[kind.value] += 1
            if kind in self.fail_page and self.fail_page[kind][0] == number:
                raise self.fail_page[kind][1]
            following = first + self.page_size
            some = [dict(r) if isinstance(r, dict) else r for r in listed[first:following]]
            yield Page(some, str(following) if following < len(listed) else None)

    def fetch(self, kind: Kind, sid: str) -> object:
        with self._lock:
            self.requests["fetch"] += 1
        trouble = self.fail_fetch or self.fail_fetch_of.get(sid)
        if trouble is not None:
            raise trouble
        if sid not in self.records:
            raise NotFound(f"no {kind} {sid}")
        return dict(self.records[sid])

    def inspect(self, medium: Medium, deadline: Deadline) -> ObjectFacts:
        with self._lock:
            self.requests["probe"] += 1
            self.inspected.append(medium.sid)
        if self.gate is not None and not self.gate.wait(deadline.remaining()):
            raise Unreachable("the gate never opened")
        trouble = self.probe_down or self.fail_probe.get(medium.sid)
        if trouble is not None:
            raise trouble
        if medium.sid not in self.objects:
            raise MediaAbsent(f"{medium.sid} has no media")
        return self.objects[medium.sid]

    @staticmethod
    def _is_wanted(kind: Kind, record: dict[str, Any], wanted: ListFilter) -> bool:
        created = datetime.fromisoformat(record["date_created"]).timestamp()
        room = record.get("room_sid") or record.get("grouping_sids", {}).get("room_sid")
        return (
            record["sid"].startswith(kind.sid_prefix)
            and record["status"] != "deleted"
            and (wanted.created_after is None or created >= wanted.created_after)
            and (wanted.created_before is None or created < wanted.created_before)
            and (wanted.room_sid is None or room == wanted.room_sid)
        )


class FakeInterpreter:
    """Opens everything, or only the objects whose ETags are in `fitting`."""

    def __init__(self, *, fits_all: bool = True) -> None:
        self.fits_all = fits_all
        self.fitting: set[str] = set()
        self.calls = 0

    @property
    def keys(self) -> str:
        return "all" if self.fits_all else " ".join(sorted(self.fitting))

    def interpret(self, facts: ObjectFacts) -> MediaInfo:
        self.calls += 1
        if self.fits_all or facts.etag in self.fitting:
            return MediaInfo(MediaState.READABLE, facts.stored_size - 7, True, facts.etag, "", facts)
        return MediaInfo(MediaState.LOCKED, facts.stored_size, True, facts.etag, "no private key fits", facts)
