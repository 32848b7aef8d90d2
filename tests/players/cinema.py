"""An account of films, encrypted, and its mount, which users of the web server's group may read."""

import grp
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Mounted, customer, mounted, new_key
from tests.players.film import Film
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject
from twfs.simulator.samples import sample_bytes
from twfs.simulator.sealing import seal, throwaway_public_key
from twfs.simulator.server import Simulator

READERS = "www-data"
"""The group that may read; nginx's user is in it."""

VOICE = "voice"
LOST = "lost"
"""What no private key opens."""


@dataclass(frozen=True, slots=True)
class Programme:
    """What is in the account, as S3 has it: encrypting it takes seconds, so it is done once."""

    key: RSAPrivateKey
    films: Mapping[str, Film]
    stored: Mapping[str, StoredObject]
    """The films, and `VOICE` and `LOST`."""

    def account(self) -> tuple[SimulatedAccount, dict[str, str]]:
        """An account that has it all, and the SIDs."""
        account, sids, now = SimulatedAccount(), {}, datetime.now(UTC)
        for name, stored in self.stored.items():
            container = self.films[name].container if name in self.films else "mka"
            if container in ("mkv", "mka"):
                sids[name] = account.add_recording(stored, container=container, date_created=now)
            else:
                sids[name] = account.add_composition(stored, format=container)
        return account, sids


def programme(films: Mapping[str, Film]) -> Programme:
    """All films and two voices, encrypted."""
    key, voice = new_key(), sample_bytes("voice-opus.mka")
    stored = {name: seal(film.path.read_bytes(), key.public_key()) for name, film in films.items()}
    voices = {VOICE: seal(voice, key.public_key()), LOST: seal(voice, throwaway_public_key())}
    return Programme(key, films, stored | voices)


@dataclass(frozen=True, slots=True)
class Cinema:
    """The mount, what is in it, and what it costs."""

    mount: Mounted
    simulator: Simulator
    films: Mapping[str, Film]
    sids: Mapping[str, str]

    def path(self, name: str) -> Path:
        """A medium through the mount."""
        return self.mount.file(self.sids[name])

    def name(self, name: str) -> str:
        """The same from the mountpoint on."""
        return str(self.path(name).relative_to(self.mount.path))

    def link(self, name: str) -> str:
        """Its link by date, likewise."""
        (link,) = (self.mount.path / "by-date").rglob(f"*{self.sids[name]}*")
        return str(link.relative_to(self.mount.path))

    def fetched(self) -> int:
        """Bytes of media that S3 has sent so far."""
        return self.simulator.bytes_sent("s3")

    def untouched(self, name: str, start: float, end: float) -> bool:
        """Whether nothing was asked of S3 for a part of a film; 0 is its beginning, 1 its end."""
        size = self.films[name].size
        ranges = [request.range or "" for request in self.simulator.requests if request.kind == "s3.get"]
        bounds = [re.fullmatch(r"bytes=(\d+)-(\d+)", text) for text in ranges]
        return not any(found and int(found[1]) < end * size and int(found[2]) >= start * size for found in bounds)


@contextmanager
def opened(folder: Path, shown: Programme, **options: str) -> Iterator[Cinema]:
    """Fresh while the block runs: nothing is cached, and the kernel knows no page."""
    account, sids = shown.account()
    readers = str(grp.getgrnam(READERS).gr_gid)
    with (
        customer(folder, account, shown.key) as place,
        mounted(place, allow_other="yes", gid=readers, **options) as mount,
    ):
        yield Cinema(mount, place.simulator, shown.films, sids)
