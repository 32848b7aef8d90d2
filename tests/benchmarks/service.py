"""Twilio's API for the bench: the simulator in a process of its own, so that it shares no interpreter with anybody.

Run by `customer.py` as `python -m tests.benchmarks.service SPEC`; it answers one JSON line on stdout for every line
on stdin, and ends with its input.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twfs.simulator.account import BucketObject, SimulatedAccount, StoredObject
from twfs.simulator.faults import Fault
from twfs.simulator.server import Simulator

_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_MEDIA_PER_ROOM = 10


@dataclass(frozen=True, slots=True)
class ServedMedium:
    """A recording whose object lies on the data plane."""

    sid: str
    container: str
    stored_size: int
    metadata: Mapping[str, str]
    url: str


@dataclass(frozen=True, slots=True)
class Crowd:
    """Very many recordings that share one small object of the simulator's own bucket."""

    count: int
    sealed: str
    """Path of the ciphertext."""
    plain_size: int
    """What the API claims as the size, of each."""
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spec:
    """An account, and how it is served."""

    account_sid: str
    api_key: str
    api_secret: str
    latency: float
    media: list[ServedMedium] = field(default_factory=list)
    crowd: Crowd | None = None

    def write(self, path: Path) -> Path:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))
        return path


def read_spec(path: Path) -> Spec:
    """What `Spec.write` wrote."""
    raw = json.loads(path.read_text())
    crowd = Crowd(**raw.pop("crowd")) if raw["crowd"] else None
    media = [ServedMedium(**medium) for medium in raw.pop("media")]
    raw.pop("crowd", None)
    return Spec(**raw, media=media, crowd=crowd)


class Elsewhere:
    """An object of the data plane, as far as the simulator has to know it."""

    content_type = "application/octet-stream"
    etag = ""

    def __init__(self, size: int, metadata: Mapping[str, str]) -> None:
        self.size = size
        self.metadata = metadata

    def read(self, start: int, end: int) -> bytes:
        raise AssertionError(f"/Media leads to the data plane, and yet the simulator was asked for {start}-{end}")


def build_account(spec: Spec) -> SimulatedAccount:
    """The same account in every process: SIDs are numbers."""
    account = SimulatedAccount(spec.account_sid, spec.api_key, spec.api_secret)
    for number, medium in enumerate(spec.media):
        stored = Elsewhere(medium.stored_size, medium.metadata)
        _add(account, number, stored, size=medium.stored_size, container=medium.container)
    if spec.crowd is not None:
        shared = StoredObject(Path(spec.crowd.sealed).read_bytes(), spec.crowd.metadata)
        for number in range(spec.crowd.count):
            _add(account, number, shared, size=spec.crowd.plain_size, container="mkv")
    return account


def _add(account: SimulatedAccount, number: int, stored: BucketObject, *, size: int, container: str) -> None:
    account.add_recording(
        stored,
        sid=numbered_sid(number),
        container=container,
        size=size,
        room_sid=f"RM{number // _MEDIA_PER_ROOM:032x}",
        participant_sid=f"PA{number:032x}",
        source_sid=f"MT{number:032x}",
        date_created=_FIRST_DAY + timedelta(minutes=7 * number),
        duration=300,
    )


def numbered_sid(number: int) -> str:
    """A recording's SID."""
    return f"RT{number:032x}"


def serve(spec: Spec) -> None:
    """Serve until stdin ends: the first line tells the URL, every further one the requests so far."""
    simulator = Simulator(build_account(spec), latency=spec.latency)
    for medium in spec.media:
        # A fault is the simulator's way to answer otherwise: here by sending the client to the data plane.
        place = Fault("api.media", status=302, headers={"Location": medium.url}, times=None, match=f"/{medium.sid}/")
        simulator.inject(place)
    with simulator:
        _tell({"url": simulator.url})
        for _ in sys.stdin:
            _tell({kind: simulator.count(kind) for kind in ("api", "api.list", "api.media", "s3")})


def _tell(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(read_spec(Path(sys.argv[1])))
