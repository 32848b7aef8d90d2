"""twfs' side of a contest: an account served by a simulator, and mounts of it, cold but knowing what they knew."""

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.benchmarks.dataplane import DataPlane, Shape
from tests.benchmarks.mounts import MOUNTPOINT, Mount, mounted
from tests.benchmarks.objects import SealedFile
from tests.benchmarks.processes import Failed, last_line, running
from tests.benchmarks.service import Crowd, ServedMedium, Spec, build_account, numbered_sid
from twfs.catalog.options import CatalogSettings, store_path
from twfs.catalog.store import Pass, Store, noting
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.crypto.unlock import Unlocker
from twfs.probe import TAIL_SIZE, MediaState, ObjectFacts
from twfs.resources import Kind, parse_medium
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.records import medium_record

RECORDINGS = "recordings"


@dataclass(frozen=True, slots=True)
class Customer:
    """Credentials, private key, state, and the service they belong to."""

    folder: Path
    spec: Spec
    service: "subprocess.Popen[str]"
    api_url: str

    @property
    def state(self) -> Path:
        """What mounts remember."""
        return self.folder / "state"

    def counts(self) -> dict[str, int]:
        """Requests so far, by kind: `api`, `api.list`, `api.media`, `s3` (the simulator's own bucket)."""
        assert self.service.stdin is not None
        assert self.service.stdout is not None
        self.service.stdin.write("\n")
        self.service.stdin.flush()
        found: dict[str, int] = json.loads(self.service.stdout.readline())
        return found

    def command(self, *options: str, state: Path | None = None, python: str = sys.executable) -> list[str]:
        """`twfs mount` in the foreground, everything else at its default; the twfs that `python` has."""
        given = [
            f"credentials={self.folder / 'credentials'}",
            f"private_key={self.folder / 'key.pem'}",
            f"api_url={self.api_url}",
            f"state_dir={state or self.state}",
            *options,
        ]
        source = f"twilio:{self.spec.account_sid}"
        # -P: another interpreter is asked for its own twfs, not for the one of the current folder.
        words = [python, "-m", "twfs"] if python == sys.executable else [python, "-P", "-m", "twfs"]
        return [*words, "mount", source, MOUNTPOINT, "-f", "-o", ",".join(given)]

    @contextmanager
    def mounted(self, *options: str) -> Iterator[Mount]:
        """A fresh mount that knows what earlier ones learnt: nothing is cached of any medium."""
        with mounted("twfs", self.command(*options), self.folder) as mount:
            yield mount

    @contextmanager
    def mounted_by(self, python: str) -> Iterator[Mount]:
        """The same by the twfs of another interpreter, which keeps what it learns to itself."""
        command = self.command(state=self.folder / "former", python=python)
        with mounted("former twfs", command, self.folder) as mount:
            yield mount

    @contextmanager
    def mounted_unknowing(self, *options: str) -> Iterator[Mount]:
        """A mount that has never seen the account."""
        state = Path(mkdtemp(prefix="state-", dir=self.folder))
        try:
            with mounted("twfs", self.command(*options, state=state), self.folder) as mount:
                yield mount
        finally:
            shutil.rmtree(state)

    def learn(self) -> None:
        """Let one mount find out all that is to be known of every medium."""
        with self.mounted("api_rate=80") as mount:
            for path in sorted((mount.path / RECORDINGS).iterdir()):
                path.stat()

    def know_crowd(self, unlocker: Unlocker) -> None:
        """Remember a crowd as mounts would after probing every one, without the hour that it takes."""
        account = build_account(self.spec)
        listed = [medium_record(medium, account.account_sid, self.api_url) for medium in account.media(Kind.RECORDING)]
        resources = [parse_medium(Kind.RECORDING, record) for record in listed]
        store = Store(store_path(self.state, account.account_sid, self.api_url, CatalogSettings()))
        info = unlocker.interpret(_facts(account))
        if info.state is not MediaState.READABLE:
            raise Failed(f"the crowd's object is {info.state}: {info.reason}")
        store.apply(resources)
        for kind in Kind:
            store.apply([], then=noting(kind, Pass(time.time(), None, is_done=True)))
        store.finish(time.time(), list(Kind))
        for medium in resources:
            store.save_probe(medium.sid, info)
        store.close()


def _facts(account: SimulatedAccount) -> ObjectFacts:
    """What a probe of any one of a crowd would find."""
    stored = account.medium(numbered_sid(0)).stored
    assert stored is not None
    tail = stored.read(stored.size - TAIL_SIZE, stored.size)
    return ObjectFacts(stored.size, f'"{stored.etag}"', stored.metadata, tail)


class Customers:
    """Makes customers; all of them have the same private key."""

    def __init__(self, plane: DataPlane, scratch: Path, key: RSAPrivateKey) -> None:
        """Their folders are in `scratch`."""
        self._plane = plane
        self._scratch = scratch
        self._pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._unlocker = Unlocker(Keyring([PrivateKey(key, "bench")]))

    @contextmanager
    def with_media(self, shape: Shape, media: Sequence[tuple[str, SealedFile]]) -> Iterator[Customer]:
        """A customer of recordings (container, object), numbered in this order, who knows them all."""
        served = [self._served(shape, number, *medium) for number, medium in enumerate(media)]
        with self._customer(_spec(shape, served)) as customer:
            customer.learn()
            yield customer

    @contextmanager
    def with_crowd(self, shape: Shape, count: int, sealed: SealedFile, *, known: bool) -> Iterator[Customer]:
        """A customer of `count` recordings that share one object."""
        crowd = Crowd(count, str(sealed.path), sealed.plain_size, sealed.metadata)
        with self._customer(_spec(shape, [], crowd)) as customer:
            if known:
                customer.know_crowd(self._unlocker)
            yield customer

    def _served(self, shape: Shape, number: int, container: str, sealed: SealedFile) -> ServedMedium:
        sid = numbered_sid(number)
        url = self._plane.bucket_url(shape, sid, sealed)
        return ServedMedium(sid, container, sealed.stored_size, sealed.metadata, url)

    @contextmanager
    def _customer(self, spec: Spec) -> Iterator[Customer]:
        folder = Path(mkdtemp(prefix="customer-", dir=self._scratch))
        _write_secret(folder / "key.pem", self._pem)
        secret = f"account_sid={spec.account_sid}\napi_key={spec.api_key}\napi_secret={spec.api_secret}\n"
        _write_secret(folder / "credentials", secret.encode())
        log = folder / "service.log"
        command = [sys.executable, "-m", "tests.benchmarks.service", str(spec.write(folder / "spec.json"))]
        with running(command, log, pipes=True) as service:
            assert service.stdout is not None
            first = service.stdout.readline()
            if not first:
                raise Failed(f"the simulator did not start: {last_line(log)}")
            yield Customer(folder, spec, service, json.loads(first)["url"])
        shutil.rmtree(folder)


def _spec(shape: Shape, media: list[ServedMedium], crowd: Crowd | None = None) -> Spec:
    account_sid, api_key = f"AC{secrets.token_hex(16)}", f"SK{secrets.token_hex(16)}"
    return Spec(account_sid, api_key, secrets.token_hex(16), shape.latency, media, crowd)


def recording(mount: Mount, number: int, container: str = "mkv") -> Path:
    """The file of a numbered recording."""
    return mount.path / RECORDINGS / f"{numbered_sid(number)}.{container}"


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)
